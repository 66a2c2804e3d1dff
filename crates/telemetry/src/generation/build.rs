//! Makes the instruments of a generation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use opentelemetry_sdk::metrics::{Aggregation, Instrument, Stream};

use crate::carry::{Shapes as _, StreamAggregation};
use crate::instrument::{
    Asked, Callback, Declared, InstrumentKind, Observed, Recorder, Recorders, Sieve,
};
use crate::shape::Shape;

use super::source::Source;

/// What observable instruments need to know about their generation.
pub(super) struct Asking {
    /// Whether they are asked.
    pub(super) asking: Arc<AtomicBool>,
    /// How many callbacks panicked.
    pub(super) panics: Arc<AtomicU64>,
}

/// The unit and the description of an instrument; the SDK has a builder for each kind.
macro_rules! describe {
    ($builder:expr, $declaration:expr) => {
        $builder.with_unit($declaration.unit).with_description($declaration.description)
    };
}

/// A provider that aggregates as `shape` says.
pub(super) fn source(shape: &Arc<Shape>) -> Source {
    let shape = Arc::clone(shape);
    Source::new(move |instrument| stream(&shape, instrument))
}

/// How the SDK aggregates an instrument. Attributes are left out before they reach it.
fn stream(shape: &Shape, instrument: &Instrument) -> Option<Stream> {
    let wanted = shape.shape(instrument.scope().name(), instrument.name())?;
    // The overflow has a series of its own, which the SDK does not count.
    let limit = wanted.limit.saturating_sub(1).max(1) as usize;
    let aggregation = match &wanted.aggregation {
        StreamAggregation::Sum => Aggregation::Sum,
        StreamAggregation::LastValue => Aggregation::LastValue,
        StreamAggregation::Explicit(boundaries) => Aggregation::ExplicitBucketHistogram {
            boundaries: boundaries.clone(),
            record_min_max: false,
        },
        StreamAggregation::Exponential { max_size, max_scale } => {
            Aggregation::Base2ExponentialHistogram {
                max_size: *max_size,
                max_scale: *max_scale,
                record_min_max: false,
            }
        }
    };
    let stream =
        Stream::builder().with_aggregation(aggregation).with_cardinality_limit(limit).build();
    // What the SDK refuses was left out when the shape was resolved.
    stream.ok()
}

/// Makes every declared instrument in `source` that `shape` does not drop.
pub(super) fn recorders(
    source: &Source,
    declared: &[Declared],
    shape: &Shape,
    asking: &Asking,
) -> Recorders {
    let values = Arc::new(shape.wanted().values.clone());
    let mut recorders = Recorders::none(declared.len());
    for (place, (instrument, stream)) in declared.iter().zip(shape.streams()).enumerate() {
        if stream.dropped {
            continue;
        }
        let Declared { declaration, .. } = instrument;
        let meter = source.meter(declaration.scope);
        let sieve = Sieve::new(declaration, &stream.keys, &values);
        let aggregation = stream.aggregation.clone();
        match declaration.kind {
            InstrumentKind::Counter => {
                let it = describe!(meter.u64_counter(declaration.name), declaration).build();
                recorders.counters[place] = Some(Recorder::new(it, place, sieve, aggregation));
            }
            InstrumentKind::UpDownCounter => {
                let it =
                    describe!(meter.i64_up_down_counter(declaration.name), declaration).build();
                recorders.up_down_counters[place] =
                    Some(Recorder::new(it, place, sieve, aggregation));
            }
            InstrumentKind::Histogram => {
                let it = describe!(meter.f64_histogram(declaration.name), declaration).build();
                recorders.histograms[place] = Some(Recorder::new(it, place, sieve, aggregation));
            }
            InstrumentKind::Gauge => {
                let it = describe!(meter.f64_gauge(declaration.name), declaration).build();
                recorders.gauges[place] = Some(Recorder::new(it, place, sieve, aggregation));
            }
            InstrumentKind::ObservableCounter
            | InstrumentKind::ObservableUpDownCounter
            | InstrumentKind::ObservableGauge => observable(source, instrument, &sieve, asking),
        }
    }
    recorders
}

/// Has the SDK ask the callbacks of an instrument whenever it is read.
fn observable(source: &Source, instrument: &Declared, sieve: &Sieve, asking: &Asking) {
    /// One builder of the SDK for each type of values.
    macro_rules! observe {
        ($Kind:ident, $make:ident, $unite:expr) => {{
            let declaration = instrument.declaration;
            let observed = Observed {
                name: declaration.name,
                sieve: sieve.clone(),
                callbacks: instrument
                    .callbacks
                    .iter()
                    .filter_map(|callback| match callback {
                        Callback::$Kind(callback) => Some(Asked::clone(callback)),
                        _ => None,
                    })
                    .collect(),
                unite: $unite,
                asking: Arc::clone(&asking.asking),
                panics: Arc::clone(&asking.panics),
            };
            describe!(source.meter(declaration.scope).$make(declaration.name), declaration)
                .with_callback(move |instrument| observed.ask(instrument))
                .build();
        }};
    }
    match instrument.declaration.kind {
        InstrumentKind::ObservableCounter => {
            observe!(Counter, u64_observable_counter, u64::saturating_add);
        }
        InstrumentKind::ObservableUpDownCounter => {
            observe!(UpDownCounter, i64_observable_up_down_counter, i64::saturating_add);
        }
        InstrumentKind::ObservableGauge => {
            observe!(Gauge, f64_observable_gauge, |_earlier, later| later);
        }
        InstrumentKind::Counter
        | InstrumentKind::UpDownCounter
        | InstrumentKind::Histogram
        | InstrumentKind::Gauge => {}
    }
}
