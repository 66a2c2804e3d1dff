//! Spans and log records through a thousand reloads: none is lost that the queue could hold, none
//! comes twice but after an answer that never came, and what is lost without room for it is counted.

#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail anywhere, and makes spans of its own"
)]

#[path = "support/certificates.rs"]
mod certificates;
mod support;

use std::time::Duration;

use certificates::Authority;
use opentelemetry::trace::Tracer as _;
use pharos_telemetry::config::{Endpoint, Header, Protocol, ServerTls};
use pharos_telemetry::{Config, Pipeline, RecordSink, Signal, SinkStats};
use support::producers::{Arrivals, Arrived, Names, Producers};
use support::records::batch;
use support::records::until_stats;
use support::{Answer, Forwarder, PATIENCE, Receiver, commit, start};

const QUEUE: usize = 256;
const LARGEST_BATCH: usize = 40;
const SIGNALS: [Signal; 2] = [Signal::Traces, Signal::Logs];
const NAME: &str = "gateway";

/// By gRPC, by gRPC, by HTTP.
fn receivers() -> [(Receiver, Protocol); 3] {
    [Protocol::Grpc, Protocol::Grpc, Protocol::HttpProtobuf].map(|by| (Receiver::start(), by))
}

fn both(sink: &RecordSink) -> Config {
    Config::off().with_traces(NAME, sink.clone()).with_logs(NAME, sink.clone())
}

/// One after the other: no two in a row alike.
fn config(receivers: &[(Receiver, Protocol)], round: usize, queue: usize) -> Config {
    let (receiver, by) = &receivers[round % 3];
    both(&receiver.records_by(*by, queue, 1 + round % LARGEST_BATCH))
}

fn arrived(receivers: &[(Receiver, Protocol)], signal: Signal) -> Arrived {
    let receivers = receivers.iter().map(|(receiver, _)| receiver);
    match signal {
        Signal::Traces => Arrived::spans(receivers),
        Signal::Logs => Arrived::logs(receivers),
        Signal::Metrics => panic!("no records"),
    }
}

/// Until all that was made has arrived: then there is no more to send, as the other signal has used up
/// the credit of both.
async fn nothing_left(arrived: &Names, producers: &Producers) {
    while arrived.number() < producers.made() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn until_sent(pipeline: &Pipeline, signal: Signal) -> SinkStats {
    until_stats(pipeline, (signal, NAME), |stats| stats.items_queued == 0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn through_a_thousand_reloads_whoever_is_paced_by_credit_loses_and_doubles_nothing() {
    let receivers = receivers();
    let (pipeline, mut reloader) = start();
    commit(&mut reloader, config(&receivers, 0, QUEUE)).await.drain(PATIENCE).await;
    let arrivals = Arrivals::at(receivers.iter().map(|(receiver, _)| receiver));
    // Of two senders, one of which leaves, each may have a batch that arrived and is not settled;
    // each of two threads may be about to make one.
    let credit = arrivals.credit(QUEUE - 2 * LARGEST_BATCH - 2);
    let producers = Producers::start(&pipeline, credit);
    for round in 1..=1000 {
        let drained =
            commit(&mut reloader, config(&receivers, round, QUEUE)).await.drain(PATIENCE).await;
        assert_eq!((drained.sinks.len(), drained.lost()), (2, 0), "{drained:?}");
    }
    let made = producers.stop();
    for signal in SIGNALS {
        let stats = until_sent(&pipeline, signal).await;
        assert!(stats.items_dropped.is_empty() && stats.exports_ambiguous == 0, "{stats:?}");
        let arrived = arrived(&receivers, signal);
        assert!(arrived.names() == made, "{signal}: {} of {}", arrived.records.len(), made.len());
        assert_eq!((arrived.doubled(), arrived.repeated), (0, 0), "{signal}");
        assert_eq!(stats.items_accepted, made.len() as u64, "{signal}");
    }
    assert!(made.len() > 2000, "{} records", made.len());
    assert_eq!(reloader.shutdown(PATIENCE).await.drained.lost(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_twice_is_no_more_than_what_was_never_answered() {
    let receivers = receivers();
    let (pipeline, mut reloader) = start();
    commit(&mut reloader, config(&receivers, 0, QUEUE)).await.drain(PATIENCE).await;
    let arrivals = Arrivals::at(receivers.iter().map(|(receiver, _)| receiver));
    let credit = arrivals.credit(QUEUE - 2 * LARGEST_BATCH - 2);
    let producers = Producers::start(&pipeline, credit);
    for round in 1..=60 {
        let (receiver, _) = &receivers[round % 3];
        receiver.answers(Answer::Reset);
        let (spans, logs) = (receiver.span_exports().len(), receiver.log_exports().len());
        drop(commit(&mut reloader, config(&receivers, round, QUEUE)).await);
        let has_spans = |it: &support::SpanExport| it.spans().next().is_some();
        let has_records = |it: &support::LogExport| it.records().next().is_some();
        tokio::select! {
            () = receiver.until_spans("a request", |all| all[spans..].iter().any(has_spans)) => {}
            () = nothing_left(&arrivals.spans, &producers) => {}
        }
        tokio::select! {
            () = receiver.until_logs("a request", |all| all[logs..].iter().any(has_records)) => {}
            () = nothing_left(&arrivals.logs, &producers) => {}
        }
        receiver.answers(Answer::Accept);
        let (number, made) = (arrivals.spans.number(), producers.made());
        let next = config(&receivers, round + 1, QUEUE);
        commit(&mut reloader, next).await.drain(PATIENCE).await;
        assert!(number <= made, "{number} of {made}");
    }
    let made = producers.stop();
    for signal in SIGNALS {
        let stats = until_sent(&pipeline, signal).await;
        assert!(stats.items_dropped.is_empty(), "{stats:?}");
        let arrived = arrived(&receivers, signal);
        assert!(arrived.names() == made, "{signal}: {} of {}", arrived.records.len(), made.len());
        assert!(arrived.repeated > 0, "{signal}: nothing was sent again");
        assert!(arrived.repeated as u64 <= stats.exports_ambiguous, "{signal}: {stats:?}");
        assert!(arrived.doubled() <= arrived.repeated * LARGEST_BATCH, "{signal}");
    }
    assert_eq!(reloader.shutdown(PATIENCE).await.drained.lost(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credit_what_is_lost_is_what_was_counted() {
    const SMALL: usize = 48;
    let receivers = receivers();
    let (pipeline, mut reloader) = start();
    commit(&mut reloader, config(&receivers, 0, SMALL)).await.drain(PATIENCE).await;
    let producers = Producers::start(&pipeline, |_| true);
    for round in 1..=300 {
        drop(commit(&mut reloader, config(&receivers, round, SMALL)).await.drain(PATIENCE).await);
    }
    let made = producers.stop();
    for signal in SIGNALS {
        let stats = until_sent(&pipeline, signal).await;
        let arrived = arrived(&receivers, signal);
        let counted: u64 = stats.items_dropped.values().sum();
        assert!(stats.items_dropped.keys().eq(["queue_full"].iter()), "{stats:?}");
        assert_eq!(arrived.doubled(), 0, "{signal}");
        assert_eq!((made.len() - arrived.records.len()) as u64, counted, "{signal}: {stats:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_is_swapped_while_it_connects_delivers_what_it_had_begun_with() {
    let authority = Authority::root("ours");
    let certificate = authority.issue().certified();
    let tls = ServerTls { certificate, client_ca: None }.server_config().unwrap();
    let receiver = Receiver::with_tls(tls);
    let (pipeline, mut reloader) = start();
    for round in 0..8 {
        // The handshake takes until the test lets it: the probe is the first to wait for it.
        let forwarder = Forwarder::start(None);
        let endpoint = Endpoint::grpc(&format!("https://{}", forwarder.address())).unwrap();
        let mut sink = RecordSink { batch: batch(10, 1), ..RecordSink::new(endpoint) };
        sink.receiver.tls = authority.trusted();
        sink.receiver.timeout = Duration::from_secs(3600);
        commit(&mut reloader, both(&sink)).await.drain(PATIENCE).await;
        forwarder.until_connections(2).await;
        drop(pipeline.tracer("test").start(round.to_string()));
        // For the sender to take it: a chance, no promise.
        tokio::time::sleep(Duration::from_millis(2)).await;
        sink.receiver.headers.push(Header::parse("x-round", "next").unwrap());
        let retired = commit(&mut reloader, both(&sink)).await;
        forwarder.leads_to(Some(receiver.address()));
        let drained = retired.drain(PATIENCE).await;
        assert_eq!(drained.lost(), 0, "{drained:?}");
        let stats = until_sent(&pipeline, Signal::Traces).await;
        assert_eq!(stats.items_accepted, round + 1, "round {round}: {stats:?}");
        assert_eq!(stats.exports_ambiguous, 0, "{stats:?}");
    }
}
