//! One sink and its receiver: what is sent, and what happens when it does not arrive.

#![expect(
    clippy::disallowed_methods,
    reason = "these tests record without a catalogue, as libraries do"
)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

mod support;

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use pharos_telemetry::config::{Compression, Header};
use pharos_telemetry::{Config, FailureReason, OtlpSink, Pipeline, SinkHealth};
use support::{
    Answer, PATIENCE, Receiver, assert_no_series_goes_back, commit, gateway, scraping, start,
};
use tonic::Code;

const OFTEN: Duration = Duration::from_millis(5);
const NEVER: Duration = Duration::from_secs(3600);

fn otlp(sink: OtlpSink) -> Config {
    Config::off().with_sink("gateway", sink)
}

async fn until_health(pipeline: &Pipeline, reached: impl Fn(&SinkHealth) -> bool) -> SinkHealth {
    let mut health = pipeline.health();
    let reached = health.wait_for(|all| all.sinks.get(&gateway()).is_some_and(&reached));
    let health = tokio::time::timeout(PATIENCE, reached).await.expect("a state").unwrap();
    health.sinks[&gateway()].clone()
}

fn failing_for(reason: FailureReason) -> impl Fn(&SinkHealth) -> bool {
    move |health| matches!(health, SinkHealth::Failing { reason: it, .. } if *it == reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_sees_the_compression_and_the_headers_that_the_config_says() {
    let receiver = Receiver::start();
    let (pipeline, mut reloader) = start();
    pipeline.meter("test").u64_counter("requests").build().add(1, &[]);
    for (compression, encoding) in [
        (Compression::None, None),
        (Compression::Gzip, Some("gzip")),
        (Compression::Zstd, Some("zstd")),
    ] {
        let mut sink = receiver.sink(NEVER);
        sink.receiver.compression = compression;
        sink.receiver.headers.push(Header::parse("authorization", "Bearer a b").unwrap());
        sink.receiver.headers.push(Header::parse("x-tenant", "t-1").unwrap());
        let begun = receiver.exports().len();
        commit(&mut reloader, otlp(sink)).await.drain(PATIENCE).await;
        receiver
            .until("an export in this encoding", |all| {
                all[begun..].iter().any(|it| it.header("grpc-encoding") == encoding)
            })
            .await;
        let export = receiver.exports().pop().unwrap();
        assert_eq!(export.header("authorization"), Some("Bearer a b"));
        assert_eq!(export.header("x-tenant"), Some("t-1"));
        assert_eq!(export.metadata.get_all("authorization").iter().count(), 1);
        assert_eq!(export.total("requests"), 1.0);
    }
}

/// The environment of a process cannot be changed in it, so the test above runs again in another.
#[test]
fn the_environment_of_exporters_has_no_effect() {
    let hostile = BTreeMap::from([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=forged,x-tenant=forged"),
        ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "authorization=forged"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "1"),
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("HTTP_PROXY", "http://127.0.0.1:1"),
    ]);
    let test = "a_receiver_sees_the_compression_and_the_headers_that_the_config_says";
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .envs(hostile)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && output.contains("1 passed"), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_resumes_with_current_totals_when_its_receiver_comes_back() {
    let receiver = Receiver::start();
    let (pipeline, mut reloader) = start();
    let counter = pipeline.meter("test").u64_counter("requests").build();
    counter.add(1, &[]);
    commit(&mut reloader, otlp(receiver.sink(OFTEN))).await.drain(PATIENCE).await;
    until_health(&pipeline, |it| *it == SinkHealth::Healthy).await;
    let before = receiver.exports();

    let address = receiver.die().await;
    counter.add(10, &[]);
    until_health(&pipeline, failing_for(FailureReason::EndpointUnreachable)).await;

    let receiver = Receiver::start_at(address);
    receiver.until("an export after the outage", |all| !all.is_empty()).await;
    until_health(&pipeline, |it| *it == SinkHealth::Healthy).await;
    let after = receiver.exports();
    assert_eq!(after[0].total("requests"), 11.0);
    assert_no_series_goes_back(&[before, after].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_is_tried_again_long_before_the_next_period_and_with_new_totals() {
    let receiver = Receiver::start();
    let sink = receiver.sink(NEVER);
    let address = receiver.die().await;
    let (pipeline, mut reloader) = start();
    let counter = pipeline.meter("test").u64_counter("requests").build();
    counter.add(1, &[]);
    commit(&mut reloader, otlp(sink)).await.drain(PATIENCE).await;
    until_health(&pipeline, failing_for(FailureReason::EndpointUnreachable)).await;
    counter.add(10, &[]);

    let receiver = Receiver::start_at(address);
    until_health(&pipeline, |it| *it == SinkHealth::Healthy).await;
    assert_eq!(receiver.exports()[0].total("requests"), 11.0);
    let stats = &pipeline.debug().sinks[&gateway()];
    assert!(stats.exports_retried >= 3, "{stats:?}");
    assert!(stats.exports_failed["unreachable"] >= 3, "{stats:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_fail_has_its_reason() {
    let receiver = Receiver::start();
    let (pipeline, mut reloader) = start();
    pipeline.meter("test").u64_counter("requests").build().add(1, &[]);
    commit(&mut reloader, otlp(receiver.sink(OFTEN))).await.drain(PATIENCE).await;
    until_health(&pipeline, |it| *it == SinkHealth::Healthy).await;
    for (answer, reason) in [
        (Answer::Refuse(Code::Unauthenticated), FailureReason::Unauthenticated),
        (Answer::Refuse(Code::Unimplemented), FailureReason::AllDataDropped),
        (Answer::RejectPoints(1), FailureReason::SomeDataDropped),
        (Answer::Refuse(Code::InvalidArgument), FailureReason::AllDataDropped),
        (Answer::Refuse(Code::Unavailable), FailureReason::EndpointUnreachable),
    ] {
        receiver.answers(answer);
        until_health(&pipeline, failing_for(reason)).await;
        receiver.answers(Answer::Accept);
        until_health(&pipeline, |it| *it == SinkHealth::Healthy).await;
    }
    let stats = &pipeline.debug().sinks[&gateway()];
    for reason in ["unauthenticated", "unimplemented", "rejected", "unreachable"] {
        assert!(stats.exports_failed[reason] >= 3, "{reason}: {stats:?}");
    }
    assert!(stats.items_dropped["partially_rejected"] >= 3, "{stats:?}");
    assert!(stats.items_accepted > 0 && stats.last_success.is_some(), "{stats:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_dropped_once_the_last_time_too() {
    let receiver = Receiver::start();
    receiver.answers(Answer::Refuse(Code::InvalidArgument));
    let (pipeline, mut reloader) = start();
    pipeline.meter("test").u64_counter("requests").build().add(1, &[]);
    let refused = || until_health(&pipeline, failing_for(FailureReason::AllDataDropped));
    commit(&mut reloader, otlp(receiver.sink(NEVER))).await.drain(PATIENCE).await;
    refused().await;
    // The counters of a sink outlive a swap: first and last of the old one, first of the new one.
    let swapped = receiver.patient(NEVER, PATIENCE);
    commit(&mut reloader, otlp(swapped)).await.drain(PATIENCE).await;
    refused().await;
    let stats = &pipeline.debug().sinks[&gateway()];
    assert_eq!(stats.items_dropped, BTreeMap::from([("rejected", 3)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn recording_ends_while_a_sink_waits_for_ever() {
    let receiver = Receiver::start();
    receiver.answers(Answer::Nothing);
    let (pipeline, mut reloader) = start();
    let sink = receiver.patient(OFTEN, NEVER);
    commit(&mut reloader, otlp(sink)).await.drain(PATIENCE).await;
    receiver.until("the export that is never answered", |all| !all.is_empty()).await;
    let counter = pipeline.meter("test").u64_counter("requests").build();
    // That this ends is the promise: nothing on the other side will ever move.
    let (done, recorded) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        (0..100_000).for_each(|_| counter.add(1, &[]));
        done.send(()).unwrap();
    });
    tokio::time::timeout(PATIENCE, recorded).await.unwrap().unwrap();
    assert_eq!(receiver.exports().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_that_panics_is_told_of_every_sink() {
    let receiver = Receiver::start();
    let (pipeline, mut reloader) = start();
    let config = otlp(receiver.sink(OFTEN)).with_sink("scraped", scraping());
    commit(&mut reloader, config).await.drain(PATIENCE).await;
    until_health(&pipeline, |it| *it == SinkHealth::Healthy).await;

    let meter = pipeline.meter("test");
    let gauge = meter.u64_observable_gauge("broken");
    gauge.with_callback(|_| panic!("as the test wants it")).build();
    until_health(&pipeline, failing_for(FailureReason::SomeDataDropped)).await;
    receiver.next_export().await;
    for health in pipeline.debug().health.sinks.into_values() {
        let SinkHealth::Failing { message, .. } = health else { panic!("{health:?}") };
        assert!(message.contains("a callback") && message.contains("restart"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_told_about_a_sink_shows_its_headers() {
    let receiver = Receiver::start();
    receiver.answers(Answer::Refuse(Code::Unauthenticated));
    let (pipeline, mut reloader) = start();
    let mut sink = receiver.sink(OFTEN);
    sink.receiver.headers.push(Header::parse("authorization", "Bearer hunter2").unwrap());
    commit(&mut reloader, otlp(sink)).await.drain(PATIENCE).await;
    until_health(&pipeline, failing_for(FailureReason::Unauthenticated)).await;
    let told = format!(
        "{}{:?}{:?}",
        serde_json::to_string(&pipeline.debug()).unwrap(),
        pipeline.debug(),
        pipeline.health().borrow()
    );
    assert!(told.contains("authorization") && !told.contains("hunter2"), "{told}");
}
