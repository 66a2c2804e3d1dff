//! Instruments as a program declares them, once, before its pipeline starts.
//!
//! A program enters at [`Catalogue`] and keeps the handles that it gets there. A handle is an index
//! into whatever generation is current when something is recorded; what that generation makes of a
//! measurement is in `recorder`. Nothing here knows where metrics go.

use serde::Serialize;

mod catalogue;
mod handle;
mod observer;
mod recorder;
mod series;
mod sieve;

pub(crate) use catalogue::{Callback, Declared, Slot};
pub use catalogue::{Catalogue, DeclarationError};
pub use handle::{Counter, Gauge, Histogram, UpDownCounter};
pub use observer::Observer;
pub(crate) use observer::{Asked, Observed};
pub(crate) use recorder::{Recorder, Recorders};
pub use series::{CounterSeries, HistogramSeries};
pub(crate) use sieve::Sieve;

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
