//! What one generation does with a measurement of one instrument.

use opentelemetry::KeyValue;
use opentelemetry::metrics;

use crate::carry::StreamAggregation;
use crate::exemplar::{self, Exemplars, Number};

use super::Sieve;

/// What a generation records with: by the index of the instrument in the catalogue, nothing where
/// an instrument is of another kind or dropped.
#[derive(Debug)]
pub(crate) struct Recorders {
    pub(crate) counters: Box<[Option<Recorder<metrics::Counter<u64>>>]>,
    pub(crate) up_down_counters: Box<[Option<Recorder<metrics::UpDownCounter<i64>>>]>,
    pub(crate) histograms: Box<[Option<Recorder<metrics::Histogram<f64>>>]>,
    pub(crate) gauges: Box<[Option<Recorder<metrics::Gauge<f64>>>]>,
}

/// An instrument of the SDK, and what happens to measurements before they reach it.
#[derive(Debug)]
pub(crate) struct Recorder<I> {
    instrument: I,
    /// The index of the instrument in the catalogue.
    place: usize,
    sieve: Sieve,
    aggregation: StreamAggregation,
}

/// What the SDK's instruments have in common.
pub(crate) trait Measured {
    type Value: Copy + Into<Number>;

    fn measure(&self, value: Self::Value, attributes: &[KeyValue]);
}

// === impl Recorders ===

impl Recorders {
    /// Room for `count` instruments.
    pub(crate) fn none(count: usize) -> Self {
        Self {
            counters: none(count),
            up_down_counters: none(count),
            histograms: none(count),
            gauges: none(count),
        }
    }
}

fn none<I>(count: usize) -> Box<[Option<Recorder<I>>]> {
    std::iter::repeat_with(|| None).take(count).collect()
}

// === impl Recorder ===

impl<I: Measured> Recorder<I> {
    pub(crate) fn new(
        instrument: I,
        place: usize,
        sieve: Sieve,
        aggregation: StreamAggregation,
    ) -> Self {
        Self { instrument, place, sieve, aggregation }
    }

    /// Counts the measurement, if it counts. Inside a sampled span it is kept as an exemplar, too.
    pub(crate) fn record(&self, exemplars: &Exemplars, value: I::Value, attributes: &[KeyValue]) {
        self.sieve.sift(attributes, |left| {
            self.instrument.measure(value, left);
            if let Some(span) = exemplar::sampled_span() {
                exemplars.take(self.place, &self.aggregation, value.into(), left, &span);
            }
        });
    }
}

// === impl Measured ===

impl Measured for metrics::Counter<u64> {
    type Value = u64;

    fn measure(&self, value: u64, attributes: &[KeyValue]) {
        self.add(value, attributes);
    }
}

impl Measured for metrics::UpDownCounter<i64> {
    type Value = i64;

    fn measure(&self, value: i64, attributes: &[KeyValue]) {
        self.add(value, attributes);
    }
}

impl Measured for metrics::Histogram<f64> {
    type Value = f64;

    fn measure(&self, value: f64, attributes: &[KeyValue]) {
        self.record(value, attributes);
    }
}

impl Measured for metrics::Gauge<f64> {
    type Value = f64;

    fn measure(&self, value: f64, attributes: &[KeyValue]) {
        self.record(value, attributes);
    }
}
