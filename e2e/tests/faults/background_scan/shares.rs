//! What becomes of a replica's share when it is killed, when it leaves, and when it sleeps and wakes up.
#![expect(clippy::print_stdout, reason = "what was measured is printed")]

use std::time::Instant;

use anyhow::{Context, ensure};
use pharos_e2e::changes::{Changes, OBJECTS};
use pharos_e2e::scans::{Comparison, scanner, shared, status};
use pharos_e2e::stage::{ENGINE, PATIENCE, Stage};
use pharos_testkit::{Fault, FaultProxy, Matching, Pharos, eventually};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::kills::LAPSE;

const SEED: u64 = 13;

#[tokio::test(flavor = "multi_thread")]
async fn a_share_goes_over_when_its_replica_is_killed_or_leaves_or_sleeps() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let mut changes = Changes::prepare(&stage, SEED).await?;
    let stays = scanner(&stage.cluster, "stays").start().await?;
    let mut comparison = Comparison::of(&stage, &OBJECTS).await?;
    comparison.converges("by one replica").await?;

    let killed = joining(&stage, &stays, "killed").await?;
    let namespace = share_of(&stage, "killed").await?;
    killed.kill();
    let lost = Instant::now();
    reported(&stage, &mut comparison, &namespace, "after-the-kill").await?;
    println!("a share of one that was killed was taken over after {:?}", lost.elapsed());

    let leaves = joining(&stage, &stays, "leaves").await?;
    let namespace = share_of(&stage, "leaves").await?;
    let lost = Instant::now();
    ensure!(leaves.terminate(PATIENCE).await?.success());
    let leases = stage.cluster.kubectl(&["get", "leases", "-n", ENGINE, "-o", "name"]).await?;
    ensure!(!leases.contains("pharos-scan-leaves"), "its Lease is still there: {leases}");
    reported(&stage, &mut comparison, &namespace, "after-the-end").await?;
    println!("a share of one that left was taken over after {:?}", lost.elapsed());

    sleeps(&stage, &stays, &mut changes, &mut comparison).await
}

/// It sleeps while a report is on its way, and what it says is outdated when it arrives.
async fn sleeps(
    stage: &Stage,
    stays: &Pharos,
    changes: &mut Changes,
    comparison: &mut Comparison,
) -> anyhow::Result<()> {
    let proxy = FaultProxy::start(&stage.cluster, "sleeps").await?;
    let mut sleeper = scanner(&proxy, "sleeps").start().await?;
    shared(stays, 2, LAPSE).await?;
    comparison.converges("by two replicas").await?;

    let writes = Matching::path("policyreports").method(Method::PUT);
    let hold = proxy.inject(writes, Fault::Hold);
    changes.of_all_pods("of before").await?;
    hold.befell(1, PATIENCE).await?;
    sleeper.pause()?;
    changes.of_all_pods("of meanwhile").await?;
    let asleep = Instant::now();
    shared(stays, 1, LAPSE).await?;
    comparison.converges("while one sleeps").await?;
    println!("a share of one that sleeps was taken over after {:?}", asleep.elapsed());

    // What it was about to write arrives, and then it wakes up.
    hold.end();
    eventually("what it had sent to be answered", PATIENCE, async || {
        let requests = proxy.requests();
        let sent =
            requests.iter().filter(|it| it.method == Method::PUT && it.resource == "policyreports");
        let answers: Vec<_> = sent.map(|it| it.status).collect();
        match answers.contains(&Some(StatusCode::CONFLICT)) {
            true => Ok(()),
            false => Err(format!("{answers:?}")),
        }
    })
    .await?;
    comparison.converges("after what one that sleeps had sent arrived").await?;
    sleeper.resume()?;
    shared(stays, 2, LAPSE).await?;
    comparison.converges("after it woke up").await?;
    changes.of_all_pods("of after").await?;
    comparison.converges("by two replicas again").await?;
    ensure!(sleeper.exited().is_none(), "the sleeper ended");
    Ok(())
}

/// One more that shares the work.
async fn joining(stage: &Stage, stays: &Pharos, name: &str) -> anyhow::Result<Pharos> {
    let pharos = scanner(&stage.cluster, name).start().await?;
    shared(stays, 2, LAPSE).await?;
    Ok(pharos)
}

/// A namespace whose ConfigMaps a replica says are its own.
async fn share_of(stage: &Stage, replica: &str) -> anyhow::Result<String> {
    eventually(&format!("{replica} to say what is its own"), PATIENCE, async || {
        let status = status(stage).map_err(|error| format!("{error:#}"))?;
        let resources = status[replica]["resources"].as_array().cloned().unwrap_or_default();
        let config_maps = resources.iter().find(|it| it["resource"] == "configmaps.v1");
        let named = config_maps.and_then(|it| it["named"].as_array().cloned()).unwrap_or_default();
        let mut named = named.iter().filter_map(Value::as_str);
        let ours = named.find(|name| !name.starts_with("kube-"));
        ours.map(str::to_owned).ok_or_else(|| status.to_string())
    })
    .await
}

/// Creates a ConfigMap and waits until it has its report, as all others do.
async fn reported(
    stage: &Stage,
    comparison: &mut Comparison,
    namespace: &str,
    name: &str,
) -> anyhow::Result<()> {
    let create = ["create", "configmap", name, "-n", namespace, "--from-literal=size=1"];
    stage.cluster.kubectl(&create).await?;
    let what = format!("with {name} in {namespace}");
    comparison.converges_within(&what, LAPSE).await?;
    let reports = comparison.reports().await?;
    let report = reports.iter().find(|report| report["scope"]["name"] == name);
    report.with_context(|| format!("no report of {name}")).map(drop)
}
