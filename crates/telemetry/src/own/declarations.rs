//! The metrics that a pipeline has about itself. Keys are sorted, as everywhere.

use crate::instrument::{Declaration, InstrumentKind};

const SCOPE: &str = "pharos";

/// Every attribute key.
pub mod key {
    /// Which certificate: `authorities`, `client` or `server`.
    pub const CERTIFICATE: &str = "certificate";
    /// The name of the sink in the configuration.
    pub const EXPORTER: &str = "exporter";
    /// What came of it, from a closed set.
    pub const OUTCOME: &str = "outcome";
    /// Why, from a closed set.
    pub const REASON: &str = "reason";
    /// `metrics`, `traces` or `logs`.
    pub const SIGNAL: &str = "signal";
}

const SINK: &[&str] = &[key::EXPORTER, key::SIGNAL];
/// Seconds, from an export on the same host to the longest timeout.
const SECONDS: &[f64] =
    &[0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

const COUNTER: Declaration = Declaration {
    scope: SCOPE,
    name: "",
    kind: InstrumentKind::Counter,
    unit: "",
    description: "",
    attributes: SINK,
    boundaries: &[],
};
const GAUGE: Declaration = Declaration { kind: InstrumentKind::ObservableGauge, ..COUNTER };
const HISTOGRAM: Declaration =
    Declaration { kind: InstrumentKind::Histogram, unit: "s", boundaries: SECONDS, ..COUNTER };

pub(super) static SENT_ITEMS: Declaration = Declaration {
    name: "pharos_telemetry_sent_items",
    unit: "{item}",
    description: "Data points, spans and log records that a receiver took.",
    ..COUNTER
};

pub(super) static DROPPED_ITEMS: Declaration = Declaration {
    name: "pharos_telemetry_dropped_items",
    unit: "{item}",
    description: "Data points, spans and log records that a receiver will never have.",
    attributes: &[key::EXPORTER, key::REASON, key::SIGNAL],
    ..COUNTER
};

pub(super) static EXPORTS: Declaration = Declaration {
    name: "pharos_telemetry_exports",
    unit: "{export}",
    description: "Exports by outcome; ambiguous ones may or may not have arrived.",
    attributes: &[key::EXPORTER, key::OUTCOME, key::SIGNAL],
    ..COUNTER
};

pub(super) static RETRIED_EXPORTS: Declaration = Declaration {
    name: "pharos_telemetry_retried_exports",
    unit: "{export}",
    description: "Exports that were another attempt after one that failed.",
    ..COUNTER
};

pub(super) static EXPORT_DURATION: Declaration = Declaration {
    name: "pharos_telemetry_export_duration_seconds",
    description: "Seconds from the start of an export to its answer.",
    ..HISTOGRAM
};

pub(super) static QUEUED_ITEMS: Declaration = Declaration {
    name: "pharos_telemetry_queued_items",
    unit: "{item}",
    description: "Spans and log records that wait or are on their way.",
    ..GAUGE
};

pub(super) static RELOADS: Declaration = Declaration {
    name: "pharos_telemetry_reloads",
    unit: "{reload}",
    description: "Reloads of the telemetry configuration by outcome.",
    attributes: &[key::OUTCOME],
    ..COUNTER
};

pub(super) static RELOAD_DURATION: Declaration = Declaration {
    name: "pharos_telemetry_reload_duration_seconds",
    description: "Seconds from a new configuration to its being in force.",
    attributes: &[],
    ..HISTOGRAM
};

pub(super) static GENERATION: Declaration = Declaration {
    name: "pharos_telemetry_generation",
    description: "The number of the generation of instruments in force.",
    attributes: &[],
    ..GAUGE
};

pub(super) static OVERFLOWING_METRICS: Declaration = Declaration {
    name: "pharos_telemetry_overflowing_metrics",
    unit: "{metric}",
    description: "Metrics with more attribute sets than their cardinality limit lets them have.",
    attributes: &[],
    ..GAUGE
};

pub(super) static CERTIFICATE_EXPIRY: Declaration = Declaration {
    name: "pharos_telemetry_certificate_expiry_timestamp_seconds",
    unit: "s",
    description: "When the first of the certificates in use expires, in seconds since 1970.",
    attributes: &[key::CERTIFICATE, key::EXPORTER, key::SIGNAL],
    ..GAUGE
};

/// All of them.
pub const DECLARATIONS: [&Declaration; 11] = [
    &SENT_ITEMS,
    &DROPPED_ITEMS,
    &EXPORTS,
    &RETRIED_EXPORTS,
    &EXPORT_DURATION,
    &QUEUED_ITEMS,
    &RELOADS,
    &RELOAD_DURATION,
    &GENERATION,
    &OVERFLOWING_METRICS,
    &CERTIFICATE_EXPIRY,
];
