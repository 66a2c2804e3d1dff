//! Metrics switch between Prometheus and OTLP while reviews arrive, and nothing is lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use pharos_e2e::manifests::{TELEMETRYCONFIG_PROMETHEUS, telemetryconfig_otlp};
use pharos_e2e::stage::{PATIENCE, REVIEWS, Stage, reviews_at_commit, reviews_scraped};
use pharos_e2e::traffic::Traffic;
use pharos_testkit::{Pharos, Value, eventually};

const SWITCHES: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_switches_lose_no_count_and_fail_no_review() -> anyhow::Result<()> {
    let stage = Arc::new(Stage::set().await?);
    let pharos = stage.pharos().await?;
    let traffic = Traffic::start(&stage, "switches");

    let mut first_exports = Vec::new();
    let mut committed_before = 0.0;
    for switch in 0..SWITCHES {
        let at_commit = if switch % 2 == 0 {
            let (at_commit, took) = to_otlp(&stage, &pharos).await?;
            first_exports.push(took);
            at_commit
        } else {
            to_prometheus(&stage, &pharos).await?
        };
        ensure!(
            at_commit >= committed_before,
            "the total went down: {committed_before} to {at_commit}"
        );
        committed_before = at_commit;
    }

    let created = traffic.stop().await?;
    let answered = stage.reviews_answered().await?;
    let total = reviews_scraped(&pharos.metrics().await?);
    ensure!(total == answered, "Prometheus shows {total}, the API server counts {answered}");

    // The other sink, by its last flush.
    to_otlp(&stage, &pharos).await?;
    stage.create("last", 10).await?;
    let answered = stage.reviews_answered().await?;
    stage.condition("ExportHealthy", "True", "Healthy").await?;
    let status = pharos.terminate(PATIENCE).await?;
    ensure!(status.success(), "pharos ended with {status}");
    eventually("the last flush at the Collector", PATIENCE, async || last_export(&stage, answered))
        .await?;

    let series = series_hold_together(&stage)?;
    first_exports.sort();
    println!(
        "{SWITCHES} switches, {created:?}, {answered} reviews answered, {series} series; \
         kubectl apply returning to first export at the Collector: p50 {:?}, max {:?}",
        first_exports[first_exports.len() / 2],
        first_exports[first_exports.len() - 1],
    );
    Ok(())
}

/// Switches to OTLP; says what the total was at the commit, and how long the first export took.
async fn to_otlp(stage: &Stage, pharos: &Pharos) -> anyhow::Result<(f64, Duration)> {
    let before = stage.collector.exports()?.len();
    stage.cluster.apply(&telemetryconfig_otlp(&stage.collector.endpoint())).await?;
    let applied = Instant::now();
    let first = eventually("the first export", PATIENCE, async || {
        let exports = stage.collector.exports().map_err(|error| error.to_string())?;
        exports.get(before).cloned().ok_or_else(|| format!("{} exports", exports.len()))
    })
    .await?;
    let took = applied.elapsed();
    stage.condition("Programmed", "True", "Programmed").await?;
    let total = first.total(REVIEWS).unwrap_or_default();
    committed(pharos, total).await?;
    let (status, body) = pharos.scrape().await?;
    ensure!(status == 404, "/metrics answers {status} while it is off: {body}");
    Ok((total, took))
}

/// Switches to Prometheus; says what the total was at the commit.
async fn to_prometheus(stage: &Stage, pharos: &Pharos) -> anyhow::Result<f64> {
    stage.configure(TELEMETRYCONFIG_PROMETHEUS).await?;
    let total = reviews_scraped(&pharos.metrics().await?);
    let at_commit =
        eventually("the Collector to hold the total of the commit", PATIENCE, async || {
            let at_commit = reviews_at_commit(pharos).await.map_err(|error| error.to_string())?;
            last_export(stage, at_commit).map(|()| at_commit)
        })
        .await?;
    ensure!(total >= at_commit, "/metrics shows {total}, at the commit it was {at_commit}");
    Ok(at_commit)
}

/// Waits until the total at the last commit is this one.
async fn committed(pharos: &Pharos, total: f64) -> anyhow::Result<()> {
    eventually("the Collector's first total to be that of the commit", PATIENCE, async || {
        let at_commit = reviews_at_commit(pharos).await.map_err(|error| error.to_string())?;
        if total == at_commit { Ok(()) } else { Err(format!("{total}, not {at_commit}")) }
    })
    .await
}

fn last_export(stage: &Stage, expected: f64) -> Result<(), String> {
    let exports = stage.collector.exports().map_err(|error| error.to_string())?;
    let total = exports.last().and_then(|export| export.total(REVIEWS)).unwrap_or_default();
    if total == expected { Ok(()) } else { Err(format!("it holds {total}, not {expected}")) }
}

/// No series of the Collector's data ever went down, and each has one start time.
fn series_hold_together(stage: &Stage) -> anyhow::Result<usize> {
    let mut seen = BTreeMap::new();
    for export in stage.collector.exports()? {
        for point in &export.points {
            // The pipeline's own gauges, which may go anywhere: Pharos counts in whole numbers.
            if let Value::Double(_) = point.value {
                continue;
            }
            let total = point.value.total();
            let (start, last) =
                seen.entry(Arc::clone(&point.series)).or_insert((point.start_time, total));
            ensure!(*start == point.start_time, "two start times of {:?}", point.series);
            ensure!(*last <= total, "{:?} went from {last} to {total}", point.series);
            *last = total;
        }
    }
    ensure!(!seen.is_empty(), "the Collector holds no series");
    Ok(seen.len())
}
