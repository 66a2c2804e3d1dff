//! Many replicas reload at once, and many come and go.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, ensure};
use futures::future::try_join_all;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt};
use pharos_e2e::history;
use pharos_e2e::manifests::TELEMETRYCONFIG_PROMETHEUS;
use pharos_e2e::replicas::Replicas;
use pharos_e2e::stage::{ENGINE, PATIENCE, Stage, telemetryconfig};
use pharos_e2e::writes::Writes;
use pharos_testkit::{Pharos, eventually};
use serde_json::Value;
use tokio::time::Instant;

const REPLICAS: usize = 30;
const APPLIES: usize = 3;
/// Writes to the object for one apply.
const WRITES: f64 = 10.0;
const ROUNDS: usize = 50;
/// Those that are there between two rounds.
const LEFT: usize = 3;
/// An entry of a replica that was killed lapses after 40 s.
const LAPSE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn thirty_reload_at_once_and_fifty_rounds_leave_nothing_behind() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let _collector = stage.cluster.start_controller_manager().await?;
    // The first one makes the certificate that the others take.
    let mut replicas = Replicas::start(&stage, 1).await?;
    let began = Instant::now();
    replicas.add(&stage, REPLICAS - 1).await?;
    println!("{REPLICAS} started in {:?}", began.elapsed());
    stage.cluster.apply(TELEMETRYCONFIG_PROMETHEUS).await?;
    programmed(&stage, REPLICAS).await?;
    for apply in 0..APPLIES {
        let (took, writes) = reload_at_once(&stage, apply).await?;
        println!("apply {apply}: {REPLICAS} replicas after {took:?}: {writes}");
    }

    let pods: Api<Pod> = Api::namespaced(stage.client().await?, ENGINE);
    let going: Vec<_> =
        (0..REPLICAS - LEFT).map(|_| replicas.take(0)).collect::<anyhow::Result<_>>()?;
    let going = going.into_iter().enumerate();
    try_join_all(going.map(|(number, gone)| leave(gone, number, &pods))).await?;
    only_those_that_live(&stage, &replicas).await?;
    let before = managed_fields(&stage).await?;
    let began = Instant::now();
    for round in 0..ROUNDS {
        let gone = replicas.take(0)?;
        tokio::try_join!(replicas.add(&stage, 1), leave(gone, round, &pods))?;
    }
    println!("{ROUNDS} rounds in {:?}", began.elapsed());
    only_those_that_live(&stage, &replicas).await?;
    let after = managed_fields(&stage).await?;
    println!("managedFields: {before:?} before, {after:?} after");
    ensure!(after.0 == before.0, "other managers: {before:?}, {after:?}");
    // The names of the replicas are longer, and nothing else.
    ensure!(after.1 <= before.1 * 11 / 10, "managedFields grow: {before:?}, {after:?}");
    Ok(())
}

/// Applies another generation: when everybody ran it, and what was written until it was exported.
async fn reload_at_once(stage: &Stage, apply: usize) -> anyhow::Result<(Duration, Writes)> {
    let period = 3600 - apply;
    let endpoint = stage.collector.endpoint();
    let spec = format!(
        "exporters: [{{name: o, type: OTLP, otlp: {{protocol: GRPC, endpoint: '{endpoint}'}}}}]\n  \
         metrics: {{exporters: [o], exportPeriodSeconds: {period}}}"
    );
    let (before, began) = (Writes::so_far(stage).await?, Instant::now());
    stage.cluster.apply(&telemetryconfig(&spec)).await?;
    programmed(stage, REPLICAS).await?;
    let took = began.elapsed();
    stage.condition("ExportHealthy", "True", "Healthy").await?;
    let writes = Writes::so_far(stage).await?.since(&before);
    let status = writes.to("telemetryconfigs/status");
    ensure!(status <= WRITES, "status was written {status} times");
    let failed = writes.only(|kind| kind.code >= 500);
    ensure!(failed == Writes::default(), "{failed}");
    Ok((took, writes))
}

async fn programmed(stage: &Stage, count: usize) -> anyhow::Result<()> {
    stage.condition("Programmed", "True", "Programmed").await?;
    eventually("every replica to be counted", PATIENCE, async || {
        let object = stage.telemetryconfig().await.map_err(|error| error.to_string())?;
        let shown = &object["status"]["programmedReplicas"];
        if *shown == format!("{count}/{count}") { Ok(()) } else { Err(shown.to_string()) }
    })
    .await
}

/// A replica goes, every other one without a farewell, and its Pod with it.
async fn leave(
    (name, pharos): (String, Pharos),
    number: usize,
    pods: &Api<Pod>,
) -> anyhow::Result<()> {
    if number.is_multiple_of(2) {
        pharos.kill();
    } else {
        let status = pharos.terminate(PATIENCE).await?;
        ensure!(status.success(), "{name} ended with {status}");
    }
    pods.delete(&name, &DeleteParams::default().grace_period(0)).await?;
    Ok(())
}

/// Waits until entries and heartbeats are those of the replicas that run.
async fn only_those_that_live(stage: &Stage, replicas: &Replicas) -> anyhow::Result<()> {
    let live: BTreeSet<_> = replicas.running.iter().map(|(name, _)| name.as_str()).collect();
    let leases: Api<Lease> = Api::namespaced(stage.client().await?, ENGINE);
    let beats = ListParams::default().labels("telemetry.pharos.dev/heartbeat");
    eventually("nothing to be left of those that went", LAPSE, async || {
        let object = stage.telemetryconfig().await.map_err(|error| error.to_string())?;
        let entries = history::replicas(&object);
        let beats = leases.list(&beats).await.map_err(|error| error.to_string())?;
        let beats: Vec<_> = beats.items.iter().map(ResourceExt::name_any).collect();
        let of = |lease: &String| lease.strip_prefix("pharos-replica-").map(str::to_owned);
        let beating: BTreeSet<_> = beats.iter().filter_map(of).collect();
        let beating: BTreeSet<_> = beating.iter().map(String::as_str).collect();
        if entries == live && beating == live {
            Ok(())
        } else {
            Err(format!("{live:?} live, entries {entries:?}, Leases {beating:?}"))
        }
    })
    .await
}

/// Who manages fields of the object, and how long the list of them is.
async fn managed_fields(stage: &Stage) -> anyhow::Result<(BTreeSet<String>, usize)> {
    let object = stage.telemetryconfig().await?;
    let fields: &Vec<Value> = object["metadata"]["managedFields"].as_array().context("fields")?;
    let managers = fields.iter().map(|it| it["manager"].as_str().unwrap_or_default().to_owned());
    Ok((managers.collect(), object["metadata"]["managedFields"].to_string().len()))
}
