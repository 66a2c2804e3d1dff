//! What one generation does with a measurement of one instrument.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{self, BoundCounter, BoundHistogram};

use crate::carry::StreamAggregation;
use crate::exemplar::{self, Exemplars, Number, Span};

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

/// One series of an instrument of the SDK, found once.
#[derive(Debug)]
pub(crate) struct Bound<B> {
    instrument: B,
    place: usize,
    /// What the sieve leaves of the attributes.
    left: Arc<[KeyValue]>,
    aggregation: StreamAggregation,
}

/// What the SDK's instruments have in common.
pub(crate) trait Measured {
    type Value: Copy + Into<Number>;

    fn measure(&self, value: Self::Value, attributes: &[KeyValue]);
}

/// What those of them that can be bound have in common.
pub(crate) trait Bind: Measured {
    type Bound: BoundMeasured<Value = Self::Value>;

    fn bind(&self, attributes: &[KeyValue]) -> Self::Bound;
}

/// What they are then.
pub(crate) trait BoundMeasured {
    type Value: Copy + Into<Number>;

    fn measure(&self, value: Self::Value);
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

impl<I: Bind> Recorder<I> {
    /// The series with these attributes, if its measurements count.
    pub(crate) fn bind(&self, attributes: &Arc<[KeyValue]>) -> Option<Bound<I::Bound>> {
        let mut bound = None;
        self.sieve.sift(attributes, |left| {
            let same = left.len() == attributes.len();
            let left = if same { Arc::clone(attributes) } else { left.into() };
            let instrument = self.instrument.bind(&left);
            let aggregation = self.aggregation.clone();
            bound = Some(Bound { instrument, place: self.place, left, aggregation });
        });
        bound
    }
}

// === impl Bound ===

impl<B: BoundMeasured> Bound<B> {
    /// Counts the measurement. Inside a sampled span it is kept as an exemplar, too.
    pub(crate) fn record(&self, exemplars: &Exemplars, value: B::Value, span: Option<Span>) {
        self.instrument.measure(value);
        if let Some(span) = span {
            exemplars.take(self.place, &self.aggregation, value.into(), &self.left, &span);
        }
    }
}

// === impl BoundMeasured ===

impl BoundMeasured for BoundCounter<u64> {
    type Value = u64;

    fn measure(&self, value: u64) {
        self.add(value);
    }
}

impl BoundMeasured for BoundHistogram<f64> {
    type Value = f64;

    fn measure(&self, value: f64) {
        self.record(value);
    }
}

// === impl Bind ===

impl Bind for metrics::Counter<u64> {
    type Bound = BoundCounter<u64>;

    fn bind(&self, attributes: &[KeyValue]) -> Self::Bound {
        self.bind(attributes)
    }
}

impl Bind for metrics::Histogram<f64> {
    type Bound = BoundHistogram<f64>;

    fn bind(&self, attributes: &[KeyValue]) -> Self::Bound {
        self.bind(attributes)
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
