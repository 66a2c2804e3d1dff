//! Sinks that export deltas: what a receiver puts together from them is what was recorded.

#![expect(
    clippy::disallowed_methods,
    reason = "these tests record without a catalogue, as libraries do"
)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use opentelemetry::KeyValue;
use pharos_telemetry::config::{Header, OtlpSink, Temporality};
use pharos_telemetry::{Config, LastExport, Pipeline};
use support::assembled::{Assembled, points};
use support::{Answer, Export, PATIENCE, Receiver, commit, gateway, metrics, start};
use tonic::Code;

const OFTEN: Duration = Duration::from_millis(5);
const NEVER: Duration = Duration::from_secs(3600);
/// Longer than any answer takes that a test waits for.
const IMPATIENT: Duration = Duration::from_millis(300);

fn delta(sink: OtlpSink) -> OtlpSink {
    OtlpSink { temporality: Temporality::Delta, ..sink }
}

fn otlp(sink: OtlpSink) -> Config {
    Config::off().with_sink("gateway", sink)
}

/// The same sink, but for a header.
fn with_header(mut sink: OtlpSink, value: &str) -> OtlpSink {
    sink.receiver.headers.push(Header::parse("x-round", value).unwrap());
    sink
}

/// Threads that record all along.
struct Recorders {
    stop: Arc<AtomicBool>,
    recorded: Arc<AtomicU64>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Recorders {
    fn start(pipeline: &Pipeline) -> Self {
        let (stop, recorded) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let meter = pipeline.meter("test");
        let counter = meter.u64_counter("requests").build();
        let histogram = meter.f64_histogram("seconds").build();
        let threads = (0..2).map(|number: i64| {
            let (counter, histogram) = (counter.clone(), histogram.clone());
            let (stop, recorded) = (Arc::clone(&stop), Arc::clone(&recorded));
            thread::spawn(move || {
                let mut round = 0;
                while !stop.load(Ordering::Relaxed) {
                    round += 1;
                    let attributes =
                        [KeyValue::new("thread", number), KeyValue::new("round", round % 7)];
                    counter.add(1, &attributes);
                    histogram.record(0.01, &attributes);
                    recorded.fetch_add(1, Ordering::Relaxed);
                    thread::yield_now();
                }
            })
        });
        let threads = threads.collect();
        Self { stop, recorded, threads }
    }

    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        self.recorded.load(Ordering::Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_reloads_between_temporalities_lose_nothing_and_double_nothing() {
    let receiver = Receiver::start();
    let (pipeline, mut reloader) = start();
    let recorders = Recorders::start(&pipeline);
    for round in 0..50 {
        let temporality = match round * 7 % 5 {
            0 => Temporality::Cumulative,
            1 | 2 => Temporality::Delta,
            _ => Temporality::LowMemory,
        };
        let sink = OtlpSink { temporality, ..receiver.sink(OFTEN) };
        let sink = with_header(sink, &round.to_string());
        let retired = commit(&mut reloader, otlp(sink)).await;
        if round % 3 == 0 {
            assert_eq!(retired.drain(PATIENCE).await.lost(), 0);
            receiver.next_export().await;
        }
    }
    let recorded = recorders.stop();
    let report = reloader.shutdown(PATIENCE).await;
    assert_eq!(report.drained.lost(), 0, "{report:?}");
    let assembled = Assembled::of(&receiver.exports());
    assert_eq!(assembled.total("requests"), recorded);
    assert_eq!(assembled.total("seconds"), recorded);
    assert_eq!(assembled.twice, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_delta_begins_where_the_one_before_ended_and_the_first_at_the_start_of_the_series() {
    let receiver = Receiver::start();
    let (pipeline, mut reloader) = start();
    let counter = pipeline.meter("test").u64_counter("requests").build();
    counter.add(3, &[]);
    commit(&mut reloader, otlp(receiver.sink(NEVER))).await.drain(PATIENCE).await;
    receiver.until("totals", |all| !all.is_empty()).await;
    let (_, (started, seen), ..) = points(&receiver.exports()[0])[0].clone();

    // A new one, of another name, knows of nothing.
    counter.add(4, &[]);
    let both = otlp(receiver.sink(NEVER)).with_sink("new", delta(receiver.sink(NEVER)));
    commit(&mut reloader, both).await.drain(PATIENCE).await;
    receiver.until("everything as a delta", |all| all.len() == 2).await;
    let (_, span, value, is_delta) = points(&receiver.exports()[1])[0].clone();
    assert_eq!((span.0, value, is_delta), (started, 7, true));

    // The one that sent totals says its last, and goes on from there.
    counter.add(5, &[]);
    let swapped = otlp(with_header(delta(receiver.sink(OFTEN)), "deltas"));
    commit(&mut reloader, swapped).await.drain(PATIENCE).await;
    counter.add(6, &[]);
    receiver
        .until("a further delta", |all| all.len() > 4 && !points(&all[all.len() - 1]).is_empty())
        .await;
    reloader.shutdown(PATIENCE).await;
    let mut exports = receiver.exports();
    // The other one told its last delta, too.
    exports.retain(|it| it.header("x-round").is_some() || points(it).iter().any(|it| !it.3));
    let last_totals = exports.iter().rposition(|it| points(it).iter().any(|it| !it.3)).unwrap();
    let (_, (_, told), value, _) = points(&exports[last_totals])[0].clone();
    assert!(value == 12 && told > seen);
    let later: Vec<_> = exports[last_totals + 1..].iter().flat_map(points).collect();
    assert!(later.iter().all(|(_, (start, _), ..)| *start >= told), "{later:?}");
    assert_eq!(later.iter().filter(|it| it.3).map(|it| it.2).sum::<u64>(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unanswered_request_is_sent_again_byte_for_byte_before_anything_newer() {
    let receiver = Receiver::start();
    receiver.answers(Answer::Nothing);
    let (pipeline, mut reloader) = start();
    let counter = pipeline.meter("test").u64_counter("requests").build();
    counter.add(3, &[]);
    let sink = delta(receiver.patient(OFTEN, IMPATIENT));
    commit(&mut reloader, otlp(sink)).await.drain(PATIENCE).await;
    receiver.until("the first attempt", |all| !all.is_empty()).await;
    counter.add(4, &[]);
    receiver.until("another attempt", |all| all.len() == 2).await;
    receiver.answers(Answer::Accept);
    receiver.until("something new", |all| all.iter().any(|it| it.request != all[0].request)).await;
    let stats = pipeline.debug().sinks[&gateway()].clone();
    assert!(stats.exports_ambiguous >= 1, "{stats:?}");
    reloader.shutdown(PATIENCE).await;
    let exports = receiver.exports();
    let same = exports.iter().take_while(|it| it.request == exports[0].request).count();
    assert!(same >= 2, "one that was not answered at least, and one that was: {same}");
    let assembled = Assembled::of(&exports);
    assert_eq!((assembled.total("requests"), assembled.twice), (7, same - 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_was_not_there_gets_everything_in_one_delta() {
    let receiver = Receiver::start();
    let sink = delta(receiver.sink(OFTEN));
    let address = receiver.die().await;
    let (pipeline, mut reloader) = start();
    let counter = pipeline.meter("test").u64_counter("requests").build();
    commit(&mut reloader, otlp(sink)).await.drain(PATIENCE).await;
    let mut recorded = 0;
    let failed = || pipeline.debug().sinks[&gateway()].exports_failed.values().sum::<u64>();
    while failed() < 4 {
        recorded += 1;
        counter.add(1, &[]);
        tokio::time::sleep(OFTEN).await;
    }
    let receiver = Receiver::start_at(address);
    receiver
        .until("what was counted meanwhile", |all| all.iter().any(|it| !points(it).is_empty()))
        .await;
    reloader.shutdown(PATIENCE).await;
    let first = receiver.exports().iter().flat_map(points).next().unwrap();
    assert_eq!(first.2, recorded);
    assert_eq!(Assembled::of(&receiver.exports()).total("requests"), recorded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successor_sends_what_was_not_answered_first_wherever_it_exports_to() {
    let (silent, next) = (Receiver::start(), Receiver::start());
    silent.answers(Answer::Nothing);
    let (pipeline, mut reloader) = start();
    let counter = pipeline.meter("test").u64_counter("requests").build();
    counter.add(3, &[]);
    let sink = delta(silent.patient(NEVER, NEVER));
    commit(&mut reloader, otlp(sink)).await.drain(PATIENCE).await;
    silent.until("the request that is never answered", |all| !all.is_empty()).await;

    counter.add(4, &[]);
    let retired = commit(&mut reloader, otlp(delta(next.sink(NEVER)))).await;
    assert!(next.exports().is_empty(), "it does not begin while that may still be answered");
    let drained = retired.drain(IMPATIENT).await;
    assert_eq!(drained.sinks[&gateway()], LastExport::HandedOver { points: 1 });
    next.until("both", |all| all.len() == 2).await;
    let exports = next.exports();
    assert_eq!(exports[0].request, silent.exports()[0].request);
    assert_eq!(Assembled::of(&exports).total("requests"), 7);
    let stats = pipeline.debug().sinks[&gateway()].clone();
    assert_eq!(stats.exports_ambiguous, 1);
    assert!(stats.items_dropped.is_empty(), "{stats:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_successors_in_a_row_hand_on_what_none_of_them_had_the_time_to_send() {
    let (silent, last) = (Receiver::start(), Receiver::start());
    silent.answers(Answer::Nothing);
    let (pipeline, mut reloader) = start();
    let recorders = Recorders::start(&pipeline);
    let sink = delta(silent.patient(NEVER, NEVER));
    commit(&mut reloader, otlp(sink)).await.drain(PATIENCE).await;
    silent.until("the request that is never answered", |all| !all.is_empty()).await;
    let first = commit(&mut reloader, otlp(delta(silent.patient(OFTEN, NEVER)))).await;
    for round in 0..10 {
        let sink = with_header(delta(last.sink(OFTEN)), &round.to_string());
        drop(commit(&mut reloader, otlp(sink)).await);
    }
    first.drain(Duration::ZERO).await;
    last.until("something", |all| all.iter().any(|it| !points(it).is_empty())).await;
    let recorded = recorders.stop();
    let report = reloader.shutdown(PATIENCE).await;
    assert_eq!(report.drained.lost(), 0, "{report:?}");
    let assembled = Assembled::of(&last.exports());
    assert_eq!((assembled.total("requests"), assembled.twice), (recorded, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_sends_what_was_not_answered_and_what_came_after_it() {
    let receiver = Receiver::start();
    receiver.answers(Answer::Nothing);
    let (pipeline, mut reloader) = start();
    let counter = pipeline.meter("test").u64_counter("requests").build();
    counter.add(3, &[]);
    let sink = delta(receiver.patient(NEVER, IMPATIENT));
    commit(&mut reloader, otlp(sink)).await.drain(PATIENCE).await;
    receiver.until("an attempt that was not answered, and one more", |all| all.len() == 2).await;
    counter.add(4, &[]);
    receiver.answers(Answer::Accept);
    let report = reloader.shutdown(PATIENCE).await;
    assert_eq!(report.drained.lost(), 0, "{report:?}");
    let assembled = Assembled::of(&receiver.exports());
    assert_eq!(assembled.total("requests"), 7);
    assert!(assembled.twice >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_nobody_answers_counts_what_it_loses() {
    let receiver = Receiver::start();
    receiver.answers(Answer::Nothing);
    let (pipeline, mut reloader) = start();
    let counter = pipeline.meter("test").u64_counter("requests").build();
    counter.add(3, &[]);
    let sink = delta(receiver.patient(NEVER, NEVER));
    commit(&mut reloader, otlp(sink)).await.drain(PATIENCE).await;
    receiver.until("an attempt", |all| !all.is_empty()).await;
    counter.add(4, &[]);
    let report = reloader.shutdown(Duration::from_millis(50)).await;
    let lost = LastExport::Lost { points: 2, reason: "ambiguous" };
    assert_eq!(report.drained.sinks[&gateway()], lost);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_lost_and_counted_and_the_next_delta_begins_after_it() {
    let receiver = Receiver::start();
    receiver.answers(Answer::Refuse(Code::InvalidArgument));
    let (pipeline, mut reloader) = start();
    let counter = pipeline.meter("test").u64_counter("requests").build();
    counter.add(3, &[]);
    commit(&mut reloader, otlp(delta(receiver.sink(OFTEN)))).await.drain(PATIENCE).await;
    receiver.until("what is refused", |all| !all.is_empty()).await;
    counter.add(4, &[]);
    let dropped = || pipeline.debug().sinks[&gateway()].items_dropped.get("rejected").copied();
    receiver.until("what is refused, too", |all| all.iter().flat_map(points).count() == 2).await;
    receiver.until("the answer to it", |all| points(&all[all.len() - 1]).is_empty()).await;
    assert_eq!(dropped(), Some(2));
    let refused = receiver.exports().len();
    receiver.answers(Answer::Accept);
    counter.add(5, &[]);
    receiver
        .until("what is not", |all| all[refused..].iter().any(|it| !points(it).is_empty()))
        .await;
    reloader.shutdown(PATIENCE).await;
    let exports = receiver.exports();
    assert_eq!(Assembled::of(&exports).total("requests"), 12, "each once, taken or not");
    assert_eq!(Assembled::of(&exports[refused..]).total("requests"), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_from_us_waits_for_the_right_credentials() {
    let receiver = Receiver::start();
    receiver.answers(Answer::Refuse(Code::Unauthenticated));
    let (pipeline, mut reloader) = start();
    let counter = pipeline.meter("test").u64_counter("requests").build();
    counter.add(3, &[]);
    let sink = delta(receiver.sink(OFTEN));
    commit(&mut reloader, otlp(sink.clone())).await.drain(PATIENCE).await;
    receiver.until("attempts", |all| all.len() > 3).await;
    commit(&mut reloader, otlp(with_header(sink, "right"))).await.drain(PATIENCE).await;
    receiver.answers(Answer::Accept);
    let nothing_new = |all: &[Export]| all.last().is_some_and(|it| points(it).is_empty());
    receiver.until("the next delta", nothing_new).await;
    let stats = pipeline.debug().sinks[&gateway()].clone();
    assert!(stats.items_accepted == 1 && stats.items_dropped.is_empty(), "{stats:?}");
    let told: BTreeSet<_> = receiver.exports().iter().flat_map(points).map(|it| it.2).collect();
    assert_eq!(told, BTreeSet::from([3]), "every attempt tells all of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sinks_of_deltas_at_one_endpoint_each_tell_everything() {
    let receiver = Receiver::start();
    let (pipeline, mut reloader) = start();
    let recorders = Recorders::start(&pipeline);
    let sink = |name| with_header(delta(receiver.sink(OFTEN)), name);
    let one = Config::off().with_sink("one", sink("one"));
    let both = one.clone().with_sink("other", sink("other"));
    commit(&mut reloader, both).await.drain(PATIENCE).await;
    receiver.until("exports", |all| all.len() > 20).await;
    let recorded = recorders.stop();
    let drained = commit(&mut reloader, one).await.drain(PATIENCE).await;
    assert!(matches!(drained.sinks[&metrics("other")], LastExport::Delivered { .. }));
    reloader.shutdown(PATIENCE).await;
    for name in ["one", "other"] {
        let mut exports = receiver.exports();
        exports.retain(|it| it.header("x-round") == Some(name));
        let assembled = Assembled::of(&exports);
        assert_eq!((assembled.total("requests"), assembled.twice), (recorded, 0), "{name}");
    }
}
