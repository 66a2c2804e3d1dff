//! Leaders that die, and leaders that wake up late.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, ensure};
use pharos_e2e::history::{self, History};
use pharos_e2e::manifests::{TELEMETRYCONFIG_PROMETHEUS, telemetryconfig_otlp};
use pharos_e2e::replicas::{Replicas, leader};
use pharos_e2e::stage::{PATIENCE, Stage};
use pharos_testkit::{Fault, FaultProxy, Matching, eventually};
use serde_json::Value;

/// A Lease of a leader lapses after 15 s, an entry of a replica after 40 s.
const LAPSE: Duration = Duration::from_secs(120);
/// How long status has to stay as it is: longer than every period in which a leader does something.
const SILENCE: Duration = Duration::from_secs(20);

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
    let running: BTreeSet<_> = replicas.running.iter().map(|(name, _)| name.as_str()).collect();
    let programmed = format!("{0}/{0}", running.len());
    eventually("the entries of those that live", LAPSE, async || {
        let object = stage.telemetryconfig().await.map_err(|error| error.to_string())?;
        let (shown, count) = (history::replicas(&object), &object["status"]["programmedReplicas"]);
        if shown == running && *count == programmed {
            Ok(())
        } else {
            Err(format!("{shown:?}, {count}"))
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

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_wakes_up_late_changes_nothing() -> anyhow::Result<()> {
    let stage = Stage::audited().await?;
    let proxy = FaultProxy::start(&stage.cluster, "first").await?;
    let mut replicas = Replicas::none().await?;
    replicas.add_through(&stage, &proxy, 1).await?;
    stage.webhook_in_force().await?;
    stage.configure(&telemetryconfig_otlp(&stage.collector.endpoint())).await?;
    replicas.add(&stage, 2).await?;
    stage.condition("ExportHealthy", "True", "Healthy").await?;
    entries(&stage, &replicas).await?;
    let late = leader(&stage).await?;
    ensure!(late == replicas.running[0].0, "{late} leads");

    // It is stopped while what it writes is on its way.
    let on_its_way = proxy.inject(Matching::path("/default/status"), Fault::Hold);
    stage.cluster.apply(TELEMETRYCONFIG_PROMETHEUS).await?;
    on_its_way.befell(1, PATIENCE).await?;
    let (_, stopped) = replicas.take(0)?;
    stopped.pause()?;
    let next = another_leader(&stage, &late).await?;
    stage.condition("Ready", "True", "Ready").await?;
    entries(&stage, &replicas).await?;

    let (history, audited) = (History::start(&stage).await?, stage.cluster.audit()?.len());
    on_its_way.end();
    eventually("the late write to be refused", PATIENCE, async || {
        let codes = status_writes(&stage, audited).map_err(|error| error.to_string())?;
        if codes.contains(&409) { Ok(()) } else { Err(format!("{codes:?}")) }
    })
    .await?;
    stopped.resume()?;
    let live: BTreeSet<_> = replicas.running.iter().map(|(name, _)| name.clone()).collect();
    replicas.running.push((late.clone(), stopped));
    entries(&stage, &replicas).await?;
    let last = stage.telemetryconfig().await?["metadata"]["resourceVersion"].clone();
    tokio::time::sleep(SILENCE).await;
    let versions = history.versions()?;
    let now = stage.telemetryconfig().await?["metadata"]["resourceVersion"].clone();
    ensure!(now == last, "status does not come to rest: {versions:?}");
    for version in &versions {
        let shown = history::replicas(version);
        ensure!(live.iter().all(|name| shown.contains(&**name)), "an old view: {version}");
        ensure!(version["status"]["observedGeneration"] == 2, "an old view: {version}");
    }
    ensure!(leader(&stage).await? == next, "leadership came back");
    let codes = status_writes(&stage, audited)?;
    ensure!(codes.iter().all(|code| matches!(code, 200 | 409)), "{codes:?}");
    println!("{late} woke up after {next} led; {} versions, writes {codes:?}", versions.len());
    Ok(())
}

/// How writes of status were answered, from this record of the audit log on.
fn status_writes(stage: &Stage, from: usize) -> anyhow::Result<Vec<u16>> {
    let audit = stage.cluster.audit()?;
    let writes = audit.iter().skip(from).filter(|record| record.subresource == "status");
    Ok(writes.filter(|record| record.resource == "telemetryconfigs").map(|it| it.code).collect())
}
