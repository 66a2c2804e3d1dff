//! What becomes of each kind of instrument through each kind of change: the carry-over table.

use super::*;

use std::sync::atomic::AtomicI64;

use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;

use crate::config::ValueFilter;
use crate::instrument::{Gauge, Histogram, UpDownCounter};

/// What becomes of an instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It has everything, from the same start.
    GoesOn,
    /// It has what came after, from then.
    StartsAgain,
    /// It is gone.
    Ends,
}
use Fate::{Ends, GoesOn, StartsAgain};

const fn declare(name: &'static str, kind: InstrumentKind) -> Declaration {
    Declaration { name, kind, ..REQUESTS }
}

static COUNTER: Declaration = declare("Counter", InstrumentKind::Counter);
static UP_DOWN: Declaration = declare("UpDownCounter", InstrumentKind::UpDownCounter);
static HISTOGRAM: Declaration =
    Declaration { boundaries: &[1.0, 2.0, 3.0], ..declare("Histogram", InstrumentKind::Histogram) };
static GAUGE: Declaration = declare("Gauge", InstrumentKind::Gauge);
static OBSERVED: Declaration = declare("ObservableCounter", InstrumentKind::ObservableCounter);
static OBSERVED_UP_DOWN: Declaration =
    declare("ObservableUpDownCounter", InstrumentKind::ObservableUpDownCounter);
static OBSERVED_GAUGE: Declaration = declare("ObservableGauge", InstrumentKind::ObservableGauge);

/// One instrument of each kind, and the same measurements for all of them.
struct Seven {
    totals: Totals,
    counter: Counter,
    up_down: UpDownCounter,
    histogram: Histogram,
    gauge: Gauge,
    observed: Arc<AtomicI64>,
}

/// What a metric says: the sum over all of its series, and the earliest start.
#[derive(Debug, PartialEq)]
struct Said {
    sum: f64,
    start: u64,
}

impl Seven {
    fn start(first: &MetricShape) -> Self {
        let mut catalogue = Catalogue::new();
        let observed = Arc::new(AtomicI64::new(0));
        let (one, two, three) = (observed.clone(), observed.clone(), observed.clone());
        catalogue.observable_counter(&OBSERVED, move |it| {
            let value = one.load(Ordering::Relaxed) as u64;
            (0..2).for_each(|b| it.observe(value, &attributes(1, b)));
        });
        catalogue.observable_up_down_counter(&OBSERVED_UP_DOWN, move |it| {
            (0..2).for_each(|b| it.observe(two.load(Ordering::Relaxed), &attributes(1, b)));
        });
        catalogue.observable_gauge(&OBSERVED_GAUGE, move |it| {
            let value = three.load(Ordering::Relaxed) as f64;
            it.observe(value, &attributes(1, 1));
        });
        let counter = catalogue.counter(&COUNTER);
        let up_down = catalogue.up_down_counter(&UP_DOWN);
        let histogram = catalogue.histogram(&HISTOGRAM);
        let gauge = catalogue.gauge(&GAUGE);
        let (slot, declared) = catalogue.finish().unwrap();
        let totals = Totals::start(slot, declared);
        let ended = rebuild(&totals, first);
        assert_eq!(totals.settle(ended), Settled::Yes);
        Self { totals, counter, up_down, histogram, gauge, observed }
    }

    /// Measures twice with every instrument, so that each of them says 2 more; the gauges, of
    /// which only one is set here, say 2 or 4.
    fn measure(&self) {
        for b in 0..2 {
            self.counter.add(1, &attributes(1, b));
            self.up_down.add(1, &attributes(1, b));
            self.histogram.record(1.5, &attributes(1, b));
        }
        self.observed.fetch_add(1, Ordering::Relaxed);
    }

    fn said(&self, name: &str) -> Option<Said> {
        let snapshot = self.totals.snapshot();
        let mut metrics = snapshot.scopes().iter().flat_map(|scope| &scope.metrics);
        let metric = metrics.find(|metric| metric.name == name)?;
        assert_eq!(metrics.filter(|it| it.name == name).count(), 0, "{name} twice");
        let number = |value| match value {
            Some(Value::AsInt(value)) => value as f64,
            Some(Value::AsDouble(value)) => value,
            None => panic!("{name}: no value"),
        };
        let points: Vec<(u64, f64)> = match metric.data.as_ref().unwrap() {
            Data::Sum(it) => it
                .data_points
                .iter()
                .map(|it| (it.start_time_unix_nano, number(it.value)))
                .collect(),
            Data::Gauge(it) => it.data_points.iter().map(|it| (0, number(it.value))).collect(),
            Data::Histogram(it) => it
                .data_points
                .iter()
                .map(|it| {
                    let buckets: u64 = it.bucket_counts.iter().sum();
                    assert_eq!(buckets, it.count);
                    (it.start_time_unix_nano, it.count as f64)
                })
                .collect(),
            Data::ExponentialHistogram(it) => it
                .data_points
                .iter()
                .map(|it| {
                    let buckets: u64 = it.positive.as_ref().unwrap().bucket_counts.iter().sum();
                    assert_eq!(buckets, it.count);
                    (it.start_time_unix_nano, it.count as f64)
                })
                .collect(),
            Data::Summary(_) => panic!("{name}: a summary"),
        };
        let start = points.iter().map(|(start, _)| *start).min()?;
        Some(Said { sum: points.iter().map(|(_, value)| value).sum(), start })
    }
}

/// Measures before and after a change, and checks what every instrument says then.
fn check(from: &MetricShape, to: &MetricShape, fate: impl Fn(InstrumentKind) -> Fate) {
    let seven = Seven::start(from);
    seven.gauge.record(7.0, &attributes(1, 1));
    seven.measure();
    let kinds =
        [&COUNTER, &UP_DOWN, &HISTOGRAM, &GAUGE, &OBSERVED, &OBSERVED_UP_DOWN, &OBSERVED_GAUGE];
    let before = kinds.map(|it| seven.said(it.name));
    let held = seven.totals.slot.load_full();
    let prepared = seven.totals.prepare(to).unwrap();
    let mut reset: Vec<&str> = prepared.resets().iter().map(|it| it.name).collect();
    let since = seven.totals.snapshot().time();
    let ended = seven.totals.commit(prepared);
    seven.measure();
    let compare = |when: &str| {
        for (declaration, before) in kinds.iter().zip(&before) {
            let Declaration { name, kind, .. } = **declaration;
            let after = seven.said(name);
            let context = format!("{name} {when}: {before:?} {after:?}");
            match (fate(kind), before, after) {
                (Ends, _, None) => {}
                (GoesOn, Some(before), Some(after)) => {
                    assert_eq!(before.start, after.start, "{context}");
                    let sum = match kind {
                        InstrumentKind::Gauge => 7.0,
                        InstrumentKind::ObservableGauge => 2.0,
                        _ => 4.0,
                    };
                    assert_eq!(after.sum, sum, "{context}");
                }
                (StartsAgain, _, None) => assert_eq!(kind, InstrumentKind::Gauge, "{context}"),
                (StartsAgain, _, Some(after)) => {
                    assert!(after.start > since, "{context}");
                    assert_eq!(after.sum, 2.0, "{context}");
                }
                (fate, ..) => panic!("{fate:?}: {context}"),
            }
        }
    };
    compare("while the old generation is held");
    drop(held);
    assert_eq!(seven.totals.settle(ended), Settled::Yes);
    compare("when it is gone");
    reset.sort_unstable();
    let mut expected: Vec<&str> =
        kinds.iter().filter(|it| fate(it.kind) == StartsAgain).map(|it| it.name).collect();
    expected.sort_unstable();
    assert_eq!(reset, expected, "what was announced");
}

fn all(fate: Fate) -> impl Fn(InstrumentKind) -> Fate {
    move |_| fate
}

/// Histograms fare like this, the rest goes on.
fn histograms(fate: Fate) -> impl Fn(InstrumentKind) -> Fate {
    move |kind| if kind == InstrumentKind::Histogram { fate } else { GoesOn }
}

/// What is recorded starts again, what is observed goes on.
fn recorded_starts_again(kind: InstrumentKind) -> Fate {
    match kind {
        InstrumentKind::Counter
        | InstrumentKind::UpDownCounter
        | InstrumentKind::Histogram
        | InstrumentKind::Gauge => StartsAgain,
        _ => GoesOn,
    }
}

fn plain() -> MetricShape {
    shape(Vec::new())
}

fn buckets(boundaries: &[f64]) -> MetricShape {
    aggregated(Aggregation::ExplicitBuckets(boundaries.to_vec()))
}

fn exponential(max_size: u32, max_scale: i8) -> MetricShape {
    aggregated(Aggregation::Exponential { max_size, max_scale })
}

fn aggregated(aggregation: Aggregation) -> MetricShape {
    shape(vec![view(|it| {
        it.selector.kind = Some(InstrumentKind::Histogram);
        it.aggregation = Some(aggregation);
    })])
}

fn dropped() -> MetricShape {
    shape(vec![view(|it| it.aggregation = Some(Aggregation::Drop))])
}

fn limited(limit: u32) -> MetricShape {
    shape(vec![view(|it| it.cardinality_limit = std::num::NonZeroU32::new(limit))])
}

#[test]
fn attributes_come_and_go_and_every_sum_goes_on() {
    check(&plain(), &without("b"), all(GoesOn));
    check(&without("b"), &plain(), all(GoesOn));
    check(&without("a"), &without("b"), all(GoesOn));
    check(&plain(), &plain(), all(GoesOn));
}

#[test]
fn fewer_boundaries_go_on_and_others_start_again() {
    check(&plain(), &buckets(&[1.0, 3.0]), histograms(GoesOn));
    check(&buckets(&[2.0]), &buckets(&[]), histograms(GoesOn));
    check(&buckets(&[1.0, 3.0]), &plain(), histograms(StartsAgain));
    check(&plain(), &buckets(&[1.0, 2.5]), histograms(StartsAgain));
}

#[test]
fn exponential_buckets_go_on_among_themselves() {
    check(&exponential(160, 20), &exponential(10, 3), histograms(GoesOn));
    check(&exponential(10, 3), &exponential(160, 20), histograms(GoesOn));
    check(&exponential(160, 20), &plain(), histograms(StartsAgain));
    check(&plain(), &exponential(160, 20), histograms(StartsAgain));
}

#[test]
fn what_is_dropped_ends_and_what_comes_back_starts_again() {
    check(&plain(), &dropped(), all(Ends));
    let seven = Seven::start(&dropped());
    seven.measure();
    assert_eq!(seven.totals.snapshot().points(), 0);
    rebuild(&seven.totals, &plain());
    seven.measure();
    let said = |it: &Declaration| seven.said(it.name).unwrap();
    assert_eq!(said(&COUNTER).sum, 2.0);
    assert_eq!(said(&HISTOGRAM).sum, 2.0);
    assert_eq!(said(&OBSERVED).sum, 4.0, "it is told all that was counted");
    assert!(said(&OBSERVED).start < said(&COUNTER).start, "from the first start");
}

#[test]
fn a_higher_limit_goes_on_and_a_lower_one_starts_again() {
    check(&limited(10), &limited(20), all(GoesOn));
    check(&limited(20), &limited(10), recorded_starts_again);
}

#[test]
fn values_that_are_excluded_leave_and_the_others_stay() {
    static BY_NAMESPACE: Declaration = Declaration { attributes: &["namespace"], ..REQUESTS };
    let mut catalogue = Catalogue::new();
    let counter = catalogue.counter(&BY_NAMESPACE);
    let (slot, declared) = catalogue.finish().unwrap();
    let totals = Totals::start(slot, declared);
    let count = || {
        ["kept", "secret"].iter().for_each(|it| counter.add(1, &[KeyValue::new("namespace", *it)]))
    };
    let excluding = |exclude: &[&str]| MetricShape {
        values: ValueFilter {
            key: "namespace".to_owned(),
            exclude: exclude.iter().map(|it| (*it).to_owned()).collect(),
            ..ValueFilter::default()
        },
        ..MetricShape::default()
    };
    count();
    let before = series(&totals.snapshot());
    rebuild(&totals, &excluding(&["secret"]));
    count();
    assert_eq!(series(&totals.snapshot()), [(before[0].0, 2)]);
    rebuild(&totals, &excluding(&[]));
    count();
    let mut after = series(&totals.snapshot());
    after.sort_unstable();
    assert_eq!(after[0], (before[0].0, 3));
    assert!(after[1].0 > before[0].0 && after[1].1 == 1, "it starts again: {after:?}");
}
