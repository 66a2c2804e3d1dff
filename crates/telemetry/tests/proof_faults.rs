//! Receivers that fail in every way there is: a reload waits for none of them, memory is bounded,
//! every loss is counted, and nobody else loses anything.

#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may fail anywhere, and makes spans of its own"
)]

mod support;

use std::time::Duration;

use opentelemetry::trace::Tracer as _;
use pharos_telemetry::config::{Header, OtlpSink, Protocol, Temporality};
use pharos_telemetry::{Config, Pipeline, RecordSink, Signal, SinkId, SinkStats};
use pharos_testkit::eventually;
use support::program::started;
use support::records::{batch, stats, until_stats};
use support::{Answer, Forwarder, HttpAnswer, PATIENCE, Receiver, commit, endpoint};
use tonic::Code;

const OFTEN: Duration = Duration::from_millis(5);
const SOON: Duration = Duration::from_millis(100);
const NEVER: Duration = Duration::from_secs(3600);
const PROTOCOLS: [Protocol; 2] = [Protocol::Grpc, Protocol::HttpProtobuf];
const QUEUE: usize = 100;

/// What is the matter with a receiver.
#[derive(Clone, Debug)]
enum Trouble {
    Dead,
    /// Accepts connections and reads nothing.
    BlackHole,
    Answers(Answer),
}

fn troubles() -> Vec<Trouble> {
    let http = |status: u16| Trouble::Answers(Answer::Http(HttpAnswer::new(status)));
    let wait = |code| Trouble::Answers(Answer::Throttle(code, NEVER));
    vec![
        Trouble::Dead,
        Trouble::BlackHole,
        Trouble::Answers(Answer::Nothing),
        Trouble::Answers(Answer::Slow(SOON)),
        Trouble::Answers(Answer::Reset),
        http(429),
        http(503),
        wait(Code::ResourceExhausted),
        wait(Code::Unavailable),
        Trouble::Answers(Answer::RejectPoints(1)),
        Trouble::Answers(Answer::Refuse(Code::InvalidArgument)),
    ]
}

/// A receiver, or what is left of it.
async fn troubled(
    trouble: &Trouble,
    by: Protocol,
) -> (pharos_telemetry::OtlpReceiver, Option<Receiver>) {
    let receiver = Receiver::start();
    let mut to = receiver.by(by);
    to.timeout = NEVER;
    match trouble {
        Trouble::Dead => {
            receiver.die().await;
            return (to, None);
        }
        Trouble::BlackHole => receiver.swallows_connections(true),
        Trouble::Answers(answer) => receiver.answers(answer.clone()),
    }
    (to, Some(receiver))
}

/// All three signals to one receiver.
fn everything(to: &pharos_telemetry::OtlpReceiver) -> Config {
    let metrics =
        OtlpSink { receiver: to.clone(), period: OFTEN, temporality: Temporality::Cumulative };
    let records = RecordSink { receiver: to.clone(), batch: batch(QUEUE, 10) };
    Config::off()
        .with_sink("gateway", metrics.clone())
        .with_sink("delta", OtlpSink { temporality: Temporality::Delta, ..metrics })
        .with_traces("gateway", records.clone())
        .with_logs("gateway", records)
}

fn make_spans(pipeline: &Pipeline, number: usize) {
    let tracer = pipeline.tracer("test");
    (0..number).for_each(|number| drop(tracer.start(number.to_string())));
}

fn spans(receiver: &Receiver) -> usize {
    receiver.span_exports().iter().map(|export| export.spans().count()).sum()
}

/// Waits until all signals have arrived at a healthy receiver.
async fn until_all_arrived(receiver: &Receiver, requests: f64, number: usize) {
    receiver.until("totals", |all| all.iter().any(|it| it.total("requests") == requests)).await;
    receiver
        .until_spans("spans", |all| {
            all.iter().map(|it| it.spans().count()).sum::<usize>() >= number
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_waits_for_no_receiver_old_or_new_whatever_is_the_matter_with_it() {
    for trouble in troubles() {
        for by in PROTOCOLS {
            let (bad, _kept) = troubled(&trouble, by).await;
            let (before, after) = (Receiver::start(), Receiver::start());
            let (pipeline, mut reloader, instruments) = started();
            // From good to bad, to bad with another header, and to good.
            commit(&mut reloader, everything(&before.by(by))).await.in_force().await;
            instruments.record(1, 1);
            make_spans(&pipeline, 3);
            until_all_arrived(&before, 1.0, 3).await;
            let mut retired = commit(&mut reloader, everything(&bad)).await;
            retired.in_force().await;
            assert_eq!(retired.drain(PATIENCE).await.lost(), 0, "{trouble:?}: the old ones answer");
            make_spans(&pipeline, 3);
            let mut again = bad.clone();
            again.headers.push(Header::parse("x-again", "1").unwrap());
            let mut first = commit(&mut reloader, everything(&again)).await;
            first.in_force().await;
            instruments.record(1, 2);
            let mut second = commit(&mut reloader, everything(&after.by(by))).await;
            second.in_force().await;
            // While both of the bad ones may have ever so long to end.
            let ends = async { tokio::join!(first.drain(NEVER), second.drain(NEVER)) };
            let arrived = until_all_arrived(&after, 2.0, 0);
            tokio::select! {
                biased;
                () = arrived => {}
                _ = async { ends.await; std::future::pending::<()>().await } => {}
            }
            assert_eq!(*pipeline.running(), everything(&after.by(by)));
            assert_eq!(pipeline.debug().reloads.committed, 4, "{trouble:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_holds_what_it_may_and_counts_the_rest_whatever_is_the_matter() {
    const MADE: usize = 5 * QUEUE;
    for trouble in troubles() {
        if matches!(
            &trouble,
            Trouble::Answers(Answer::Slow(_) | Answer::RejectPoints(_) | Answer::Refuse(_))
        ) {
            continue;
        }
        let (bad, _kept) = troubled(&trouble, Protocol::Grpc).await;
        let (pipeline, mut reloader, _) = started();
        commit(&mut reloader, everything(&bad)).await.in_force().await;
        make_spans(&pipeline, MADE);
        let held = stats(&pipeline, Signal::Traces, "gateway");
        assert_eq!(held.items_queued, QUEUE as u64, "{trouble:?}");
        assert_eq!(held.items_dropped["queue_full"], (MADE - QUEUE) as u64, "{trouble:?}");
        // Reloads, too, leave it so.
        for round in 0..10 {
            let mut next = bad.clone();
            next.headers.push(Header::parse("x-round", &round.to_string()).unwrap());
            drop(commit(&mut reloader, everything(&next)).await);
        }
        let held = stats(&pipeline, Signal::Traces, "gateway");
        assert_eq!(held.items_queued, QUEUE as u64, "{trouble:?}");
        assert_eq!(held.items_accepted, 0, "{trouble:?}");
        let report = reloader.shutdown(Duration::from_millis(50)).await;
        let last = report.drained.sinks[&SinkId::new(Signal::Traces, "gateway")];
        let told = format!("{last:?}");
        assert!(told.contains("Lost"), "{trouble:?}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_counted_for_good() {
    for (answer, reason, lost) in [
        (Answer::RejectPoints(1), "partially_rejected", 1),
        (Answer::Refuse(Code::InvalidArgument), "rejected", 10),
        (Answer::Refuse(Code::Unauthenticated), "unauthenticated", 10),
    ] {
        for by in PROTOCOLS {
            let (to, receiver) = troubled(&Trouble::Answers(answer.clone()), by).await;
            let receiver = receiver.unwrap();
            let (pipeline, mut reloader, instruments) = started();
            instruments.record(1, 1);
            commit(&mut reloader, everything(&to)).await.in_force().await;
            make_spans(&pipeline, 10);
            let of_traces = (Signal::Traces, "gateway");
            let dropped = |it: &SinkStats| it.items_dropped.contains_key(reason);
            let counted = until_stats(&pipeline, of_traces, dropped).await;
            let arrived = spans(&receiver) as u64;
            assert_eq!(counted.items_dropped[reason], lost * arrived / 10, "{reason}: {counted:?}");
            assert_eq!(counted.items_accepted, arrived - lost * arrived / 10, "{reason}");
            until_stats(&pipeline, (Signal::Metrics, "gateway"), dropped).await;
            if reason != "unauthenticated" {
                // Else the next deltas have it: credentials may be mended.
                until_stats(&pipeline, (Signal::Metrics, "delta"), dropped).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_sink_that_is_black_holed_the_other_loses_nothing() {
    for trouble in [Trouble::BlackHole, Trouble::Answers(Answer::Nothing), Trouble::Dead] {
        let (bad, _kept) = troubled(&trouble, Protocol::Grpc).await;
        let good = Receiver::start();
        let (pipeline, mut reloader, instruments) = started();
        let mut config = everything(&good.by(Protocol::Grpc));
        let hole =
            OtlpSink { receiver: bad.clone(), period: OFTEN, temporality: Temporality::Delta };
        let records = RecordSink { receiver: bad, batch: batch(7, 2) };
        config = config.with_sink("hole", hole).with_traces("hole", records);
        commit(&mut reloader, config).await.in_force().await;
        for round in 1..=20 {
            make_spans(&pipeline, QUEUE / 2);
            instruments.record(1, round);
            let sent = |it: &SinkStats| it.items_queued == 0;
            until_stats(&pipeline, (Signal::Traces, "gateway"), sent).await;
        }
        let made = 20 * QUEUE / 2;
        let (gateway, hole) =
            (stats(&pipeline, Signal::Traces, "gateway"), stats(&pipeline, Signal::Traces, "hole"));
        assert_eq!((gateway.items_accepted, gateway.items_dropped.len()), (made as u64, 0));
        assert_eq!((hole.items_queued, hole.items_dropped["queue_full"]), (7, made as u64 - 7));
        assert_eq!(spans(&good), made);
        good.until("totals", |all| all.last().is_some_and(|it| it.total("requests") == 20.0)).await;
        let delta = || {
            good.exports()
                .iter()
                .filter(|it| is_delta(it))
                .map(|it| it.total("requests"))
                .sum::<f64>()
        };
        let told = eventually("every delta", PATIENCE, async || {
            if delta() == 20.0 { Ok(()) } else { Err(delta().to_string()) }
        });
        told.await.unwrap();
    }
}

fn is_delta(export: &support::Export) -> bool {
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    let metrics = export
        .request
        .resource_metrics
        .iter()
        .flat_map(|it| &it.scope_metrics)
        .flat_map(|it| &it.metrics);
    metrics
        .into_iter()
        .any(|it| matches!(&it.data, Some(Data::Sum(sum)) if sum.aggregation_temporality == 1))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_moves_without_a_word_gets_exports_again() {
    for by in PROTOCOLS {
        let (old, new) = (Receiver::start(), Receiver::start());
        let forwarder = Forwarder::start(Some(old.address()));
        let (pipeline, mut reloader, instruments) = started();
        let mut to = pharos_telemetry::OtlpReceiver::new(endpoint(by, forwarder.address()));
        to.timeout = Duration::from_secs(1);
        commit(&mut reloader, everything(&to)).await.in_force().await;
        instruments.record(1, 1);
        make_spans(&pipeline, 3);
        until_all_arrived(&old, 1.0, 3).await;

        forwarder.leads_to(Some(new.address()));
        instruments.record(1, 2);
        make_spans(&pipeline, 3);
        until_all_arrived(&new, 2.0, 3).await;
        new.until("a delta", |all| all.iter().any(is_delta)).await;
        for (sink, stats) in pipeline.debug().sinks {
            // The one that was on its way, and nothing after it.
            assert!(stats.exports_ambiguous <= 1, "{sink}: {stats:?}");
            assert!(stats.items_dropped.is_empty(), "{sink}: {stats:?}");
        }
        let of_traces = (Signal::Traces, "gateway");
        let sent = until_stats(&pipeline, of_traces, |it| it.items_queued == 0).await;
        assert_eq!(sent.items_accepted, 6);
        let told = eventually("every delta", PATIENCE, async || match deltas(&[&old, &new]) {
            2.0 => Ok(()),
            sum => Err(sum.to_string()),
        });
        told.await.unwrap();
    }
}

/// The sum of all deltas. What was not answered comes again as it was.
fn deltas(receivers: &[&Receiver]) -> f64 {
    let mut all: Vec<_> = receivers.iter().flat_map(|it| it.exports()).filter(is_delta).collect();
    all.dedup_by(|one, other| one.request == other.request);
    all.iter().map(|it| it.total("requests")).sum()
}
