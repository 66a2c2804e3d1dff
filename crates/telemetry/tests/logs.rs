//! Which log records are sent, and what they are made of.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

mod support;

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use pharos_telemetry::config::Severity;
use pharos_telemetry::{Config, Pipeline, Reloader};
use support::records::{RecordReceiver, body, log_records};
use support::{PATIENCE, commit, start};
use tracing::instrument::WithSubscriber as _;
use tracing_subscriber::layer::SubscriberExt as _;

async fn send_from(reloader: &mut Reloader, receiver: &RecordReceiver, min_severity: Severity) {
    let mut config = Config::off().with_logs("gateway", receiver.sink(100, 100));
    config.logs.min_severity = min_severity;
    commit(reloader, config).await.drain(PATIENCE).await;
}

fn one_of_each_level() {
    tracing::trace!("trace");
    tracing::debug!("debug");
    tracing::info!("info");
    tracing::warn!("warn");
    tracing::error!("error");
}

fn listening(pipeline: &Pipeline) -> impl tracing::Subscriber + Send + Sync + 'static {
    tracing_subscriber::registry().with(pipeline.layers())
}

fn sent(receiver: &RecordReceiver) -> Vec<LogRecord> {
    let calls = receiver.logs.calls();
    calls.iter().flat_map(|call| log_records(&call.request)).cloned().collect()
}

#[tokio::test]
async fn the_least_severity_changes_under_call_sites_that_were_used_before() {
    let receiver = RecordReceiver::start();
    let (pipeline, mut reloader) = start();
    let levels = ["trace", "debug", "info", "warn", "error"];
    let severities =
        [Severity::Trace, Severity::Debug, Severity::Info, Severity::Warn, Severity::Error];
    let expected = async {
        one_of_each_level();
        let mut expected: Vec<&str> = Vec::new();
        // Up and down again, and with nobody to send to in between.
        for first in [2, 0, 4, 3, 1, 2] {
            commit(&mut reloader, Config::off()).await.drain(PATIENCE).await;
            one_of_each_level();
            send_from(&mut reloader, &receiver, severities[first]).await;
            one_of_each_level();
            expected.extend(&levels[first..]);
        }
        expected
    };
    let expected = expected.with_subscriber(listening(&pipeline)).await;
    assert_eq!(reloader.shutdown(PATIENCE).await.drained.lost(), 0);
    assert_eq!(sent(&receiver).iter().map(body).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_record_carries_the_span_that_it_was_made_in() {
    let receiver = RecordReceiver::start();
    let (pipeline, mut reloader) = start();
    let sink = receiver.sink(100, 100);
    let config = Config::off().with_logs("gateway", sink.clone()).with_traces("gateway", sink);
    commit(&mut reloader, config).await.drain(PATIENCE).await;
    tracing::subscriber::with_default(listening(&pipeline), || {
        tracing::info!("outside");
        tracing::info_span!("outer").in_scope(|| {
            let inner = tracing::info_span!("inner");
            inner.in_scope(|| tracing::warn!(target: "elsewhere", attempt = 3, "inside"));
        });
    });
    assert_eq!(reloader.shutdown(PATIENCE).await.drained.lost(), 0);
    let calls = receiver.traces.calls();
    let spans = calls.iter().flat_map(|call| support::records::spans(&call.request));
    let inner = spans.into_iter().find(|span| span.name == "inner").unwrap();
    let records = sent(&receiver);
    let [outside, inside] = ["outside", "inside"]
        .map(|text| records.iter().find(|record| body(record) == text).unwrap());
    assert!(outside.trace_id.is_empty() && outside.span_id.is_empty());
    assert_eq!((&inside.trace_id, &inside.span_id), (&inner.trace_id, &inner.span_id));
    assert_eq!((inside.severity_text.as_str(), inside.flags), ("WARN", 1));
    assert_eq!(inside.attributes[0].key, "attempt");
    let calls = receiver.logs.calls();
    let resources = calls.iter().flat_map(|call| &call.request.resource_logs);
    let scopes: Vec<_> = resources.flat_map(|it| &it.scope_logs).flat_map(|it| &it.scope).collect();
    assert!(scopes.iter().any(|scope| scope.name == "elsewhere"), "{scopes:?}");
}

#[tokio::test]
async fn a_record_is_cut_to_size() {
    let receiver = RecordReceiver::start();
    let (pipeline, mut reloader) = start();
    send_from(&mut reloader, &receiver, Severity::Info).await;
    let long = "é".repeat(100_000);
    tracing::subscriber::with_default(listening(&pipeline), || {
        tracing::info!(object = long.as_str(), "{long}");
    });
    receiver.logs.until_accepted(1).await;
    let record = sent(&receiver).pop().unwrap();
    assert_eq!(body(&record).len(), 16 * 1024);
    assert!(body(&record).chars().all(|it| it == 'é'));
    let value = record.attributes[0].value.clone();
    assert_eq!(body(&LogRecord { body: value, ..LogRecord::default() }).len(), 16 * 1024);
}
