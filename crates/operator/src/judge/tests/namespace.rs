//! A namespace to judge, for the tests of this crate.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use pharos_api::telemetryconfig::{Component, TelemetryConfig, TelemetryConfigStatus};
use pharos_cluster::references::References;
use pharos_cluster::view::{Observed, Uid};
use serde_json::{Value, json};

use crate::judge::{Scene, judge};
use crate::replicas::LiveReplica;
use crate::report::{ConfigReport, ReferencesReport, Report, SpecReport, State, config_hash};
use crate::resolve::Expiry;
use crate::select::{Scopes, select};

/// A namespace with objects and replicas, judged one object at a time.
#[derive(Default)]
pub(crate) struct Namespace {
    pub(crate) objects: BTreeMap<Uid, Observed<TelemetryConfig>>,
    pub(crate) replicas: Vec<LiveReplica>,
}

impl Namespace {
    /// An object named like its uid, older than those after it.
    pub(crate) fn with(mut self, name: &str, generation: i64, spec: Value) -> Self {
        let second = self.objects.len();
        let object: TelemetryConfig = serde_json::from_value(json!({
            "apiVersion": "telemetry.pharos.dev/v1alpha1",
            "kind": "TelemetryConfig",
            "metadata": {
                "name": name, "uid": name, "generation": generation,
                "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z"),
            },
            "spec": spec,
        }))
        .unwrap();
        let metadata = object.metadata.clone();
        let observed = Observed { metadata, object: Ok(Arc::new(object)) };
        self.objects.insert(name.to_owned(), observed);
        self
    }

    pub(crate) fn broken(mut self, name: &str, error: &str) -> Self {
        self.objects.get_mut(name).unwrap().object = Err(error.to_owned());
        self
    }

    pub(crate) fn replica(
        mut self,
        name: &str,
        components: &[Component],
        config: Option<ConfigReport>,
    ) -> Self {
        let components: BTreeSet<_> = components.iter().copied().collect();
        let report = Report { components, config };
        self.replicas.push(LiveReplica { name: name.to_owned(), report });
        self
    }

    pub(crate) fn judge(&self, name: &str) -> TelemetryConfigStatus {
        self.judge_after(name, None, Timestamp::UNIX_EPOCH)
    }

    pub(crate) fn judge_after(
        &self,
        name: &str,
        before: Option<&TelemetryConfigStatus>,
        now: Timestamp,
    ) -> TelemetryConfigStatus {
        let mut scopes = Scopes::default();
        scopes.update(&self.objects);
        judge(&Scene {
            observed: &self.objects[name],
            scope: scopes.of(name),
            objects: &self.objects,
            winners: &select(&scopes.candidates(&self.objects)),
            replicas: &self.replicas,
            before,
            now,
        })
    }
}

pub(crate) fn prometheus() -> Value {
    json!({
        "exporters": [{"name": "prometheus", "type": "Prometheus"}],
        "metrics": {"exporters": ["prometheus"]},
    })
}

pub(crate) fn for_components(components: &[&str]) -> Value {
    let mut spec = prometheus();
    spec["components"] = json!(components);
    spec
}

pub(crate) fn about(uid: &str, generation: i64, state: State) -> Option<ConfigReport> {
    Some(ConfigReport {
        uid: uid.to_owned(),
        generation,
        config_hash: config_hash(uid, generation, [], &References::default()),
        state,
        since: Timestamp::UNIX_EPOCH,
        spec: SpecReport::accepted(String::new()),
        references: ReferencesReport::resolved(&Expiry::default()),
        restarts: String::new(),
        exporters: Vec::new(),
    })
}
