//! Views change while a program records, and nothing is lost, doubled or started anew in silence.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

mod support;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use opentelemetry::KeyValue;
use pharos_telemetry::config::{Aggregation, AttributeKeys, MetricShape, Temporality};
use pharos_telemetry::{
    Catalogue, Config, Counter, Declaration, GenerationChange, Histogram, InstrumentKind, Pipeline,
    Reloader, Scrape,
};
use pharos_testkit::eventually;
use support::{Export, PATIENCE, Point, Receiver, commit, scraped, set, start_with, view};

const OFTEN: Duration = Duration::from_millis(5);
const NEVER: Duration = Duration::from_secs(3600);

static REQUESTS: Declaration = Declaration {
    scope: "test",
    name: "requests",
    kind: InstrumentKind::Counter,
    unit: "",
    description: "",
    attributes: &["thread", "odd"],
    boundaries: &[],
};

static OBSERVED: Declaration =
    Declaration { name: "observed", kind: InstrumentKind::ObservableCounter, ..REQUESTS };

static SECONDS: Declaration = Declaration {
    name: "seconds",
    kind: InstrumentKind::Histogram,
    boundaries: &[0.1, 1.0],
    ..REQUESTS
};

fn started() -> (Pipeline, Reloader, Counter, Histogram) {
    let mut catalogue = Catalogue::new();
    let (counter, histogram) = (catalogue.counter(&REQUESTS), catalogue.histogram(&SECONDS));
    let (pipeline, reloader) = start_with(catalogue);
    (pipeline, reloader, counter, histogram)
}

fn attributes(thread: i64, odd: bool) -> [KeyValue; 2] {
    [KeyValue::new("thread", thread), KeyValue::new("odd", odd)]
}

fn shaped(mut config: Config, shape: MetricShape) -> Config {
    config.metrics.shape = shape;
    config
}

fn without(key: &str) -> MetricShape {
    let views = vec![view("*", |it| it.attributes = AttributeKeys::Excluded(set(&[key])))];
    MetricShape { views, ..MetricShape::default() }
}

/// Shapes that every stream can go on in, all of them different.
fn changing(round: u32) -> MetricShape {
    let exponential = Aggregation::Exponential { max_size: 40 + round % 2 * 40, max_scale: 10 };
    let mut views = vec![view("seconds", |it| it.aggregation = Some(exponential))];
    if round % 2 == 1 {
        views.extend(without("odd").views);
    }
    let cardinality_limit = NonZeroU32::new(2000 + round).unwrap();
    MetricShape { views, cardinality_limit, ..MetricShape::default() }
}

fn text(pipeline: &Pipeline) -> String {
    match pipeline.scrape() {
        Scrape::Text(page) => page,
        Scrape::Off => panic!("nothing to scrape"),
    }
}

async fn until_settled(pipeline: &Pipeline) {
    let settled =
        eventually("every old generation to be freed", PATIENCE, async || {
            match pipeline.debug().generations.retiring {
                0 => Ok(()),
                retiring => Err(format!("{retiring} are not")),
            }
        });
    settled.await.unwrap();
}

/// A series that has the start that it had has not gone down; one that started again did so after
/// its last point.
fn assert_starts_are_told(exports: &[Export]) {
    let mut last: BTreeMap<String, Point> = BTreeMap::new();
    for export in exports {
        for (series, point) in export.points() {
            assert!(point.start < point.time, "{series}: {point:?}");
            let Some(before) = last.insert(series.clone(), point) else { continue };
            if point.start == before.start {
                assert!(before.value <= point.value, "{series}: {before:?} {point:?}");
            } else {
                assert!(before.time <= point.start, "{series}: {before:?} {point:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_rebuilds_lose_nothing_and_double_nothing() {
    let receiver = Receiver::start();
    let (pipeline, mut reloader, counter, histogram) = started();
    let sink = || Config::prometheus().with_sink("gateway", receiver.sink(OFTEN));
    commit(&mut reloader, shaped(sink(), changing(0))).await.drain(PATIENCE).await;
    let first = pipeline.debug().generations.current;

    let (stop, recorded) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let known = Arc::new([false, true].map(|odd| {
        let attributes: Arc<[KeyValue]> = attributes(1, odd).into();
        (counter.series(&attributes), histogram.series(&attributes))
    }));
    // The first looks its attributes up at every measurement, the others share their series.
    let threads: Vec<_> = (0..3)
        .map(|number| {
            let (counter, histogram) = (counter.clone(), histogram.clone());
            let known = (number > 0).then(|| Arc::clone(&known));
            let (stop, recorded) = (Arc::clone(&stop), Arc::clone(&recorded));
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let round = recorded.fetch_add(1, Ordering::Relaxed);
                    let odd = round % 2 == 1;
                    if let Some(known) = &known {
                        let (counter, histogram) = &known[usize::from(odd)];
                        counter.add(1, None);
                        histogram.record(round as f64, None);
                    } else {
                        let attributes = attributes(number, odd);
                        counter.add(1, &attributes);
                        histogram.record(round as f64, &attributes);
                    }
                    thread::yield_now();
                }
            })
        })
        .collect();
    for round in 1..=200 {
        let prepared = reloader.prepare(shaped(sink(), changing(round))).await.unwrap();
        assert_eq!(prepared.plan().generation(), GenerationChange::Rebuild);
        assert_eq!(prepared.resets(), []);
        let mut retired = prepared.commit();
        match round % 3 {
            0 => retired.in_force().await,
            1 => drop(text(&pipeline)),
            _ => {}
        }
    }
    stop.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let recorded = recorded.load(Ordering::Relaxed) as f64;
    assert_eq!(pipeline.debug().generations.current, first + 200);
    until_settled(&pipeline).await;
    assert_eq!(scraped(&text(&pipeline), "requests_total"), recorded);
    assert_eq!(scraped(&text(&pipeline), "seconds_count"), recorded);
    let report = reloader.shutdown(PATIENCE).await;
    assert_eq!(report.drained.lost(), 0, "{report:?}");

    let exports = receiver.exports();
    assert_eq!(exports.last().unwrap().total("requests"), recorded);
    assert_eq!(exports.last().unwrap().total("seconds"), recorded);
    for metric in ["requests", "seconds"] {
        let totals: Vec<f64> = exports.iter().map(|export| export.total(metric)).collect();
        assert!(totals.is_sorted(), "{metric} went down: {totals:?}");
    }
    assert_starts_are_told(&exports);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_generation_is_freed_although_nobody_reads() {
    let (pipeline, mut reloader, counter, _) = started();
    counter.add(1, &attributes(1, true));
    let config = shaped(Config::prometheus(), without("odd"));
    drop(commit(&mut reloader, config).await);
    until_settled(&pipeline).await;
    assert_eq!(pipeline.debug().generations.current, 2);
    assert_eq!(scraped(&text(&pipeline), "requests_total"), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prepared_rebuild_that_is_dropped_changes_nothing() {
    let (pipeline, mut reloader, counter, _) = started();
    commit(&mut reloader, Config::prometheus()).await.drain(PATIENCE).await;
    drop(reloader.prepare(shaped(Config::prometheus(), without("odd"))).await.unwrap());
    counter.add(1, &attributes(1, true));
    assert_eq!(pipeline.debug().generations.current, 1);
    assert!(text(&pipeline).contains("odd=\"true\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shape_in_force_outlives_a_configuration_in_which_metrics_go_nowhere() {
    let (pipeline, mut reloader, counter, _) = started();
    let config = shaped(Config::prometheus(), without("odd"));
    commit(&mut reloader, config.clone()).await.drain(PATIENCE).await;
    commit(&mut reloader, Config::off()).await.drain(PATIENCE).await;
    assert_eq!(pipeline.debug().generations.current, 2);
    commit(&mut reloader, config).await.drain(PATIENCE).await;
    assert_eq!(pipeline.debug().generations.current, 2);
    commit(&mut reloader, Config::off()).await.drain(PATIENCE).await;
    commit(&mut reloader, Config::prometheus()).await.drain(PATIENCE).await;
    assert_eq!(pipeline.debug().generations.current, 3);
    counter.add(1, &attributes(1, true));
    assert!(text(&pipeline).contains("odd=\"true\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_ends_with_a_rebuild_tells_its_last_totals_in_the_shape_that_it_had() {
    let (old, new) = (Receiver::start(), Receiver::start());
    let (pipeline, mut reloader, counter, _) = started();
    let config = Config::off().with_sink("gateway", old.sink(NEVER));
    commit(&mut reloader, config).await.drain(PATIENCE).await;
    old.until("the first export", |all| !all.is_empty()).await;
    counter.add(7, &attributes(1, true));

    let dropping = view("requests", |it| it.aggregation = Some(Aggregation::Drop));
    let shape = MetricShape { views: vec![dropping], ..MetricShape::default() };
    let config = Config::off().with_sink("gateway", new.sink(NEVER));
    commit(&mut reloader, shaped(config.clone(), shape)).await.drain(PATIENCE).await;
    assert_eq!(old.exports().pop().unwrap().total("requests"), 7.0);
    new.until("the first export", |all| !all.is_empty()).await;
    counter.add(1, &attributes(1, true));

    let prepared = reloader.prepare(config).await.unwrap();
    let resets: Vec<_> = prepared.resets().iter().map(|it| (it.name, it.reason)).collect();
    assert_eq!(resets, [("requests", "Undropped")]);
    prepared.commit().in_force().await;
    assert_eq!(pipeline.debug().generations.resets.len(), 1);
    counter.add(2, &attributes(1, true));
    reloader.shutdown(PATIENCE).await;
    let exports = new.exports();
    assert_eq!(exports[0].total("requests"), 0.0);
    assert_eq!(exports.last().unwrap().total("requests"), 2.0);
    assert_starts_are_told(&exports);
}

#[tokio::test(flavor = "multi_thread")]
async fn deltas_add_up_through_rebuilds_for_what_is_recorded_and_what_is_observed() {
    let receiver = Receiver::start();
    let mut catalogue = Catalogue::new();
    let counter = catalogue.counter(&REQUESTS);
    let counted = Arc::new(AtomicU64::new(0));
    let observed = Arc::clone(&counted);
    catalogue.observable_counter(&OBSERVED, move |observer| {
        let value = observed.load(Ordering::Relaxed);
        [true, false].iter().for_each(|odd| observer.observe(value, &attributes(1, *odd)));
    });
    let (_pipeline, mut reloader) = start_with(catalogue);
    let mut sink = receiver.sink(OFTEN);
    sink.temporality = Temporality::Delta;
    let config = Config::off().with_sink("gateway", sink);
    for round in 0..20 {
        let shape = if round % 2 == 0 { MetricShape::default() } else { without("odd") };
        drop(commit(&mut reloader, shaped(config.clone(), shape)).await);
        counted.fetch_add(1, Ordering::Relaxed);
        counter.add(1, &attributes(1, true));
        counter.add(1, &attributes(1, false));
        if round % 3 == 0 {
            receiver.next_export().await;
        }
    }
    reloader.shutdown(PATIENCE).await;
    let exports = receiver.exports();
    let sum = |metric| exports.iter().map(|export| export.total(metric)).sum::<f64>();
    assert_eq!((sum("requests"), sum("observed")), (40.0, 40.0));
}
