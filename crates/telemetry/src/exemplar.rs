//! Exemplars: single measurements that lead from a metric to a trace. The SDK has none.
//!
//! A measurement made inside a sampled span is kept for its series and bucket, the newest wins;
//! [`Exemplars::attach`] puts what is kept into the points of a snapshot. Nothing waits here: a
//! place that is in use at that moment is left as it is.
//!
//! A generation has [`PLACES`] of them, and a hash decides which one a series and bucket takes: two
//! that meet in one replace each other. So memory is bounded, and no old series keeps a new one
//! out. A measurement that went into the overflow has no point of its own, and its exemplar is
//! not shown. Exemplars end with their generation.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Metric, ScopeMetrics, exemplar};

use crate::carry::{Index, Point, StreamAggregation, canonical};
use crate::instrument::{Declaration, Declared};
use crate::snapshot::now;

/// How many exemplars a generation has room for.
const PLACES: usize = 4096;
/// The bits of a `f64` that are its exponent.
const EXPONENT: (u32, u64) = (52, 0x7ff);

/// The exemplars of one generation.
#[derive(Debug)]
pub(crate) struct Exemplars {
    places: Box<[Mutex<Option<Box<Taken>>>]>,
    /// Whether there is any: most programs have none.
    any: AtomicBool,
}

/// The span that a measurement was made in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    trace: TraceId,
    span: SpanId,
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number {
    Whole(i64),
    Real(f64),
}

/// A measurement that was kept.
#[derive(Clone, Debug)]
struct Taken {
    /// The index of the instrument in the catalogue.
    instrument: usize,
    bucket: usize,
    /// What views left of them.
    attributes: Vec<KeyValue>,
    value: Number,
    time: u64,
    span: Span,
}

/// The sampled span that this thread is in.
pub(crate) fn sampled_span() -> Option<Span> {
    Context::map_current(|context| {
        if !context.has_active_span() {
            return None;
        }
        let span = context.span();
        Span::of(span.span_context())
    })
}

// === impl Span ===

impl Span {
    /// If it is sampled.
    pub(crate) fn of(span: &SpanContext) -> Option<Self> {
        span.is_sampled().then(|| Self { trace: span.trace_id(), span: span.span_id() })
    }
}

// === impl Exemplars ===

impl Exemplars {
    pub(crate) fn new() -> Self {
        let places = std::iter::repeat_with(Mutex::default).take(PLACES).collect();
        Self { places, any: AtomicBool::new(false) }
    }

    /// Keeps a measurement in place of the one before in its series and bucket. Allocates where
    /// that was of another series.
    pub(crate) fn take(
        &self,
        instrument: usize,
        aggregation: &StreamAggregation,
        value: Number,
        attributes: &[KeyValue],
        span: &Span,
    ) {
        let Some(bucket) = value.bucket(aggregation) else { return };
        let mut hasher = DefaultHasher::new();
        (instrument, bucket, attributes).hash(&mut hasher);
        let place = hasher.finish() as usize % PLACES;
        // Somebody else is at it: theirs is as good.
        let Ok(mut place) = self.places[place].try_lock() else { return };
        let (time, span) = (now(), *span);
        match &mut *place {
            Some(taken) if taken.is_for(instrument, bucket, attributes) => {
                (taken.value, taken.time, taken.span) = (value, time, span);
            }
            place => {
                let attributes = attributes.to_vec();
                let taken = Taken { instrument, bucket, attributes, value, time, span };
                *place = Some(Box::new(taken));
                self.any.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Puts every exemplar into the point of its series, if there is one.
    pub(crate) fn attach(&self, totals: &mut [ScopeMetrics], declared: &[Declared]) {
        if !self.any.load(Ordering::Relaxed) {
            return;
        }
        let mut taken: HashMap<usize, Vec<Taken>> = HashMap::new();
        for place in &self.places {
            let place = place.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(kept) = &*place {
                taken.entry(kept.instrument).or_default().push(Taken::clone(kept));
            }
        }
        for (instrument, taken) in taken {
            let metric = declared.get(instrument).and_then(|it| find(totals, it.declaration));
            if let Some(metric) = metric {
                attach_to(metric, &taken);
            }
        }
    }
}

fn find<'a>(totals: &'a mut [ScopeMetrics], declaration: &Declaration) -> Option<&'a mut Metric> {
    let scope = totals
        .iter_mut()
        .find(|it| it.scope.as_ref().is_some_and(|scope| scope.name == declaration.scope))?;
    scope.metrics.iter_mut().find(|metric| metric.name == declaration.name)
}

fn attach_to(metric: &mut Metric, taken: &[Taken]) {
    match &mut metric.data {
        Some(Data::Sum(it)) => attach_each(&mut it.data_points, taken, |it| &mut it.exemplars),
        Some(Data::Gauge(it)) => attach_each(&mut it.data_points, taken, |it| &mut it.exemplars),
        Some(Data::Histogram(it)) => {
            attach_each(&mut it.data_points, taken, |it| &mut it.exemplars);
        }
        Some(Data::ExponentialHistogram(it)) => {
            attach_each(&mut it.data_points, taken, |it| &mut it.exemplars);
        }
        Some(Data::Summary(_)) | None => {}
    }
}

fn attach_each<P: Point>(
    points: &mut [P],
    taken: &[Taken],
    exemplars: impl Fn(&mut P) -> &mut Vec<Exemplar>,
) {
    points.iter_mut().for_each(|point| canonical(point.attributes_mut()));
    let index = Index::of(points);
    for taken in taken {
        let mut attributes: Vec<_> = taken.attributes.iter().map(Into::into).collect();
        canonical(&mut attributes);
        if let Some(place) = index.find(points, &attributes) {
            exemplars(&mut points[place]).push(taken.exemplar());
        }
    }
    for point in points {
        exemplars(point).sort_by_key(|exemplar| exemplar.time_unix_nano);
    }
}

// === impl Taken ===

impl Taken {
    fn is_for(&self, instrument: usize, bucket: usize, attributes: &[KeyValue]) -> bool {
        self.instrument == instrument && self.bucket == bucket && self.attributes == attributes
    }

    fn exemplar(&self) -> Exemplar {
        Exemplar {
            filtered_attributes: Vec::new(),
            time_unix_nano: self.time,
            span_id: self.span.span.to_bytes().to_vec(),
            trace_id: self.span.trace.to_bytes().to_vec(),
            value: Some(match self.value {
                Number::Whole(value) => exemplar::Value::AsInt(value),
                Number::Real(value) => exemplar::Value::AsDouble(value),
            }),
        }
    }
}

// === impl Number ===

impl Number {
    /// Which exemplars of a series stand side by side: those of different buckets. `None` where
    /// the SDK leaves the measurement out.
    fn bucket(self, aggregation: &StreamAggregation) -> Option<usize> {
        match (self, aggregation) {
            (Self::Real(value), _) if !value.is_finite() => None,
            (Self::Real(value), StreamAggregation::Explicit(boundaries)) => {
                Some(boundaries.partition_point(|boundary| *boundary < value))
            }
            // Powers of two, whatever the scale is at the moment.
            (Self::Real(value), StreamAggregation::Exponential { .. }) => {
                Some((value.to_bits() >> EXPONENT.0 & EXPONENT.1) as usize)
            }
            _ => Some(0),
        }
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self::Whole(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self::Whole(value)
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}
