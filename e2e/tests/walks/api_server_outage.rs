//! The API server goes and comes back: reviews resume, and what changed meanwhile is seen.

use std::time::Duration;

use anyhow::ensure;
use pharos_e2e::manifests::{TELEMETRYCONFIG_PROMETHEUS, telemetryconfig_otlp};
use pharos_e2e::stage::{ENGINE, PATIENCE, REVIEWS, Stage, reviews_scraped};
use pharos_testkit::eventually;

const OUTAGE: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn reviews_resume_and_the_watch_catches_up() -> anyhow::Result<()> {
    let mut stage = Stage::set().await?;
    let pharos = stage.pharos().await?;
    stage.configure(&telemetryconfig_otlp(&stage.collector.endpoint())).await?;
    stage.create("before", 10).await?;
    let answered = stage.reviews_answered().await?;

    // Another API server on the same etcd, which pharos does not know, is the other client's.
    let other = stage.cluster.start_another_apiserver().await?;
    stage.cluster.stop_apiserver().await?;
    let exports = stage.collector.exports()?.len();
    other.apply(TELEMETRYCONFIG_PROMETHEUS).await?;
    tokio::time::sleep(OUTAGE).await;
    drop(other);

    // Without the API server nothing moved, and exports went on.
    let (status, _) = pharos.scrape().await?;
    ensure!(status == 404, "the change arrived through a dead API server");
    let after = stage.collector.exports()?;
    ensure!(after.len() > exports, "exports stopped with the API server");
    let total = after.last().and_then(|export| export.total(REVIEWS)).unwrap_or_default();
    ensure!(total == answered, "{total} reviews, not {answered}");

    stage.cluster.start_apiserver().await?;
    stage.condition("Programmed", "True", "Programmed").await?;
    stage.webhook_in_force().await?;
    stage.create("after", 10).await?;
    eventually("every review since the restart to be counted", PATIENCE, async || {
        // The API server's own count began anew with it.
        let since = stage.reviews_answered().await.map_err(|error| error.to_string())?;
        let samples = pharos.metrics().await.map_err(|error| error.to_string())?;
        let total = reviews_scraped(&samples);
        if total == answered + since {
            Ok(())
        } else {
            Err(format!("{total}, not {answered} + {since}"))
        }
    })
    .await?;
    stage.cluster.kubectl(&["get", "lease", "pharos-telemetry-leader", "-n", ENGINE]).await?;
    Ok(())
}
