//! What the pipeline counts about itself, exported through itself.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

mod support;

use std::time::Duration;

use pharos_telemetry::{Catalogue, Config};
use pharos_testkit::eventually;
use support::{Answer, PATIENCE, Receiver, commit, scraping, start_with};

const NEVER: Duration = Duration::from_secs(3600);

fn value(page: &str, metric: &str, labels: &[(&str, &str)]) -> f64 {
    let samples = pharos_testkit::prometheus::parse(page).unwrap();
    pharos_testkit::prometheus::sum(&samples, metric, labels)
}

#[tokio::test(flavor = "multi_thread")]
async fn exports_losses_and_reloads_are_metrics_that_outlive_their_sinks() {
    let receiver = Receiver::start();
    let mut catalogue = Catalogue::new();
    catalogue.observe_pipeline();
    let (pipeline, mut reloader) = start_with(catalogue);
    let config = || Config::off().with_sink("gateway", receiver.sink(NEVER));
    commit(&mut reloader, config().with_sink("scraped", scraping())).await.drain(PATIENCE).await;
    // Not only received: an answer that is changed before it is given counts as the changed one.
    eventually("the first export to be accepted", PATIENCE, async || {
        let pharos_telemetry::Scrape::Text(page) = pipeline.scrape() else {
            return Err("it is not scraped".to_owned());
        };
        let accepted = [("exporter", "gateway"), ("outcome", "accepted")];
        match value(&page, "pharos_telemetry_exports_total", &accepted) {
            1.0 => Ok(()),
            counted => Err(format!("{counted} exports")),
        }
    })
    .await
    .unwrap();
    receiver.answers(Answer::RejectPoints(2));
    let only_scraped = Config::off().with_sink("scraped", scraping());
    commit(&mut reloader, only_scraped).await.drain(PATIENCE).await;

    let pharos_telemetry::Scrape::Text(page) = pipeline.scrape() else { panic!("it is scraped") };
    let sink = ("exporter", "gateway");
    let of = |metric, labels: &[_]| value(&page, metric, labels);
    assert_eq!(of("pharos_telemetry_exports_total", &[sink, ("outcome", "accepted")]), 1.0);
    let rejected = ("outcome", "partially_rejected");
    assert_eq!(of("pharos_telemetry_exports_total", &[sink, rejected]), 1.0);
    let dropped = ("reason", "partially_rejected");
    assert_eq!(of("pharos_telemetry_dropped_items_total", &[sink, dropped]), 2.0);
    assert!(of("pharos_telemetry_sent_items_total", &[sink, ("signal", "metrics")]) > 0.0);
    assert_eq!(of("pharos_telemetry_export_duration_seconds_count", &[sink]), 2.0);
    assert_eq!(of("pharos_telemetry_reloads_total", &[("outcome", "committed")]), 2.0);
    assert_eq!(of("pharos_telemetry_reload_duration_seconds_count", &[]), 2.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_does_not_ask_has_none_of_it() {
    let (pipeline, mut reloader) = start_with(Catalogue::new());
    commit(&mut reloader, Config::prometheus()).await.drain(PATIENCE).await;
    let pharos_telemetry::Scrape::Text(page) = pipeline.scrape() else { panic!("it is scraped") };
    assert!(!page.contains("pharos_telemetry"), "{page}");
}
