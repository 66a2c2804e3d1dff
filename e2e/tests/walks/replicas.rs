//! Several processes push to one Collector, and each is a writer of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context, ensure};
use pharos_e2e::manifests::telemetryconfig_otlp;
use pharos_e2e::replicas::{self, Replicas};
use pharos_e2e::stage::{ENGINE, PATIENCE, REVIEWS, Stage};
use pharos_e2e::traffic::Traffic;
use pharos_testkit::eventually;

/// The last total of every instance that the Collector has heard of.
fn totals(stage: &Stage) -> anyhow::Result<BTreeMap<String, f64>> {
    let mut last: BTreeMap<_, f64> = BTreeMap::new();
    for export in stage.collector.exports()? {
        for point in export.metric(REVIEWS) {
            last.insert(Arc::clone(&point.series), point.value.total());
        }
    }
    let mut totals = BTreeMap::new();
    for (series, total) in last {
        let instance = series.instance_id().context("a writer without service.instance.id")?;
        *totals.entry(instance.to_owned()).or_default() += total;
    }
    Ok(totals)
}

async fn sum_equals_the_api_servers(stage: &Stage) -> anyhow::Result<f64> {
    let answered = stage.reviews_answered().await?;
    eventually("the sum over instances to equal the API server's count", PATIENCE, async || {
        let totals = totals(stage).map_err(|error| error.to_string())?;
        let sum: f64 = totals.values().sum();
        if sum == answered { Ok(()) } else { Err(format!("{totals:?} is {sum}, not {answered}")) }
    })
    .await?;
    Ok(answered)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sum_over_instances_is_the_api_servers_count() -> anyhow::Result<()> {
    let stage = Arc::new(Stage::set().await?);
    let mut replicas = Replicas::start(&stage, 3).await?;
    stage.configure(&telemetryconfig_otlp(&stage.collector.endpoint())).await?;
    let programmed = stage.telemetryconfig().await?["status"]["programmedReplicas"].clone();
    ensure!(programmed == "3/3", "programmedReplicas is {programmed}");

    let traffic = Traffic::start(&stage, "first");
    eventually("every instance to have counted", PATIENCE, async || {
        let totals = totals(&stage).map_err(|error| error.to_string())?;
        if totals.len() == 3 { Ok(()) } else { Err(format!("{totals:?}")) }
    })
    .await?;
    traffic.stop().await?;
    let first = sum_equals_the_api_servers(&stage).await?;
    let before: BTreeSet<_> = totals(&stage)?.into_keys().collect();

    let traffic = Traffic::start(&stage, "second");
    for _ in 0..before.len() {
        replicas.add(&stage, 1).await?;
        replicas.remove().await?;
    }
    eventually("a restarted process to be a new instance", PATIENCE, async || {
        let totals = totals(&stage).map_err(|error| error.to_string())?;
        if totals.len() > before.len() { Ok(()) } else { Err(format!("{totals:?}")) }
    })
    .await?;
    traffic.stop().await?;
    let second = sum_equals_the_api_servers(&stage).await?;
    let after: BTreeSet<_> = totals(&stage)?.into_keys().collect();
    ensure!(after.is_superset(&before), "an instance was forgotten: {before:?}, {after:?}");
    println!(
        "{first} reviews by 3 instances, {second} by {} after all were restarted",
        after.len()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_leader_writes_status_and_the_others_do_not_fight_it() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let mut replicas = Replicas::start(&stage, 3).await?;
    stage.configure(&telemetryconfig_otlp(&stage.collector.endpoint())).await?;
    stage.condition("ExportHealthy", "True", "Healthy").await?;

    let settled = version(&stage).await?;
    let renewals = renewals(&stage).await?;
    eventually("every replica to renew its Lease", PATIENCE, async || {
        let now = self::renewals(&stage).await.map_err(|error| error.to_string())?;
        let renewed =
            renewals.iter().all(|(lease, before)| now.get(lease).is_some_and(|now| now != before));
        if renewed { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await?;
    ensure!(version(&stage).await? == settled, "the object was written though nothing changed");

    let leader = replicas::leader(&stage).await?;
    let index = replicas.position(&leader)?;
    replicas.running.swap(0, index);
    replicas.remove().await?;
    eventually("another leader", PATIENCE, async || {
        let now = replicas::leader(&stage).await.map_err(|error| error.to_string())?;
        if now == leader || now.is_empty() { Err(format!("the leader is {now:?}")) } else { Ok(()) }
    })
    .await?;
    eventually("the new leader to drop the entry of the old", PATIENCE, async || {
        let object = stage.telemetryconfig().await.map_err(|error| error.to_string())?;
        let programmed =
            object["status"]["programmedReplicas"].as_str().unwrap_or_default().to_owned();
        if programmed == "2/2" { Ok(()) } else { Err(programmed) }
    })
    .await?;
    let object = stage.telemetryconfig().await?;
    let managers: BTreeSet<_> = object["metadata"]["managedFields"]
        .as_array()
        .context("managedFields")?
        .iter()
        .filter(|entry| entry["subresource"] == "status")
        .filter_map(|entry| entry["manager"].as_str())
        .collect();
    ensure!(
        managers == BTreeSet::from(["pharos-telemetry-status"]),
        "status has managers {managers:?}"
    );
    Ok(())
}

async fn version(stage: &Stage) -> anyhow::Result<String> {
    Ok(stage.telemetryconfig().await?["metadata"]["resourceVersion"].to_string())
}

/// The renewTime of every heartbeat Lease.
async fn renewals(stage: &Stage) -> anyhow::Result<BTreeMap<String, String>> {
    let label = "telemetry.pharos.dev/heartbeat";
    let list =
        stage.cluster.kubectl(&["get", "lease", "-n", ENGINE, "-l", label, "-o", "json"]).await?;
    let list: serde_json::Value = serde_json::from_str(&list)?;
    let items = list["items"].as_array().context("a list")?;
    Ok(items
        .iter()
        .map(|lease| {
            (lease["metadata"]["name"].to_string(), lease["spec"]["renewTime"].to_string())
        })
        .collect())
}
