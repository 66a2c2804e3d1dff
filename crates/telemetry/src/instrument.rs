//! Instruments as a program declares them.

use serde::Serialize;

/// One instrument, declared once: everything about it that does not depend on a configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Declaration {
    /// The instrumentation scope.
    pub scope: &'static str,
    /// The name; Prometheus shows counters with `_total`.
    pub name: &'static str,
    /// What it counts or measures.
    pub kind: InstrumentKind,
    /// In UCUM, such as `s` or `{span}`; empty means none.
    pub unit: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// The keys of every measurement, in the order in which they are recorded; at most 64.
    pub attributes: &'static [&'static str],
    /// The upper bounds of the buckets of a histogram, rising; empty otherwise.
    pub boundaries: &'static [f64],
}

/// The kind of an instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[expect(missing_docs, reason = "OpenTelemetry's own names")]
pub enum InstrumentKind {
    Counter,
    UpDownCounter,
    Histogram,
    Gauge,
    ObservableCounter,
    ObservableUpDownCounter,
    ObservableGauge,
}
