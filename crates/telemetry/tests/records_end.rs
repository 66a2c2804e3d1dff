//! The end of sinks of spans and log records, and of the whole pipeline: what queues hold arrives, or
//! it is known that it did not.

#![expect(
    clippy::disallowed_methods,
    reason = "these tests record without a catalogue, as libraries do"
)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

mod support;

use std::time::Duration;

use opentelemetry::trace::{Span as _, Tracer as _};
use pharos_telemetry::{Config, LastExport, Pipeline};
use support::records::{NEVER, RecordReceiver, both, make, whole_batches};
use support::{Answer, PATIENCE, commit, start};
use tracing_subscriber::layer::SubscriberExt as _;

#[tokio::test]
async fn a_removed_sink_sends_everything_that_it_holds() {
    let receiver = RecordReceiver::start();
    let (pipeline, mut reloader) = start();
    let sink = whole_batches(receiver.sink(1000, 100));
    commit(&mut reloader, both("gateway", &sink)).await.drain(PATIENCE).await;
    make(&pipeline, 0..99);
    let drained = commit(&mut reloader, Config::off()).await.drain(PATIENCE).await;
    let delivered = |points| LastExport::Delivered { points, rejected: 0 };
    let last_exports: Vec<_> = drained.sinks.into_values().collect();
    assert_eq!(last_exports, [delivered(99), delivered(0)]);
    assert_eq!(receiver.traces.accepted_items(), 99);
    make(&pipeline, 99..200);
    assert_eq!(receiver.traces.accepted_items(), 99, "nothing is recorded any more");
}

#[tokio::test]
async fn the_end_flushes_spans_and_log_records_even_on_a_runtime_with_one_thread() {
    let receiver = RecordReceiver::start();
    let (pipeline, mut reloader) = start();
    let sink = whole_batches(receiver.sink(1000, 100));
    commit(&mut reloader, both("gateway", &sink)).await.drain(PATIENCE).await;
    make(&pipeline, 0..950);
    let subscriber = tracing_subscriber::registry().with(pipeline.log_layer());
    tracing::subscriber::with_default(subscriber, || tracing::warn!("the end is near"));
    let report = reloader.shutdown(PATIENCE).await;
    assert_eq!(report.drained.lost(), 0);
    assert_eq!(receiver.traces.accepted_items(), 950);
    assert_eq!(receiver.logs.accepted_items(), 1);
}

#[tokio::test]
async fn a_receiver_that_is_gone_holds_the_end_up_no_longer_than_the_deadline() {
    let receiver = RecordReceiver::start();
    receiver.answers(Answer::Nothing);
    let (pipeline, mut reloader) = start();
    let sink = receiver.patient(1000, 100, NEVER);
    commit(&mut reloader, both("gateway", &sink)).await.drain(PATIENCE).await;
    make(&pipeline, 0..250);
    receiver.traces.until_called().await;
    let shutdown = reloader.shutdown(Duration::from_millis(20));
    let report = tokio::time::timeout(PATIENCE, shutdown).await.unwrap();
    let last_exports: Vec<_> = report.drained.sinks.into_values().collect();
    let lost = LastExport::Lost { points: 250, reason: "ambiguous" };
    assert!(last_exports.contains(&lost), "{last_exports:?}");
}

#[tokio::test]
async fn a_pipeline_that_is_dropped_records_nothing_more() {
    let receiver = RecordReceiver::start();
    let (pipeline, mut reloader) = start();
    let sink = whole_batches(receiver.sink(1000, 100));
    commit(&mut reloader, both("gateway", &sink)).await.drain(PATIENCE).await;
    drop(reloader);
    let ended = async {
        while tracer_records(&pipeline) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
}

fn tracer_records(pipeline: &Pipeline) -> bool {
    pipeline.tracer("test").start("span").is_recording()
}
