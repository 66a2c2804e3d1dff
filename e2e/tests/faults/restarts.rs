//! The API server and etcd go and come back, each by itself, under a Pharos that runs on.

use anyhow::ensure;
use pharos_e2e::editions::{arrives, edition, set_token};
use pharos_e2e::stage::{PATIENCE, Stage};
use pharos_testkit::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_api_server_and_a_restarted_etcd_are_found_again() -> anyhow::Result<()> {
    let mut stage = Stage::set().await?;
    let endpoint = stage.collector.endpoint();
    set_token(&stage, "token", "any").await?;
    let mut pharos = stage.pharos().await?;
    stage.configure(&edition(&endpoint, "first")).await?;
    arrives(&stage.collector, "first", PATIENCE).await?;

    stage.cluster.stop_apiserver().await?;
    stage.cluster.start_apiserver().await?;
    stage.cluster.apply(&edition(&endpoint, "second")).await?;
    stage.condition("Ready", "True", "Ready").await?;
    arrives(&stage.collector, "second", PATIENCE).await?;

    stage.cluster.stop_etcd().await?;
    let exports = stage.collector.exports()?.len();
    let refused = stage.cluster.apply(&edition(&endpoint, "third")).await;
    ensure!(refused.is_err(), "the API server stored without etcd");
    eventually("exports to go on without etcd", PATIENCE, async || {
        let more = stage.collector.exports().map_err(|error| error.to_string())?.len() - exports;
        if more >= 2 { Ok(()) } else { Err(format!("{more} more")) }
    })
    .await?;
    stage.cluster.start_etcd().await?;
    eventually("the API server to store again", PATIENCE, async || {
        let stored = stage.cluster.apply(&edition(&endpoint, "third")).await;
        stored.map(drop).map_err(|error| error.to_string())
    })
    .await?;
    stage.condition("Ready", "True", "Ready").await?;
    arrives(&stage.collector, "third", PATIENCE).await?;
    stage.condition("ExportHealthy", "True", "Healthy").await?;
    let status = &stage.telemetryconfig().await?["status"];
    ensure!(status["programmedReplicas"] == "1/1", "{status}");
    stage.webhook_in_force().await?;
    ensure!(pharos.exited().is_none(), "pharos ended");
    Ok(())
}
