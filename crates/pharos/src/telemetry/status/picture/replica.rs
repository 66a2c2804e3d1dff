//! One replica, as its heartbeat Lease tells it: the report, and the statistics beside it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use pharos_api::telemetryconfig::{Component, ExporterState, Signal, TelemetryConfig};
use pharos_cluster::heartbeat;
use pharos_cluster::view::Observed;
use pharos_operator::report::{
    ConfigReport, ExporterHealth, ExporterReport, Report, Running, State,
};
use pharos_operator::statistics::Statistics;
use serde::Serialize;

/// One replica.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Replica {
    /// The Pod's name, where there is one.
    pub(in super::super) name: String,
    /// The components that it runs.
    pub(in super::super) components: BTreeSet<Component>,
    /// The TelemetryConfig that it obeys; none while the command line's defaults run.
    pub(in super::super) config: Option<String>,
    /// How far it is.
    pub(in super::super) state: ReplicaState,
    /// The generation that `state` is about.
    pub(in super::super) generation: Option<i64>,
    /// Equal for replicas that run the same.
    pub(in super::super) config_hash: Option<String>,
    /// Why it failed, and what is wrong with what it refers to.
    pub(in super::super) message: String,
    /// When its certificates expire.
    pub(in super::super) next_certificate_expiry: Option<Timestamp>,
    /// When it last said so, by its own clock.
    pub(in super::super) renewed: Option<Timestamp>,
    /// What it exports.
    pub(in super::super) exporters: Vec<Exporter>,
}

/// How far a replica is; the order is the order in which people should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(in super::super) enum ReplicaState {
    /// It was not heard of for longer than a Lease lasts.
    Silent,
    /// Its report cannot be read: another version, perhaps, or a Lease that is another's.
    Unreadable,
    /// It refused its generation and runs what it ran before.
    Failed,
    /// It has not put its generation in force yet.
    Applying,
    /// It runs an older generation than the object has.
    Behind,
    /// It runs what the object asks for.
    Programmed,
    /// No object decides for it.
    Defaults,
}

/// One exporter of one replica, for one signal.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Exporter {
    /// The exporter's name.
    pub(in super::super) name: String,
    /// The signal.
    pub(in super::super) signal: Signal,
    /// How it does; nothing where others come and fetch.
    pub(in super::super) state: Option<ExporterState>,
    /// Why it fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) reason: Option<String>,
    /// Why it fails, for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in super::super) message: String,
    /// Since when it is so.
    pub(in super::super) since: Timestamp,
    /// When an export last arrived.
    pub(in super::super) last_success: Option<Timestamp>,
    /// How long the last export took.
    pub(in super::super) last_export_milliseconds: Option<u64>,
    /// Items that the receiver has.
    pub(in super::super) sent: u64,
    /// Exports that failed.
    pub(in super::super) failed: u64,
    /// Items that it will never have.
    pub(in super::super) dropped: u64,
}

// === impl Replica ===

impl Replica {
    /// What a Lease tells.
    pub(super) fn of(
        lease: &Lease,
        objects: &BTreeMap<&str, &Observed<TelemetryConfig>>,
        now: Timestamp,
    ) -> Self {
        let spec = lease.spec.clone().unwrap_or_default();
        let renewed = spec.renew_time.map(|time| time.0);
        let name = named(lease);
        // As the leader judges: a Lease speaks for the replica that it is named after, and no other.
        let own = spec.holder_identity.map(|holder| heartbeat::lease_name(&holder));
        let own = own.is_some() && own == lease.metadata.name;
        let replica = Self {
            name: name.to_owned(),
            components: BTreeSet::new(),
            config: None,
            state: ReplicaState::Unreadable,
            generation: None,
            config_hash: None,
            message: String::new(),
            next_certificate_expiry: None,
            renewed,
            exporters: Vec::new(),
        };
        if !own {
            let message = "the holder of its Lease is another than the Lease is named after";
            return Self { message: message.to_owned(), ..replica };
        }
        let report = heartbeat::report(lease).map(Report::decode);
        let mut replica = match report {
            Some(Ok(report)) => replica.saying(report, statistics(lease), objects),
            Some(Err(_)) => Self {
                message: "its report cannot be read: it is of another version".to_owned(),
                ..replica
            },
            None => Self { message: "its Lease has no report".to_owned(), ..replica },
        };
        let silent = renewed.is_none_or(|renewed| {
            now.duration_since(renewed).unsigned_abs() > heartbeat::DURATION && renewed < now
        });
        if silent {
            replica.state = ReplicaState::Silent;
        }
        replica
    }

    fn saying(
        self,
        report: Report,
        statistics: Statistics,
        objects: &BTreeMap<&str, &Observed<TelemetryConfig>>,
    ) -> Self {
        let Report { components, config } = report;
        let Some(config) = config else {
            return Self { components, state: ReplicaState::Defaults, ..self };
        };
        let object = objects.get(config.uid.as_str());
        let state = match &config.state {
            State::Failed { .. } => ReplicaState::Failed,
            State::Applying => ReplicaState::Applying,
            State::Programmed if object.is_some_and(|it| it.generation() != config.generation) => {
                ReplicaState::Behind
            }
            State::Programmed => ReplicaState::Programmed,
        };
        Self {
            components,
            config: Some(object.map_or("(deleted)", |it| it.name()).to_owned()),
            state,
            generation: Some(config.generation),
            message: said(&config),
            next_certificate_expiry: config.references.next_certificate_expiry,
            exporters: config.exporters.iter().map(|it| Exporter::of(it, &statistics)).collect(),
            config_hash: Some(config.config_hash),
            ..self
        }
    }

    /// Whether people should look at it, and how soon: first is first.
    pub(super) fn urgency(&self) -> (ReplicaState, bool) {
        // All that runs as it should is alike, and then failing exporters count.
        (self.state.min(ReplicaState::Programmed), !self.fails())
    }

    /// Whether something is to be looked at.
    pub(in super::super) fn needs_a_look(&self) -> bool {
        self.state < ReplicaState::Programmed || self.fails()
    }

    fn fails(&self) -> bool {
        self.exporters.iter().any(|it| it.state == Some(ExporterState::Failing))
    }
}

/// The replica that a Lease is named after; of another Lease, its name.
fn named(lease: &Lease) -> &str {
    let name = lease.metadata.name.as_deref().unwrap_or_default();
    name.strip_prefix(&heartbeat::lease_name("")).unwrap_or(name)
}

fn statistics(lease: &Lease) -> Statistics {
    // Those of another version are as good as none.
    let decoded = heartbeat::statistics(lease).map(Statistics::decode);
    decoded.and_then(Result::ok).unwrap_or_default()
}

fn said(config: &ConfigReport) -> String {
    let failed = match &config.state {
        State::Failed { running: Running::PreviousConfig, message } => {
            format!("runs the configuration before: {message}")
        }
        State::Failed { running: Running::Defaults, message } => {
            format!("runs the command line's defaults: {message}")
        }
        State::Applying | State::Programmed => String::new(),
    };
    // What keeps it from being programmed is in both.
    if failed.is_empty() { config.references.message.clone() } else { failed }
}

// === impl Exporter ===

impl Exporter {
    fn of(report: &ExporterReport, statistics: &Statistics) -> Self {
        let ExporterReport { name, signal, health, since } = report;
        let (state, reason, message) = match health {
            ExporterHealth::Scraped => (None, None, String::new()),
            ExporterHealth::NotYetExported => {
                (Some(ExporterState::NotYetExported), None, String::new())
            }
            ExporterHealth::Healthy => (Some(ExporterState::Healthy), None, String::new()),
            ExporterHealth::Failing { reason, message } => {
                (Some(ExporterState::Failing), Some(reason.clone()), message.clone())
            }
        };
        let counted = statistics.exporter(name, *signal);
        Self {
            name: name.clone(),
            signal: *signal,
            state,
            reason,
            message,
            since: *since,
            last_success: counted.and_then(|it| it.last_success),
            last_export_milliseconds: counted.and_then(|it| it.last_export_milliseconds),
            sent: counted.map_or(0, |it| it.sent),
            failed: counted.map_or(0, |it| it.failed),
            dropped: counted.map_or(0, |it| it.dropped),
        }
    }
}
