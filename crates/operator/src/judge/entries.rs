//! The lists in status: what the object is to each component, and what each replica makes of it.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use pharos_api::telemetryconfig::{
    Component, ComponentState, ComponentStatus, ExporterState, ExporterStatus, OverriddenReason,
    ReplicaState, ReplicaStatus, SHOWN_REPLICAS,
};

use super::conditions::{export_failure, instead};
use super::{Obeying, Scene, count, whole_seconds};
use crate::report::{ConfigReport, ExporterHealth, ExporterReport, State};
use crate::select::deciding;

/// The longest message of a replica's entry, and of an exporter's within it. In bytes: the schema
/// allows as many characters.
const LONGEST_MESSAGE: usize = 512;
const LONGEST_EXPORTER_MESSAGE: usize = 256;
/// As much as the schema takes.
const LONGEST_NAME: usize = 63;
const LONGEST_HASH: usize = 64;
const SHOWN_EXPORTERS: usize = 24;
/// What all entries take together, encoded: etcd takes 1.5 MiB, and `managedFields` name every field.
const LARGEST_ENTRIES: usize = 256 * 1024;

// === impl Scene ===

impl Scene<'_> {
    /// For each component that the object asks for: whether it is active, or who overrides it.
    pub(super) fn component_entries(&self, obeying: &[Obeying<'_>]) -> Vec<ComponentStatus> {
        Component::ALL
            .into_iter()
            .filter(|component| self.scope.covers(*component))
            .map(|component| self.component_entry(component, obeying))
            .collect()
    }

    fn component_entry(&self, component: Component, obeying: &[Obeying<'_>]) -> ComponentStatus {
        let of_component =
            |replica: &&Obeying<'_>| replica.replica.report.components.contains(&component);
        let programmed = obeying.iter().filter(of_component).filter(|replica| self.runs(replica));
        let overridden = self.overridden(component);
        ComponentStatus {
            component,
            state: match overridden {
                None => ComponentState::Active,
                Some(_) => ComponentState::Overridden,
            },
            reason: overridden.as_ref().map(|(reason, _)| *reason),
            by: overridden.and_then(|(_, by)| by),
            replicas_programmed: count(programmed.count()),
            replicas_live: count(obeying.iter().filter(of_component).count()),
        }
    }

    /// Why another object decides for a component, and which: it won, or it won the component that
    /// decides for a process that both share.
    fn overridden(&self, component: Component) -> Option<(OverriddenReason, Option<String>)> {
        let uid = self.observed.uid();
        let name = |winner: Option<&str>| winner.map(|winner| self.name_of(winner).to_owned());
        let winner = self.winners.of(component);
        if winner != Some(uid) {
            return Some((OverriddenReason::Conflicted, name(winner)));
        }
        let shared = self
            .replicas
            .iter()
            .map(|replica| &replica.report.components)
            .filter(|components| components.contains(&component))
            .find(|components| self.winners.for_process(components) != Some(uid))?;
        let winner = deciding(shared).and_then(|component| self.winners.of(component));
        Some((OverriddenReason::SharedProcess, name(winner)))
    }

    /// The exporters of the spec, in one string.
    pub(super) fn exporter_names(&self) -> Option<String> {
        let spec = &self.observed.object.as_ref().ok()?.spec;
        let names: Vec<_> = spec.exporters.iter().map(|exporter| exporter.name.as_str()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }

    /// The replicas that a person should look at first, first.
    pub(super) fn replica_entries(&self, obeying: &[Obeying<'_>]) -> Vec<ReplicaStatus> {
        let mut entries: Vec<_> =
            obeying.iter().map(|one| (self.runs(one), self.replica_entry(one))).collect();
        let failing = |entry: &ReplicaStatus| {
            entry.exporters.iter().any(|exporter| exporter.state == ExporterState::Failing)
        };
        entries
            .sort_by_cached_key(|(runs, entry)| (*runs, !failing(entry), entry.pod_name.clone()));
        let entries = entries.into_iter().map(|(_, entry)| entry).take(SHOWN_REPLICAS);
        let room = |taken: &mut usize, entry: &ReplicaStatus| {
            *taken += serde_json::to_string(entry).map_or(0, |encoded| encoded.len());
            *taken <= LARGEST_ENTRIES
        };
        entries.scan(0, |taken, entry| room(taken, &entry).then_some(entry)).collect()
    }

    fn replica_entry(&self, Obeying { replica, report }: &Obeying<'_>) -> ReplicaStatus {
        let (state, reason, message) = match report.map(|report| &report.state) {
            None | Some(State::Applying) => (ReplicaState::Applying, None, None),
            Some(State::Programmed) => (ReplicaState::Programmed, None, None),
            Some(State::Failed { running, message }) => {
                let reason = instead(*running).as_str().to_owned();
                (ReplicaState::Failed, Some(reason), Some(shortened(message, LONGEST_MESSAGE)))
            }
        };
        ReplicaStatus {
            pod_name: replica.name.clone(),
            components: replica.report.components.iter().copied().collect(),
            state,
            observed_generation: report.map_or(0, |report| report.generation.max(0)),
            config_hash: report.map(|report| shortened(&report.config_hash, LONGEST_HASH)),
            reason,
            message,
            last_transition_time: match report {
                Some(report) => whole_seconds(report.since),
                None => self.silent_since(&replica.name),
            },
            exporters: report
                .filter(|report| report.state == State::Programmed)
                .map(exporter_entries)
                .unwrap_or_default(),
        }
    }

    /// A replica that has not said anything about the object has no time of its own.
    fn silent_since(&self, replica: &str) -> Time {
        let silent =
            |entry: &&ReplicaStatus| entry.pod_name == replica && entry.observed_generation == 0;
        match self.before.and_then(|before| before.replicas.iter().find(silent)) {
            Some(entry) => entry.last_transition_time.clone(),
            None => whole_seconds(self.now),
        }
    }
}

/// The schema is the measure, not the replica: one that writes nonsense into its Lease must not keep
/// the API server from taking what is known of the others.
fn exporter_entries(report: &ConfigReport) -> Vec<ExporterStatus> {
    let mut named = BTreeSet::new();
    report
        .exporters
        .iter()
        .filter(|exporter| (1..=LONGEST_NAME).contains(&exporter.name.len()))
        .filter(|exporter| named.insert((exporter.name.as_str(), exporter.signal)))
        .take(SHOWN_EXPORTERS)
        .map(exporter_entry)
        .collect()
}

fn exporter_entry(exporter: &ExporterReport) -> ExporterStatus {
    let (state, reason, message) = match &exporter.health {
        ExporterHealth::NotYetExported => (ExporterState::NotYetExported, None, None),
        ExporterHealth::Healthy | ExporterHealth::Scraped => (ExporterState::Healthy, None, None),
        ExporterHealth::Failing { reason, message } => {
            let reason = export_failure(reason).as_str().to_owned();
            let message = shortened(message, LONGEST_EXPORTER_MESSAGE);
            (ExporterState::Failing, Some(reason), Some(message))
        }
    };
    ExporterStatus {
        name: exporter.name.clone(),
        signal: exporter.signal,
        state,
        reason,
        message,
        last_transition_time: whole_seconds(exporter.since),
    }
}

fn shortened(message: &str, longest: usize) -> String {
    message[..message.floor_char_boundary(longest)].to_owned()
}
