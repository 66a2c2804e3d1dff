//! A change that cannot be programmed moves nothing, says why, and does not stand in the way.

use anyhow::ensure;
use pharos_e2e::manifests::{TELEMETRYCONFIG_PROMETHEUS, telemetryconfig_otlp};
use pharos_e2e::stage::{PATIENCE, REVIEWS, Stage, reviews_scraped, telemetryconfig};
use pharos_testkit::{Pharos, eventually};

async fn running(pharos: &Pharos) -> anyhow::Result<serde_json::Value> {
    let (_, debug) = pharos.admin("/debug/telemetry").await?;
    let debug: serde_json::Value = serde_json::from_str(&debug)?;
    Ok(debug["running"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_change_in_the_middle_moves_nothing() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let pharos = stage.pharos().await?;
    stage.configure(&telemetryconfig_otlp(&stage.collector.endpoint())).await?;
    let before = running(&pharos).await?;
    ensure!(before.to_string().contains(&stage.collector.endpoint()), "running is {before}");

    // Right by the CRD, and nothing to connect to.
    let invalid = telemetryconfig(
        "exporters: [{name: other, type: OTLP, otlp: {protocol: GRPC, endpoint: 'http://127.0.0.1:0', \
         headers: [{name: a, valueFrom: {secretKeyRef: {name: nowhere, key: a}}}]}}]\n  \
         metrics: {exporters: [other]}",
    );
    stage.cluster.apply(&invalid).await?;
    let message = stage.condition("Accepted", "False", "Invalid").await?;
    ensure!(message.starts_with("spec.exporters[other].otlp.endpoint: "), "{message}");
    let message = stage.condition("ResolvedRefs", "False", "SecretNotFound").await?;
    ensure!(message.contains("Secret \"nowhere\""), "{message}");
    stage.condition("Programmed", "False", "RunningPreviousConfig").await?;
    stage.condition("Ready", "False", "Invalid").await?;

    // Right by the CRD, and more than can be: a counter has no buckets.
    let unsupported = telemetryconfig(
        "exporters: [{name: prometheus, type: Prometheus}]\n  \
         metrics: {exporters: [prometheus], views: [{name: v, \
         selector: {instrumentName: kyverno_admission_requests}, stream: {aggregation: \
         {type: ExplicitBucketHistogram, explicitBucketHistogram: {boundaries: ['1']}}}}]}",
    );
    stage.cluster.apply(&unsupported).await?;
    let message = stage.condition("Accepted", "False", "UnsupportedValue").await?;
    ensure!(message.starts_with("spec.metrics.views[v]: "), "{message}");
    stage.condition("Ready", "False", "UnsupportedValue").await?;
    stage.condition("Programmed", "False", "RunningPreviousConfig").await?;
    ensure!(running(&pharos).await? == before, "the running configuration moved");

    // What was in force still exports what happens now.
    stage.create("meanwhile", 10).await?;
    let answered = stage.reviews_answered().await?;
    eventually("the old exporter to go on", PATIENCE, async || {
        let exports = stage.collector.exports().map_err(|error| error.to_string())?;
        let total = exports.last().and_then(|export| export.total(REVIEWS)).unwrap_or_default();
        if total == answered { Ok(()) } else { Err(format!("{total}, not {answered}")) }
    })
    .await?;

    stage.configure(TELEMETRYCONFIG_PROMETHEUS).await?;
    stage.condition("Ready", "True", "Ready").await?;
    let total = reviews_scraped(&pharos.metrics().await?);
    ensure!(total == answered, "Prometheus shows {total}, the API server counts {answered}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_slipped_past_the_api_server_is_a_condition_not_a_dead_watch()
-> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let pharos = stage.pharos().await?;
    stage.configure(&telemetryconfig_otlp(&stage.collector.endpoint())).await?;
    let before = running(&pharos).await?;

    let lax = r#"[{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec",
        "value": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}]"#;
    let crd = "telemetryconfigs.telemetry.pharos.dev";
    stage.cluster.kubectl(&["patch", "crd", crd, "--type=json", "-p", lax]).await?;
    eventually("the API server to take anything", PATIENCE, async || {
        let broken = telemetryconfig("metrics: [this, is, no, object]");
        stage.cluster.apply(&broken).await.map_err(|error| error.to_string())
    })
    .await?;
    let message = stage.condition("Accepted", "False", "Invalid").await?;
    ensure!(message.starts_with("spec: cannot be decoded"), "{message}");
    ensure!(running(&pharos).await? == before, "the running configuration moved");

    stage.configure(TELEMETRYCONFIG_PROMETHEUS).await?;
    stage.condition("Ready", "True", "Ready").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_wins_and_deletion_goes_back_to_the_defaults() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let pharos = stage.pharos().await?;
    stage.configure(&telemetryconfig_otlp(&stage.collector.endpoint())).await?;
    let second = TELEMETRYCONFIG_PROMETHEUS.replace("name: default", "name: second");
    stage.cluster.apply(&second).await?;
    let wait =
        |name, condition| ["wait", "telcfg", name, "-n", "pharos", "--timeout=60s", condition];
    let conflicted =
        "--for=jsonpath={.status.conditions[?(@.type==\"Accepted\")].reason}=Conflicted";
    stage.cluster.kubectl(&wait("second", conflicted)).await?;
    let (status, _) = pharos.scrape().await?;
    ensure!(status == 404, "the loser is in force: /metrics answers {status}");

    stage.cluster.kubectl(&["delete", "telcfg", "default", "-n", "pharos"]).await?;
    stage.cluster.kubectl(&wait("second", "--for=condition=Ready")).await?;
    pharos.metrics().await?;

    stage.cluster.apply(&telemetryconfig_otlp(&stage.collector.endpoint())).await?;
    stage.cluster.kubectl(&["delete", "telcfg", "second", "-n", "pharos"]).await?;
    stage.condition("Programmed", "True", "Programmed").await?;
    stage.cluster.kubectl(&["delete", "telcfg", "default", "-n", "pharos"]).await?;
    eventually("the defaults to be in force", PATIENCE, async || {
        pharos.metrics().await.map_err(|error| error.to_string())
    })
    .await?;
    Ok(())
}
