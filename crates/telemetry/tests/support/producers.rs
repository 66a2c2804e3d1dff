//! Programs that make spans and log records, each of which has a name of its own.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use opentelemetry::trace::Tracer as _;
use pharos_telemetry::Pipeline;
use tokio::sync::watch;
use tracing_subscriber::layer::SubscriberExt as _;

use super::Receiver;
use super::records::body;

/// Two threads that make a span and a log record of the same name in turns.
pub(crate) struct Producers {
    stop: Arc<AtomicBool>,
    made: Arc<AtomicUsize>,
    threads: Vec<thread::JoinHandle<usize>>,
}

/// How many different records came to all receivers so far, for who asks often.
#[derive(Clone, Default)]
pub(crate) struct Arrivals {
    pub(crate) spans: Arc<Names>,
    pub(crate) logs: Arc<Names>,
}

/// Names, each of them once.
#[derive(Default)]
pub(crate) struct Names {
    known: Mutex<HashSet<String>>,
    number: AtomicUsize,
}

/// What receivers got of one signal.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    /// How often each record came, by name.
    pub(crate) records: BTreeMap<String, usize>,
    /// How often a request came again as it was.
    pub(crate) repeated: usize,
    requests: BTreeSet<Vec<String>>,
}

// === impl Producers ===

impl Producers {
    /// Before each record, `may_go` is told how many there are and has to agree.
    pub(crate) fn start(
        pipeline: &Pipeline,
        may_go: impl Fn(usize) -> bool + Clone + Send + 'static,
    ) -> Self {
        let (stop, made) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let threads = [0, 1].map(|thread| {
            let (pipeline, stop, made) = (pipeline.clone(), Arc::clone(&stop), Arc::clone(&made));
            let may_go = may_go.clone();
            thread::spawn(move || {
                let tracer = pipeline.tracer("test");
                let subscriber = tracing_subscriber::registry().with(pipeline.log_layer());
                tracing::subscriber::with_default(subscriber, || {
                    let mut count = 0;
                    while !stop.load(Ordering::Relaxed) {
                        if may_go(made.load(Ordering::SeqCst)) {
                            made.fetch_add(1, Ordering::SeqCst);
                            drop(tracer.start(format!("{thread}-{count}")));
                            tracing::info!("{thread}-{count}");
                            count += 1;
                        }
                        thread::yield_now();
                    }
                    count
                })
            })
        });
        Self { stop, made, threads: threads.into() }
    }

    /// How many were made so far, of either kind.
    pub(crate) fn made(&self) -> usize {
        self.made.load(Ordering::SeqCst)
    }

    /// The names of everything that was made.
    pub(crate) fn stop(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        let counts = self.threads.into_iter().map(|thread| thread.join().unwrap());
        counts
            .enumerate()
            .flat_map(|(thread, count)| (0..count).map(move |it| format!("{thread}-{it}")))
            .collect()
    }
}

// === impl Arrivals ===

impl Arrivals {
    pub(crate) fn at<'a>(receivers: impl IntoIterator<Item = &'a Receiver>) -> Self {
        let arrivals = Self::default();
        receivers.into_iter().for_each(|receiver| receiver.tells(&arrivals));
        arrivals
    }

    /// Lets as many be made as `outstanding` have not arrived, of either kind.
    pub(crate) fn credit(
        &self,
        outstanding: usize,
    ) -> impl Fn(usize) -> bool + Clone + Send + 'static {
        let arrivals = self.clone();
        move |made| {
            let arrived = [&arrivals.spans, &arrivals.logs].map(|it| it.number());
            made < arrived[0].min(arrived[1]) + outstanding
        }
    }
}

// === impl Names ===

impl Names {
    pub(crate) fn number(&self) -> usize {
        self.number.load(Ordering::SeqCst)
    }

    pub(super) async fn listen<T: Send + Sync>(
        self: Arc<Self>,
        mut all: watch::Receiver<Vec<T>>,
        names: impl Fn(&T) -> Vec<String> + Send,
    ) {
        let mut seen = 0;
        while all.changed().await.is_ok() {
            let exports = all.borrow_and_update();
            let mut known = self.known.lock().unwrap();
            known.extend(exports[seen..].iter().flat_map(&names));
            seen = exports.len();
            self.number.store(known.len(), Ordering::SeqCst);
        }
    }
}

// === impl Arrived ===

impl Arrived {
    pub(crate) fn spans<'a>(receivers: impl IntoIterator<Item = &'a Receiver>) -> Self {
        let exports = receivers.into_iter().flat_map(Receiver::span_exports);
        Self::of(exports.map(|it| it.spans().map(|span| span.name.clone()).collect()))
    }

    pub(crate) fn logs<'a>(receivers: impl IntoIterator<Item = &'a Receiver>) -> Self {
        let exports = receivers.into_iter().flat_map(Receiver::log_exports);
        Self::of(exports.map(|it| it.records().map(body).collect()))
    }

    fn of(requests: impl Iterator<Item = Vec<String>>) -> Self {
        let mut arrived = Self::default();
        // A request without records is a probe.
        for names in requests.filter(|names| !names.is_empty()) {
            for name in &names {
                *arrived.records.entry(name.clone()).or_default() += 1;
            }
            arrived.repeated += usize::from(!arrived.requests.insert(names));
        }
        arrived
    }

    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.records.keys().cloned().collect()
    }

    /// How many came more than once, as often as they did.
    pub(crate) fn doubled(&self) -> usize {
        self.records.values().map(|times| times - 1).sum()
    }
}
