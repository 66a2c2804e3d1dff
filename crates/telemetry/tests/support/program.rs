//! A program that records through declared instruments, as fast as it can, and knows how much.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use opentelemetry::KeyValue;
use pharos_telemetry::config::{Aggregation, AttributeKeys, MetricShape};
use pharos_telemetry::{
    Catalogue, Config, Counter, Declaration, Histogram, InstrumentKind, Pipeline, Reloader, Scrape,
};
use pharos_testkit::eventually;

use super::{PATIENCE, set, start_with, view};

pub(crate) static REQUESTS: Declaration = Declaration {
    scope: "test",
    name: "requests",
    kind: InstrumentKind::Counter,
    unit: "",
    description: "",
    attributes: &["thread", "odd"],
    boundaries: &[],
};

pub(crate) static SECONDS: Declaration = Declaration {
    name: "seconds",
    kind: InstrumentKind::Histogram,
    boundaries: &[0.1, 1.0],
    ..REQUESTS
};

/// A histogram whose boundaries change so that it has to start again.
pub(crate) static RESTARTING: Declaration = Declaration { name: "restarting", ..SECONDS };

/// What is recorded with.
#[derive(Clone)]
pub(crate) struct Instruments {
    pub(crate) requests: Counter,
    pub(crate) seconds: Histogram,
    pub(crate) restarting: Histogram,
}

/// Threads that record all along.
pub(crate) struct Program {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<u64>>,
}

pub(crate) fn started() -> (Pipeline, Reloader, Instruments) {
    let mut catalogue = Catalogue::new();
    let instruments = Instruments {
        requests: catalogue.counter(&REQUESTS),
        seconds: catalogue.histogram(&SECONDS),
        restarting: catalogue.histogram(&RESTARTING),
    };
    let (pipeline, reloader) = start_with(catalogue);
    (pipeline, reloader, instruments)
}

// === impl Instruments ===

impl Instruments {
    /// Uses each of them once.
    pub(crate) fn record(&self, thread: i64, round: u64) {
        let attributes = [KeyValue::new("thread", thread), KeyValue::new("odd", round % 2 == 1)];
        self.requests.add(1, &attributes);
        self.seconds.record(round as f64, &attributes);
        self.restarting.record(round as f64, &attributes);
    }
}

// === impl Program ===

impl Program {
    /// So many threads, which stop for nothing but [`Self::stop`].
    pub(crate) fn start(instruments: &Instruments, threads: i64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..threads).map(|number| {
            let (instruments, stop) = (instruments.clone(), Arc::clone(&stop));
            thread::spawn(move || {
                let mut round = 0;
                while !stop.load(Ordering::Relaxed) {
                    instruments.record(number, round);
                    round += 1;
                    thread::yield_now();
                }
                round
            })
        });
        let threads = threads.collect();
        Self { stop, threads }
    }

    /// How many times each instrument was used, now that nobody uses it any more.
    pub(crate) fn stop(self) -> f64 {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u64>() as f64
    }
}

pub(crate) fn shaped(mut config: Config, shape: MetricShape) -> Config {
    config.metrics.shape = shape;
    config
}

/// Shapes that all streams but one can go on in, each different from the one before it.
pub(crate) fn changing(round: u32) -> MetricShape {
    let exponential = Aggregation::Exponential { max_size: 40 + round % 2 * 40, max_scale: 10 };
    let buckets = Aggregation::ExplicitBuckets(vec![1.0 + f64::from(round % 2)]);
    let mut views = vec![
        view("seconds", |it| it.aggregation = Some(exponential)),
        view("restarting", |it| it.aggregation = Some(buckets)),
    ];
    if round % 2 == 1 {
        let keys = AttributeKeys::Excluded(set(&["odd"]));
        views.push(view("*", |it| it.attributes = keys));
    }
    let cardinality_limit = NonZeroU32::new(2000 + round).unwrap();
    MetricShape { views, cardinality_limit, ..MetricShape::default() }
}

/// What a scraper sees.
pub(crate) fn text(pipeline: &Pipeline) -> String {
    match pipeline.scrape() {
        Scrape::Text(page) => page,
        Scrape::Off => panic!("nothing to scrape"),
    }
}

/// Waits until there is one generation only.
pub(crate) async fn until_settled(pipeline: &Pipeline) {
    let settled =
        eventually("every old generation to be freed", PATIENCE, async || {
            match pipeline.debug().generations.retiring {
                0 => Ok(()),
                retiring => Err(format!("{retiring} are not")),
            }
        });
    settled.await.unwrap();
}
