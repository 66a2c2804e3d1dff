//! Spans and log records while everything around them changes: nothing is lost that queues could
//! hold, and what is lost is counted.

#![expect(
    clippy::disallowed_methods,
    reason = "these tests record without a catalogue, as libraries do"
)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::trace::Tracer as _;
use pharos_telemetry::{Config, LastExport, Pipeline, Signal, SinkStats};
use support::records::{NEVER, RecordReceiver, both, make, stats, until_stats, whole_batches};
use support::{Answer, PATIENCE, commit, start};
use tonic::Code;
use tracing_subscriber::layer::SubscriberExt as _;

const QUEUE: usize = 256;
const LARGEST_BATCH: usize = 40;

/// Two programs that make spans and log records, numbered, and count how many they made.
struct Producers {
    stop: Arc<AtomicBool>,
    threads: [std::thread::JoinHandle<usize>; 2],
}

// === impl Producers ===

impl Producers {
    /// Both wait before each record until `may_go` has let them, or until they have to stop.
    fn start(pipeline: &Pipeline, may_go: impl Fn(usize) -> bool + Clone + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let made = Arc::new(AtomicUsize::new(0));
        let threads = [0, 1].map(|thread| {
            let (pipeline, stop, made) = (pipeline.clone(), Arc::clone(&stop), Arc::clone(&made));
            let may_go = may_go.clone();
            std::thread::spawn(move || {
                let tracer = pipeline.tracer("test");
                let subscriber = tracing_subscriber::registry().with(pipeline.log_layer());
                tracing::subscriber::with_default(subscriber, || {
                    let mut count = 0;
                    while !stop.load(Ordering::Relaxed) {
                        if may_go(made.load(Ordering::Relaxed)) {
                            made.fetch_add(1, Ordering::Relaxed);
                            drop(tracer.start(format!("{thread}-{count}")));
                            tracing::info!("{thread}-{count}");
                            count += 1;
                        } else {
                            std::thread::park_timeout(Duration::from_micros(200));
                        }
                    }
                    count
                })
            })
        });
        Self { stop, threads }
    }

    /// The names of everything that was made.
    fn stop(self) -> BTreeSet<String> {
        self.stop.store(true, Ordering::Relaxed);
        let counts = self.threads.into_iter().map(|thread| thread.join().unwrap());
        counts
            .enumerate()
            .flat_map(|(thread, count)| (0..count).map(move |it| format!("{thread}-{it}")))
            .collect()
    }
}

/// Never more outstanding than the queue holds, of either kind. What two senders, one of which
/// leaves, were told to have arrived may not be settled yet.
fn credit(receivers: &Arc<[RecordReceiver; 2]>) -> impl Fn(usize) -> bool + Clone + Send + 'static {
    let receivers = Arc::clone(receivers);
    move |made| {
        let spans: usize = receivers.iter().map(|it| it.traces.accepted_items()).sum();
        let logs: usize = receivers.iter().map(|it| it.logs.accepted_items()).sum();
        made + 2 < spans.min(logs) + QUEUE - 2 * LARGEST_BATCH
    }
}

#[tokio::test]
async fn a_hundred_reloads_lose_and_double_nothing_that_the_queue_could_hold() {
    let receivers = Arc::new([RecordReceiver::start(), RecordReceiver::start()]);
    let (pipeline, mut reloader) = start();
    let sink = |number: usize| {
        both("gateway", &receivers[number % 2].sink(QUEUE, 1 + number % LARGEST_BATCH))
    };
    commit(&mut reloader, sink(0)).await.drain(PATIENCE).await;
    let producers = Producers::start(&pipeline, credit(&receivers));
    for number in 1..=100 {
        commit(&mut reloader, sink(number)).await.drain(PATIENCE).await;
    }
    let made = producers.stop();
    for signal in [Signal::Traces, Signal::Logs] {
        let stats = stats(&pipeline, signal, "gateway");
        assert!(stats.items_dropped.is_empty(), "{stats:?}");
    }
    let report = reloader.shutdown(PATIENCE).await;
    assert_eq!(report.drained.lost(), 0, "{report:?}");
    assert!(made.len() > 100, "{}", made.len());
    for arrived in [
        receivers.each_ref().map(|it| it.traces.accepted()),
        receivers.each_ref().map(|it| it.logs.accepted()),
    ] {
        let total: usize = arrived.iter().flat_map(|it| it.values()).sum();
        assert_eq!(total, made.len(), "each of them once");
        let names: BTreeSet<String> = arrived.into_iter().flatten().map(|(name, _)| name).collect();
        assert_eq!(names, made);
    }
}

#[tokio::test]
async fn a_sink_that_takes_the_place_of_another_gets_what_the_other_will_not() {
    let receivers = Arc::new([RecordReceiver::start(), RecordReceiver::start()]);
    let (pipeline, mut reloader) = start();
    let [left, right] = &*receivers;
    let configs = [
        both("left", &left.sink(QUEUE, LARGEST_BATCH)),
        both("right", &right.sink(QUEUE, LARGEST_BATCH)),
    ];
    commit(&mut reloader, configs[0].clone()).await.drain(PATIENCE).await;
    let producers = Producers::start(&pipeline, credit(&receivers));
    for number in 1..=40 {
        commit(&mut reloader, configs[number % 2].clone()).await.drain(PATIENCE).await;
    }
    let made = producers.stop();
    assert_eq!(reloader.shutdown(PATIENCE).await.drained.lost(), 0);
    let total: usize = [left, right].map(|it| it.traces.accepted_items()).iter().sum();
    assert_eq!(total, made.len());
    let total: usize = [left, right].map(|it| it.logs.accepted_items()).iter().sum();
    assert_eq!(total, made.len());
}

#[tokio::test]
async fn what_the_queue_cannot_hold_is_lost_and_counted() {
    let receiver = RecordReceiver::start();
    let (pipeline, mut reloader) = start();
    let sink = |number: usize| both("gateway", &receiver.sink(64, 1 + number % 32));
    commit(&mut reloader, sink(0)).await.drain(PATIENCE).await;
    let producers = Producers::start(&pipeline, |_| true);
    for number in 1..=30 {
        commit(&mut reloader, sink(number)).await.drain(PATIENCE).await;
    }
    let made = producers.stop().len() as u64;
    // Removal would take the counters with it.
    for signal in [Signal::Traces, Signal::Logs] {
        let stats = until_stats(&pipeline, (signal, "gateway"), |it| it.items_queued == 0).await;
        let dropped: u64 = stats.items_dropped.values().sum();
        assert!(dropped > 0, "it was meant to overflow");
        assert_eq!(stats.items_accepted + dropped, made, "{stats:?}");
    }
    let arrived = receiver.traces.accepted_items() as u64;
    assert_eq!(arrived, stats(&pipeline, Signal::Traces, "gateway").items_accepted);
    drop(reloader);
}

#[tokio::test]
async fn a_sink_that_never_answers_costs_only_its_own_queue() {
    let (dead, healthy) = (RecordReceiver::start(), RecordReceiver::start());
    dead.answers(Answer::Nothing);
    let (pipeline, mut reloader) = start();
    let config = Config::off()
        .with_traces("dead", dead.patient(100, 10, NEVER))
        .with_traces("healthy", healthy.sink(1000, 100));
    commit(&mut reloader, config).await.drain(PATIENCE).await;
    for round in 0..10 {
        make(&pipeline, round * 500..(round + 1) * 500);
        healthy.traces.until_accepted((round + 1) * 500).await;
        let held = stats(&pipeline, Signal::Traces, "dead").items_queued;
        assert!(held <= 100, "{held}");
    }
    assert_eq!(healthy.traces.accepted().len(), 5000);
    let healthy = stats(&pipeline, Signal::Traces, "healthy");
    assert!(healthy.items_dropped.is_empty(), "{healthy:?}");
    let dead = stats(&pipeline, Signal::Traces, "dead");
    assert_eq!((dead.items_queued, dead.items_dropped["queue_full"]), (100, 4900));
    let report = reloader.shutdown(Duration::from_millis(20)).await;
    assert_eq!(report.drained.lost(), 1);
}

#[tokio::test]
async fn a_smaller_queue_drains_and_loses_nothing_that_it_holds() {
    let receiver = RecordReceiver::start();
    receiver.answers(Answer::Refuse(Code::Unavailable));
    let (pipeline, mut reloader) = start();
    let traces = |sink| Config::off().with_traces("gateway", sink);
    commit(&mut reloader, traces(receiver.sink(500, 50))).await.drain(PATIENCE).await;
    make(&pipeline, 0..500);
    let config = traces(receiver.sink(20, 10));
    commit(&mut reloader, config).await.drain(PATIENCE).await;
    make(&pipeline, 500..501);
    let shrunk = stats(&pipeline, Signal::Traces, "gateway");
    assert_eq!((shrunk.items_queued, shrunk.items_dropped["queue_full"]), (500, 1));
    receiver.answers(Answer::Accept);
    receiver.traces.until_accepted(500).await;
    assert_eq!(receiver.traces.accepted_items(), 500);
    until_stats(&pipeline, (Signal::Traces, "gateway"), |it| it.items_queued == 0).await;
    make(&pipeline, 501..502);
    receiver.traces.until_accepted(501).await;
}

#[tokio::test]
async fn what_was_not_answered_is_sent_again_by_the_next_sink_byte_for_byte() {
    let (dead, healthy) = (RecordReceiver::start(), RecordReceiver::start());
    dead.answers(Answer::Nothing);
    let (pipeline, mut reloader) = start();
    let config = Config::off().with_traces("gateway", whole_batches(dead.patient(100, 10, NEVER)));
    commit(&mut reloader, config).await.drain(PATIENCE).await;
    make(&pipeline, 0..30);
    dead.traces.until_called().await;
    let config = Config::off().with_traces("gateway", healthy.sink(100, 10));
    let mut retired = commit(&mut reloader, config).await;
    retired.in_force().await;
    // Nobody waits for the dead one: what was behind the open request arrives before it.
    healthy.traces.until_accepted(20).await;
    let drained = retired.drain(Duration::from_millis(10)).await;
    let handed_over = LastExport::HandedOver { points: 10 };
    assert_eq!(drained.sinks.values().collect::<Vec<_>>(), [&handed_over]);
    healthy.traces.until_accepted(30).await;
    let sent: Vec<_> = dead.traces.calls().into_iter().map(|call| call.request).collect();
    let again = healthy.traces.calls();
    assert!(again.iter().any(|call| call.request == *sent.last().unwrap()));
    let empty = |it: &SinkStats| it.items_queued == 0;
    let stats = until_stats(&pipeline, (Signal::Traces, "gateway"), empty).await;
    assert_eq!((stats.exports_ambiguous, stats.items_accepted), (1, 30));
    assert!(stats.items_dropped.is_empty(), "{stats:?}");
}

#[tokio::test]
async fn reloads_towards_receivers_that_never_answer_hold_no_more_than_the_queue() {
    let (dead, healthy) = (RecordReceiver::start(), RecordReceiver::start());
    dead.answers(Answer::Nothing);
    let (pipeline, mut reloader) = start();
    let mut leaving = Vec::new();
    for number in 0..20 {
        let sink = whole_batches(dead.patient(50, 10 - number % 2, NEVER));
        let retired = commit(&mut reloader, Config::off().with_traces("gateway", sink)).await;
        leaving.push(tokio::spawn(retired.drain(Duration::from_millis(50))));
        make(&pipeline, number * 10..(number + 1) * 10);
        let held = stats(&pipeline, Signal::Traces, "gateway").items_queued;
        assert!(held <= 50, "{held}");
    }
    let config = Config::off().with_traces("gateway", healthy.sink(50, 10));
    commit(&mut reloader, config).await.drain(Duration::from_millis(50)).await;
    for retired in leaving {
        assert_eq!(retired.await.unwrap().lost(), 0);
    }
    let empty = |it: &SinkStats| it.items_queued == 0;
    let stats = until_stats(&pipeline, (Signal::Traces, "gateway"), empty).await;
    assert_eq!((stats.items_accepted, stats.items_dropped["queue_full"]), (50, 150));
    assert_eq!(healthy.traces.accepted().len(), 50);
}

#[tokio::test]
async fn a_receiver_that_comes_back_gets_everything() {
    let receiver = RecordReceiver::start();
    let sink = receiver.sink(100, 10);
    let address = receiver.die().await;
    let (pipeline, mut reloader) = start();
    commit(&mut reloader, Config::off().with_traces("gateway", sink)).await.drain(PATIENCE).await;
    make(&pipeline, 0..30);
    let failed = |it: &SinkStats| it.exports_failed.contains_key("unreachable");
    until_stats(&pipeline, (Signal::Traces, "gateway"), failed).await;
    let receiver = RecordReceiver::start_at(address);
    receiver.traces.until_accepted(30).await;
    assert_eq!(receiver.traces.accepted().len(), 30);
    assert!(stats(&pipeline, Signal::Traces, "gateway").items_dropped.is_empty());
}

#[tokio::test]
async fn what_a_receiver_refuses_is_lost_and_counted_and_not_sent_again() {
    let receiver = RecordReceiver::start();
    let (pipeline, mut reloader) = start();
    let config = both("gateway", &whole_batches(receiver.sink(100, 10)));
    commit(&mut reloader, config).await.drain(PATIENCE).await;
    receiver.traces.answers(Answer::RejectPoints(3));
    make(&pipeline, 0..10);
    let of_traces = (Signal::Traces, "gateway");
    let partial = |it: &SinkStats| it.items_accepted == 7;
    let stats = until_stats(&pipeline, of_traces, partial).await;
    assert_eq!(stats.items_dropped["partially_rejected"], 3);
    receiver.traces.answers(Answer::Refuse(Code::InvalidArgument));
    make(&pipeline, 10..20);
    let refused = |it: &SinkStats| it.items_dropped.contains_key("rejected");
    let stats = until_stats(&pipeline, of_traces, refused).await;
    assert_eq!((stats.items_dropped["rejected"], stats.items_queued), (10, 0));
    receiver.traces.answers(Answer::Accept);
    make(&pipeline, 20..30);
    receiver.traces.until_accepted(10).await;
    assert_eq!(receiver.traces.accepted_items(), 10);
}
