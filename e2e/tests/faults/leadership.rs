//! Leaders that die, and leaders that wake up late.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};
use pharos_e2e::manifests::{TELEMETRYCONFIG_PROMETHEUS, telemetryconfig_otlp};
use pharos_e2e::replicas::{Replicas, leader};
use pharos_e2e::stage::{PATIENCE, Stage};
use pharos_testkit::eventually;
use serde_json::Value;

/// A Lease of a leader lapses after 15 s, an entry of a replica after 40 s.
const LAPSE: Duration = Duration::from_secs(120);

/// The time of the last transition of each condition.
fn transitions(object: &Value) -> anyhow::Result<BTreeMap<String, String>> {
    let conditions = object["status"]["conditions"].as_array().context("conditions")?;
    let of = |condition: &Value, field: &str| condition[field].to_string();
    let times = conditions.iter().map(|it| (of(it, "type"), of(it, "lastTransitionTime")));
    Ok(times.collect())
}

async fn another_leader(stage: &Stage, before: &str) -> anyhow::Result<String> {
    eventually("another leader", LAPSE, async || {
        let now = leader(stage).await.map_err(|error| error.to_string())?;
        if now == before || now.is_empty() { Err(format!("it is {now:?}")) } else { Ok(now) }
    })
    .await
}

/// Waits until status shows exactly the entries of those that run, all programmed.
async fn entries(stage: &Stage, replicas: &Replicas) -> anyhow::Result<()> {
    let mut running: Vec<_> = replicas.running.iter().map(|(name, _)| name.clone()).collect();
    running.sort();
    let programmed = format!("{0}/{0}", running.len());
    eventually("the entries of those that live", LAPSE, async || {
        let object = stage.telemetryconfig().await.map_err(|error| error.to_string())?;
        let status = &object["status"];
        let entries = status["replicas"].as_array().cloned().unwrap_or_default();
        let mut names: Vec<_> = entries
            .iter()
            .map(|entry| entry["podName"].as_str().unwrap_or_default().to_owned())
            .collect();
        names.sort();
        if names == running && status["programmedReplicas"] == programmed {
            Ok(())
        } else {
            Err(format!("{names:?}, {}", status["programmedReplicas"]))
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_leader_is_replaced_and_its_entry_goes() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let mut replicas = Replicas::start(&stage, 3).await?;
    stage.configure(&telemetryconfig_otlp(&stage.collector.endpoint())).await?;
    stage.condition("ExportHealthy", "True", "Healthy").await?;
    entries(&stage, &replicas).await?;
    let before = transitions(&stage.telemetryconfig().await?)?;

    let dead = leader(&stage).await?;
    let (_, killed) = replicas.take(replicas.position(&dead)?)?;
    killed.kill();
    // While nobody leads, the configuration changes all the same, and status is late, not wrong.
    stage.cluster.apply(TELEMETRYCONFIG_PROMETHEUS).await?;
    for (_, pharos) in &replicas.running {
        eventually("those that live to run it", PATIENCE, async || {
            let (status, _) = pharos.scrape().await.map_err(|error| error.to_string())?;
            if status == 200 { Ok(()) } else { Err(status.to_string()) }
        })
        .await?;
    }
    let next = another_leader(&stage, &dead).await?;
    stage.condition("Ready", "True", "Ready").await?;
    entries(&stage, &replicas).await?;
    stage.condition("Ready", "True", "Ready").await?;
    // What stayed true all along keeps its time.
    let after = transitions(&stage.telemetryconfig().await?)?;
    for condition in ["Accepted", "ResolvedRefs"].map(|it| format!("{it:?}")) {
        ensure!(before[&condition] == after[&condition], "{condition}: {before:?}, {after:?}");
    }
    println!("{next} follows {dead}");
    Ok(())
}
