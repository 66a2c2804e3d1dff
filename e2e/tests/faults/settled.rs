//! Once settled, Pharos writes nothing but Lease renewals; and a GitOps tool that waits for the
//! condition Ready waits for the generation that it applied.

use std::time::{Duration, Instant};

use anyhow::ensure;
use pharos_e2e::gateway::{Gateway, rotate};
use pharos_e2e::manifests::{TELEMETRYCONFIG_PROMETHEUS, telemetryconfig_otlp};
use pharos_e2e::replicas::Replicas;
use pharos_e2e::stage::{ENGINE, PATIENCE, Stage, telemetryconfig};
use pharos_e2e::writes::{Kind, Writes};
use pharos_testkit::eventually;
use pharos_testkit::pki::Authority;

const SILENCE: Duration = Duration::from_secs(60);
/// How often something is reviewed meanwhile.
const REVIEWS: Duration = Duration::from_secs(2);
/// How many objects at a time. Each that is denied is told of in an Event.
const REVIEWED: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn once_settled_nothing_is_written_but_lease_renewals() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let replicas = Replicas::start(&stage, 2).await?;
    let issuer = Authority::new("issuer")?;
    let gateway = Gateway::start(&stage, "gateway", &[&issuer]).await?;
    let secrets = kube::Api::namespaced(stage.client().await?, ENGINE);
    rotate(&secrets, &issuer.client("pharos")?).await?;
    let spec = format!(
        "exporters: [{}]\n  metrics: {{exporters: [gateway], exportPeriodSeconds: 1}}\n  \
         traces: {{exporters: [gateway], sampler: {{type: AlwaysOn}}}}\n  \
         logs: {{exporters: [gateway]}}",
        gateway.exporter()
    );
    stage.configure(&telemetryconfig(&spec)).await?;
    stage.create("before", 5).await?;
    stage.condition("ExportHealthy", "True", "Healthy").await?;
    let programmed = stage.telemetryconfig().await?["status"]["programmedReplicas"].clone();
    ensure!(programmed == "2/2", "{programmed}");
    settled(&stage).await?;

    let (before, exports) = (Writes::so_far(&stage).await?, gateway.exports().len());
    let mut turn = tokio::time::interval(REVIEWS);
    let (mut rounds, mut denied) = (0, 0);
    let end = Instant::now() + SILENCE;
    while Instant::now() < end {
        turn.tick().await;
        denied += REVIEWED - stage.create(&format!("round-{rounds}"), REVIEWED).await?;
        rounds += 1;
    }
    let writes = Writes::so_far(&stage).await?.since(&before);
    let others = writes.only(|kind| !ours(kind) && kind.resource != "events");
    println!("{SILENCE:?} of {rounds} rounds of reviews: {writes}");
    ensure!(rounds > 2 && gateway.exports().len() > exports, "nothing went on: {rounds} rounds");
    ensure!(writes.to("leases") > 0.0, "not even Leases were renewed, or nothing was counted");
    ensure!(others == Writes::default(), "{others}");
    let denied = f64::from(u32::try_from(denied)?);
    ensure!(writes.to("events") <= denied, "{denied} denied, and more Events: {writes}");
    drop(replicas);
    Ok(())
}

/// What the test itself writes, and renewals.
fn ours(kind: &Kind) -> bool {
    let renewal = kind.resource == "leases" && matches!(&*kind.verb, "PUT" | "APPLY" | "PATCH");
    renewal || (kind.resource == "configmaps" && kind.verb == "POST")
}

/// Waits until a while goes by in which only Leases are renewed.
async fn settled(stage: &Stage) -> anyhow::Result<()> {
    let others = async || Ok(Writes::so_far(stage).await?.only(|kind| kind.resource != "leases"));
    let mut before: Writes = others().await?;
    eventually("five seconds without a write", PATIENCE, async || {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let now = others().await.map_err(|error: anyhow::Error| error.to_string())?;
        let more = now.since(&before);
        before = now;
        if more == Writes::default() { Ok(()) } else { Err(more.to_string()) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_ready_waits_for_the_generation_that_was_applied() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let replicas = Replicas::start(&stage, 2).await?;
    stage.configure(TELEMETRYCONFIG_PROMETHEUS).await?;
    // An older generation is Ready all along, which must satisfy nobody.
    for round in 0..5 {
        stage.cluster.apply(&telemetryconfig_otlp(&stage.collector.endpoint())).await?;
        wait(&stage, "30s").await?;
        everyone_answers(&replicas, 404, round).await?;
        stage.cluster.apply(TELEMETRYCONFIG_PROMETHEUS).await?;
        wait(&stage, "30s").await?;
        everyone_answers(&replicas, 200, round).await?;
    }
    let missing = "exporters: [{name: o, type: OTLP, otlp: {protocol: GRPC, \
         endpoint: 'http://127.0.0.1:4317', headers: [{name: authorization, \
         valueFrom: {secretKeyRef: {name: missing, key: token}}}]}}]\n  metrics: {exporters: [o]}";
    stage.cluster.apply(&telemetryconfig(missing)).await?;
    ensure!(wait(&stage, "3s").await.is_err(), "what cannot be programmed is Ready");
    stage.condition("Ready", "False", "SecretNotFound").await?;
    ensure!(wait(&stage, "3s").await.is_err(), "what is not programmed is Ready");
    everyone_answers(&replicas, 200, 5).await?;
    stage.cluster.apply(TELEMETRYCONFIG_PROMETHEUS).await?;
    wait(&stage, "30s").await
}

async fn wait(stage: &Stage, timeout: &str) -> anyhow::Result<()> {
    let timeout = format!("--timeout={timeout}");
    let wait = ["wait", "--for=condition=Ready", "telcfg/default", "-n", ENGINE, &timeout];
    stage.cluster.kubectl(&wait).await.map(drop)
}

/// Every replica runs it, at once: a tool that waited goes on.
async fn everyone_answers(replicas: &Replicas, scrape: u16, round: usize) -> anyhow::Result<()> {
    for (name, pharos) in &replicas.running {
        let (status, _) = pharos.scrape().await?;
        ensure!(status == scrape, "round {round}: /metrics of {name} answers {status}");
    }
    Ok(())
}
