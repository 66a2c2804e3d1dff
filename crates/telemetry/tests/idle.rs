//! What goes nowhere costs nothing. In a binary of its own, because allocations are counted.

#![expect(
    clippy::disallowed_methods,
    reason = "these tests record without a catalogue, as libraries do"
)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

mod support;

use opentelemetry::trace::Tracer as _;
use pharos_telemetry::Config;
use support::records::RecordReceiver;
use support::{PATIENCE, commit, start};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;

#[tokio::test]
async fn spans_and_log_records_that_go_nowhere_allocate_nothing() {
    let receiver = RecordReceiver::start();
    let (pipeline, mut reloader) = start();
    let tracer = pipeline.tracer("test");
    let work = || {
        drop(tracer.start("span"));
        tracing::info_span!("span", key = 7).in_scope(|| tracing::error!(key = 7, "message"));
    };
    let subscriber = tracing_subscriber::registry().with(pipeline.layers());
    let _listening = tracing::subscriber::set_default(subscriber);
    let sink = receiver.sink(100, 100);
    let config = Config::off().with_traces("gateway", sink.clone()).with_logs("gateway", sink);
    for _ in 0..2 {
        commit(&mut reloader, config.clone()).await.drain(PATIENCE).await;
        work();
        assert!(allocation_counter::measure(work).count_total > 0);
        assert_eq!(LevelFilter::current(), LevelFilter::INFO);
        commit(&mut reloader, Config::off()).await.drain(PATIENCE).await;
        work();
        assert_eq!(allocation_counter::measure(work).count_total, 0);
        assert_eq!(LevelFilter::current(), LevelFilter::OFF, "call sites look no further");
    }
}
