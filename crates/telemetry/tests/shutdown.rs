//! The end of a pipeline: the last totals arrive, or it is known that they did not.

#![expect(
    clippy::disallowed_methods,
    reason = "these tests record without a catalogue, as libraries do"
)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

mod support;

use std::time::Duration;

use pharos_telemetry::{Config, LastExport, OtlpSink};
use support::{Answer, PATIENCE, Receiver, commit, gateway, start};

const NEVER: Duration = Duration::from_secs(3600);

fn otlp(sink: OtlpSink) -> Config {
    Config::off().with_sink("gateway", sink)
}

#[tokio::test]
async fn the_last_value_arrives_even_on_a_runtime_with_one_thread() {
    let receiver = Receiver::start();
    let (pipeline, mut reloader) = start();
    let counter = pipeline.meter("test").u64_counter("requests").build();
    commit(&mut reloader, otlp(receiver.sink(NEVER))).await.drain(PATIENCE).await;
    receiver.until("the first export", |all| !all.is_empty()).await;
    counter.add(42, &[]);
    let report = reloader.shutdown(PATIENCE).await;
    let delivered = LastExport::Delivered { points: 1, rejected: 0 };
    assert_eq!(report.drained.sinks[&gateway()], delivered);
    assert_eq!(receiver.exports().pop().unwrap().total("requests"), 42.0);
}

#[tokio::test]
async fn a_receiver_that_never_answers_holds_it_up_no_longer_than_the_deadline() {
    let (left, running) = (Receiver::start(), Receiver::start());
    let (pipeline, mut reloader) = start();
    pipeline.meter("test").u64_counter("requests").build().add(1, &[]);
    let mut patient = None;
    // The first commit ends nothing; the second one ends the sink at `left`.
    for receiver in [&left, &running] {
        receiver.answers(Answer::Nothing);
        let sink = receiver.patient(NEVER, NEVER);
        let retired = commit(&mut reloader, otlp(sink)).await;
        patient = Some(tokio::spawn(retired.drain(NEVER)));
        receiver.until("the export that is never answered", |all| !all.is_empty()).await;
    }
    let shutdown = reloader.shutdown(Duration::from_millis(20));
    let report = tokio::time::timeout(PATIENCE, shutdown).await.unwrap();
    let sink_id = gateway();
    let lost = LastExport::Lost { points: 1, reason: "ambiguous" };
    assert_eq!(report.drained.sinks[&sink_id], lost);
    assert_eq!(pipeline.debug().last_exports.lost, 1);
    // The sink that left before had hours, and was waiting still when the other one was given up:
    // no limit but the deadline of each has an effect.
    let patient = tokio::time::timeout(PATIENCE, patient.unwrap()).await.unwrap().unwrap();
    let cut_short = LastExport::Lost { points: 0, reason: "sink_died" };
    assert_eq!(patient.sinks[&sink_id], cut_short);
}

#[tokio::test]
async fn sinks_that_left_before_do_not_hold_it_up_either() {
    let receiver = Receiver::start();
    receiver.answers(Answer::Nothing);
    let (_pipeline, mut reloader) = start();
    let sink = receiver.patient(NEVER, NEVER);
    commit(&mut reloader, otlp(sink)).await.drain(PATIENCE).await;
    receiver.until("the export that is never answered", |all| !all.is_empty()).await;
    let patient = commit(&mut reloader, Config::off()).await;
    let drain = tokio::spawn(patient.drain(NEVER));
    tokio::time::timeout(PATIENCE, reloader.shutdown(Duration::ZERO)).await.unwrap();
    let drained = tokio::time::timeout(PATIENCE, drain).await.unwrap().unwrap();
    assert_eq!(drained.lost(), 1);
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_reported() {
    let receiver = Receiver::start();
    let sink = receiver.sink(NEVER);
    receiver.die().await;
    let (pipeline, mut reloader) = start();
    pipeline.meter("test").u64_counter("requests").build().add(1, &[]);
    commit(&mut reloader, otlp(sink)).await.drain(PATIENCE).await;
    let report = reloader.shutdown(PATIENCE).await;
    let lost = LastExport::Lost { points: 1, reason: "unreachable" };
    assert_eq!(report.drained.sinks[&gateway()], lost);
}

#[tokio::test]
async fn a_pipeline_that_is_dropped_takes_nobody_down() {
    let receiver = Receiver::start();
    let (pipeline, mut reloader) = start();
    let counter = pipeline.meter("test").u64_counter("requests").build();
    drop(commit(&mut reloader, otlp(receiver.sink(NEVER))).await);
    drop(reloader);
    counter.add(1, &[]);
    assert!(pipeline.debug().sinks.contains_key(&gateway()));
}

#[test]
fn it_ends_without_a_runtime_of_the_caller() {
    let (_, reloader) = start();
    let report = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(reloader.shutdown(PATIENCE));
    assert!(report.drained.sinks.is_empty());
}
