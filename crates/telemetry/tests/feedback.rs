//! Exporting is not recorded: it would have to be exported, too. In a binary of its own, because
//! the pipeline's own threads are listened to here.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

mod support;

use std::time::Duration;

use pharos_telemetry::config::Severity;
use pharos_telemetry::{Config, Signal};
use support::records::{RecordReceiver, body, log_records, until_stats};
use support::{PATIENCE, commit, start};
use tracing_subscriber::layer::SubscriberExt as _;

#[tokio::test]
async fn at_the_finest_severity_nothing_about_exporting_is_sent() {
    let receiver = RecordReceiver::start();
    let mut sink = receiver.sink(10_000, 1);
    sink.receiver.timeout = Duration::from_secs(5);
    let (pipeline, mut reloader) = start();
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(pipeline.layers()))
        .unwrap();
    let address = receiver.die().await;
    let mut config = Config::off().with_logs("gateway", sink.clone()).with_traces("gateway", sink);
    config.logs.min_severity = Severity::Trace;
    commit(&mut reloader, config.clone()).await.drain(PATIENCE).await;
    tracing::info!("the only one");
    // The endpoint refuses, and the pipeline speaks about it.
    let gateway = (Signal::Logs, "gateway");
    let refused = |it: &pharos_telemetry::SinkStats| {
        it.exports_failed.get("unreachable").is_some_and(|failed| *failed >= 4)
    };
    let stats = until_stats(&pipeline, gateway, refused).await;
    assert_eq!(stats.items_queued, 1, "{stats:?}");
    // It comes back, the one record arrives, and so does nothing about that.
    let receiver = RecordReceiver::start_at(address);
    receiver.logs.until_accepted(1).await;
    config.logs.min_severity = Severity::Debug;
    commit(&mut reloader, config).await.drain(PATIENCE).await;
    let report = reloader.shutdown(PATIENCE).await;
    assert_eq!(report.drained.lost(), 0, "{report:?}");
    let calls = receiver.logs.calls();
    let records = calls.iter().flat_map(|call| log_records(&call.request));
    assert_eq!(records.map(body).collect::<Vec<_>>(), ["the only one"]);
    assert_eq!(receiver.traces.accepted_items(), 0);
}
