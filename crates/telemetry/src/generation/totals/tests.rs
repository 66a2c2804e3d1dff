use super::*;

use std::sync::atomic::AtomicBool;

use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;

use crate::config::{Aggregation, AttributeKeys, Glob, Selector, View};
use crate::instrument::{Catalogue, Counter, Declaration, InstrumentKind};

mod exemplars;
mod fates;

static REQUESTS: Declaration = Declaration {
    scope: "test",
    name: "requests",
    kind: InstrumentKind::Counter,
    unit: "",
    description: "",
    attributes: &["a", "b"],
    boundaries: &[],
};

fn counting() -> (Totals, Counter) {
    let mut catalogue = Catalogue::new();
    let counter = catalogue.counter(&REQUESTS);
    let (slot, declared) = catalogue.finish().unwrap();
    (Totals::start(slot, declared), counter)
}

fn view(change: impl FnOnce(&mut View)) -> View {
    let mut view = View {
        name: "view".to_owned(),
        selector: Selector { name: Glob::parse("*").ok(), kind: None },
        attributes: AttributeKeys::Unchanged,
        cardinality_limit: None,
        aggregation: None,
    };
    change(&mut view);
    view
}

fn shape(views: Vec<View>) -> MetricShape {
    MetricShape { views, ..MetricShape::default() }
}

fn without(key: &str) -> MetricShape {
    let keys = [key.to_owned()].into();
    shape(vec![view(|it| it.attributes = AttributeKeys::Excluded(keys))])
}

fn rebuild(totals: &Totals, wanted: &MetricShape) -> Ended {
    let rebuild = totals.prepare(wanted).unwrap();
    totals.commit(rebuild)
}

/// Start time and value of every series of the counter.
fn series(snapshot: &Snapshot) -> Vec<(u64, i64)> {
    let metrics = snapshot.scopes().iter().flat_map(|scope| &scope.metrics);
    let sums = metrics.filter(|it| it.name == "requests").filter_map(|it| it.data.as_ref());
    let points = sums.flat_map(|data| match data {
        Data::Sum(sum) => sum.data_points.iter(),
        other => panic!("{other:?}"),
    });
    let whole = |value| match value {
        Some(opentelemetry_proto::tonic::metrics::v1::number_data_point::Value::AsInt(it)) => it,
        other => panic!("{other:?}"),
    };
    points.map(|point| (point.start_time_unix_nano, whole(point.value))).collect()
}

fn total(snapshot: &Snapshot) -> i64 {
    series(snapshot).iter().map(|(_, value)| value).sum()
}

fn attributes(a: i64, b: i64) -> [KeyValue; 2] {
    [KeyValue::new("a", a), KeyValue::new("b", b)]
}

#[test]
fn a_generation_that_somebody_records_into_stays_until_it_is_released() {
    let (totals, counter) = counting();
    counter.add(1, &attributes(1, 1));
    // A thread that has loaded the generation, and is not yet back.
    let held = totals.slot.load_full();
    let recording = held.as_ref().unwrap();
    let ended = rebuild(&totals, &without("b"));
    counter.add(2, &attributes(1, 2));
    assert_eq!(totals.settle(ended), Settled::NotYet);
    assert_eq!(totals.generations(), (2, 1));
    let recorder = recording.recorders().counters[0].as_ref().unwrap();
    recorder.record(recording.exemplars(), 4, &attributes(1, 3));
    assert_eq!(total(&totals.snapshot()), 7, "what is recorded late is read all the same");
    let freed = Arc::downgrade(recording);
    drop(held);
    assert_eq!(totals.settle(ended), Settled::Yes);
    assert_eq!(totals.generations(), (2, 0));
    assert!(freed.upgrade().is_none());
    assert_eq!(total(&totals.snapshot()), 7);
}

#[test]
fn a_guard_of_the_slot_keeps_its_generation_as_an_arc_does() {
    let (totals, _) = counting();
    let guard = totals.slot.load();
    let ended = rebuild(&totals, &without("b"));
    assert_eq!(totals.settle(ended), Settled::NotYet);
    drop(guard);
    assert_eq!(totals.settle(ended), Settled::Yes);
}

#[test]
fn several_generations_in_quick_succession_all_count_whichever_is_released_first() {
    let (totals, counter) = counting();
    let mut held = Vec::new();
    let mut newest = None;
    for round in 0..5 {
        counter.add(1 << round, &attributes(1, round));
        held.push(totals.slot.load_full());
        newest = Some(rebuild(&totals, &if round % 2 == 0 { without("b") } else { shape(vec![]) }));
    }
    let newest = newest.unwrap();
    assert_eq!(totals.generations(), (6, 5));
    assert_eq!(total(&totals.snapshot()), 31);
    while let Some(one) = held.pop() {
        assert_eq!(totals.settle(newest), Settled::NotYet);
        drop(one);
        assert_eq!(total(&totals.snapshot()), 31);
    }
    assert_eq!(totals.settle(newest), Settled::Yes);
    assert_eq!((totals.generations(), total(&totals.snapshot())), ((6, 0), 31));
}

#[test]
fn the_last_totals_of_a_generation_have_its_shape_and_the_moment_of_its_end() {
    let (totals, counter) = counting();
    counter.add(1, &attributes(1, 1));
    counter.add(1, &attributes(1, 2));
    let before = totals.snapshot();
    let ended = rebuild(&totals, &without("b"));
    counter.add(5, &attributes(1, 3));
    let after = totals.snapshot();
    let last = totals.last_of(ended);
    assert_eq!(series(&last).iter().map(|(_, value)| *value).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(series(&after).iter().map(|(_, value)| *value).collect::<Vec<_>>(), [7]);
    assert!(last.is_newer_than(&before) && after.is_newer_than(&last));
    assert!(before.time() < last.time() && last.time() < after.time());
}

#[test]
fn a_stream_that_starts_again_does_so_after_the_last_point_before() {
    let (totals, counter) = counting();
    counter.add(3, &attributes(1, 1));
    let limit =
        |limit| shape(vec![view(|it| it.cardinality_limit = std::num::NonZeroU32::new(limit))]);
    // Prepared before the last point: the SDK's own start time is too early.
    let prepared = totals.prepare(&limit(100)).unwrap();
    assert_eq!(prepared.resets().iter().map(|it| it.reason).collect::<Vec<_>>(), ["LimitLowered"]);
    let before = totals.snapshot();
    let ended = totals.commit(prepared);
    let last = totals.last_of(ended);
    counter.add(2, &attributes(1, 1));
    let after = totals.snapshot();
    assert_eq!(total(&after), 2);
    let start = series(&after)[0].0;
    assert!(before.time() < start && last.time() <= start && start < after.time());
    assert_eq!(totals.resets()[0].name, "requests");
    // What goes on keeps the start that it has.
    rebuild(&totals, &limit(200));
    counter.add(2, &attributes(1, 1));
    assert_eq!(series(&totals.snapshot()), [(start, 4)]);
}

#[test]
fn an_overflow_is_told() {
    let (totals, counter) = counting();
    let limited = shape(vec![view(|it| it.cardinality_limit = std::num::NonZeroU32::new(3))]);
    rebuild(&totals, &limited);
    (0..2).for_each(|a| counter.add(1, &attributes(a, 0)));
    assert_eq!(series(&totals.snapshot()).len(), 2);
    assert!(totals.overflowing().is_empty());
    (2..9).for_each(|a| counter.add(1, &attributes(a, 0)));
    let snapshot = totals.snapshot();
    assert_eq!((series(&snapshot).len(), total(&snapshot)), (3, 9));
    assert_eq!(*totals.overflowing(), ["requests".to_owned()].into());
}

#[test]
fn a_foreign_callback_that_panics_stops_what_is_foreign_and_nothing_else() {
    let (totals, declared) = counting();
    let meter = totals.meter("scope");
    let counter = meter.u64_counter("c").build();
    counter.add(1, &[]);
    let points = totals.snapshot().points();
    let panicked = AtomicBool::new(false);
    meter
        .u64_observable_gauge("g")
        .with_callback(move |_| assert!(panicked.swap(true, Ordering::Relaxed), "a bug"))
        .build();
    assert!(!totals.broken().is_cancelled());
    for failed in 1..=2 {
        declared.add(1, &attributes(1, 1));
        let snapshot = totals.snapshot();
        assert_eq!((snapshot.points(), total(&snapshot)), (points + 1, failed));
        assert_eq!(totals.failed_collections(), failed as u64);
        assert!(totals.broken().is_cancelled());
        counter.add(1, &[]);
    }
}

#[test]
fn a_callback_that_panics_is_asked_again_and_breaks_nothing() {
    static QUEUE: Declaration =
        Declaration { name: "queue", kind: InstrumentKind::ObservableCounter, ..REQUESTS };
    let mut catalogue = Catalogue::new();
    let healed = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&healed);
    catalogue.observable_counter(&QUEUE, move |observer| {
        observer.observe(1, &attributes(1, 1));
        assert!(asked.load(Ordering::Relaxed), "a bug");
        observer.observe(1, &attributes(1, 2));
    });
    let (slot, declared) = catalogue.finish().unwrap();
    let totals = Totals::start(slot, declared);
    assert_eq!(totals.snapshot().points(), 1, "what it observed before");
    rebuild(&totals, &without("b"));
    assert_eq!(totals.snapshot().points(), 0, "a part of a sum is none");
    assert_eq!((totals.panics(), totals.failed_collections()), (2, 0));
    healed.store(true, Ordering::Relaxed);
    assert_eq!(totals.snapshot().points(), 1);
    rebuild(&totals, &shape(Vec::new()));
    assert_eq!(totals.snapshot().points(), 2);
    assert!(!totals.broken().is_cancelled());
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_built() {
    let (totals, _) = counting();
    let histogram = view(|it| it.aggregation = Some(Aggregation::ExplicitBuckets(vec![1.0])));
    let refused = totals.prepare(&shape(vec![histogram.clone()])).err().unwrap();
    assert_eq!(vec![refused], totals.check(&shape(vec![histogram])));
    assert_eq!(totals.generations(), (1, 0));
}
