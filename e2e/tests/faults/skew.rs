//! Engine and CustomResourceDefinition of different versions, as they are during every upgrade.

use anyhow::{Context, ensure};
use pharos_e2e::manifests::{repository, telemetryconfig_otlp};
use pharos_e2e::stage::{ENGINE, PATIENCE, Stage, telemetryconfig};
use pharos_e2e::writes::Writes;
use pharos_testkit::{Pharos, eventually};
use serde_json::{Value, json};

const CRD: &str = "telemetryconfigs.telemetry.pharos.dev";
const SPEC: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";

/// Replaces the definition by one that was changed like this, and waits until it is served: until
/// the API server takes this object as it is.
async fn define(
    stage: &Stage,
    change: impl Fn(&mut Value) -> Option<()>,
    admits: &str,
) -> anyhow::Result<()> {
    let crd = stage.cluster.kubectl(&["get", "crd", CRD, "-o", "json"]).await?;
    let mut crd: Value = serde_json::from_str(&crd)?;
    change(&mut crd).context("the definition has another shape")?;
    stage.kubectl().run_with_input(&["replace", "-f", "-"], &crd.to_string()).await?;
    eventually("the definition to be served", PATIENCE, async || {
        let try_it = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"];
        let tried = stage.kubectl().run_with_input(&try_it, admits).await;
        tried.map(drop).map_err(|error| error.to_string())
    })
    .await
}

/// A definition of a later version: a field and a value more.
fn newer(crd: &mut Value) -> Option<()> {
    let deep = json!({"type": "object", "properties": {"deep": {"type": "string"}}});
    crd.pointer_mut(SPEC)?.as_object_mut()?.insert("future".to_owned(), deep);
    let compression = "/exporters/items/properties/otlp/properties/compression/enum";
    let values = crd.pointer_mut(&format!("{SPEC}{compression}"))?.as_array_mut()?;
    values.push(json!("Brotli"));
    Some(())
}

/// A definition of an earlier version, which let through what is refused today.
fn older(crd: &mut Value) -> Option<()> {
    let period = "/metrics/properties/exportPeriodSeconds";
    let period = crd.pointer_mut(&format!("{SPEC}{period}"))?.as_object_mut()?;
    period.remove("minimum").map(drop)
}

/// To the Collector, every second; the attribute tells one spec from another.
fn spec(stage: &Stage, compression: &str, attribute: &str, more: &str) -> String {
    let endpoint = stage.collector.endpoint();
    telemetryconfig(&format!(
        "exporters: [{{name: o, type: OTLP, otlp: {{protocol: GRPC, endpoint: '{endpoint}', \
         compression: {compression}}}}}]\n  \
         resource: {{attributes: [{{name: spec, value: {attribute}}}]}}\n  \
         metrics: {{exporters: [o], exportPeriodSeconds: 1}}\n  {more}"
    ))
}

/// Waits for more exports, which have this value of the attribute; who sent the last.
async fn exports_go_on(stage: &Stage, attribute: &str) -> anyhow::Result<String> {
    let before = stage.collector.exports()?.len();
    eventually("another export of what should run", PATIENCE, async || {
        let exports = stage.collector.exports().map_err(|error| error.to_string())?;
        let points = exports.iter().skip(before).flat_map(|export| &export.points);
        let series = &points.last().ok_or("no more exports")?.series;
        match series.resource.get("spec") {
            Some(spec) if spec == attribute => {
                Ok(series.instance_id().unwrap_or_default().to_owned())
            }
            other => Err(format!("they are of {other:?}")),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_definition_adds_harms_no_older_engine() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let pharos = stage.pharos().await?;
    stage.create("something-to-export", 5).await?;

    // A field that nobody knows is pruned by the API server, with a warning of kubectl.
    let unknown = spec(&stage, "None", "first", "unknown: {field: 1}");
    stage.kubectl().run_with_input(&["apply", "--validate=warn", "-f", "-"], &unknown).await?;
    stage.condition("Ready", "True", "Ready").await?;
    ensure!(stage.telemetryconfig().await?["spec"]["unknown"].is_null(), "it is kept");

    // One that only the definition knows is kept, and means nothing here.
    let future = spec(&stage, "None", "second", "future: {deep: thought}");
    define(&stage, newer, &future).await?;
    stage.configure(&future).await?;
    stage.condition("Ready", "True", "Ready").await?;
    let first = exports_go_on(&stage, "second").await?;
    ensure!(stage.telemetryconfig().await?["spec"]["future"]["deep"] == "thought", "it is lost");

    // A value that cannot be decoded: what ran runs on.
    stage.cluster.apply(&spec(&stage, "Brotli", "third", "future: {deep: thought}")).await?;
    let message = stage.condition("Accepted", "False", "Invalid").await?;
    ensure!(message.contains("Brotli"), "{message}");
    stage.condition("Ready", "False", "Invalid").await?;
    stage.condition("Programmed", "False", "RunningPreviousConfig").await?;
    let before = Writes::so_far(&stage).await?;
    for _ in 0..8 {
        exports_go_on(&stage, "second").await?;
    }
    let writes = Writes::so_far(&stage).await?.since(&before);
    ensure!(writes.to("telemetryconfigs/status") <= 1.0, "the same again: {writes}");

    // And so it does for a replica that never saw it: the last spec that everybody programmed.
    pharos.terminate(PATIENCE).await?;
    let pharos = stage.pharos().await?;
    stage.condition("Programmed", "False", "RunningPreviousConfig").await?;
    let second = exports_go_on(&stage, "second").await?;
    ensure!(first != second, "it is the same process");
    ensure!(pharos.scrape().await?.0 == 404, "the command line's defaults run");
    stage.condition("Accepted", "False", "Invalid").await?;

    stage.configure(&spec(&stage, "Gzip", "fourth", "")).await?;
    stage.condition("Ready", "True", "Ready").await?;
    exports_go_on(&stage, "fourth").await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_revision_a_bad_object_leaves_the_defaults() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let bad = spec(&stage, "Brotli", "never", "");
    define(&stage, newer, &bad).await?;
    stage.cluster.apply(&bad).await?;
    let pharos = stage.pharos().await?;
    stage.condition("Programmed", "False", "RunningDefaults").await?;
    ensure!(pharos.scrape().await?.0 == 200, "the defaults serve Prometheus");
    let revisions = ["get", "controllerrevisions", "-n", ENGINE, "-o", "name"];
    ensure!(stage.cluster.kubectl(&revisions).await?.is_empty(), "nothing was programmed");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_would_be_refused_today_has_a_status_and_can_be_mended() -> anyhow::Result<()>
{
    let stage = Stage::set().await?;
    let _pharos: Pharos = stage.pharos().await?;
    let good = telemetryconfig_otlp(&stage.collector.endpoint());
    stage.configure(&good).await?;
    let old = good.replace("exportPeriodSeconds: 1", "exportPeriodSeconds: 0");
    define(&stage, older, &old).await?;
    stage.cluster.apply(&old).await?;
    stage.condition("Accepted", "False", "Invalid").await?;
    let crds = repository().join("crds");
    let crds = crds.to_str().context("a path in UTF-8")?;
    let apply = ["apply", "--server-side", "--force-conflicts", "-f", crds];
    stage.cluster.kubectl(&apply).await?;
    eventually("today's definition to be served", PATIENCE, async || {
        let create = ["create", "--dry-run=server", "-f", "-"];
        let another = old.replace("name: default", "name: another");
        match stage.kubectl().run_with_input(&create, &another).await {
            Ok(_) => Err("such an object can still be created".to_owned()),
            Err(error) if error.to_string().contains("exportPeriodSeconds") => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    })
    .await?;

    // What is wrong with it did not change, so the rest of it can; and status follows.
    let attribute = r#"{"spec": {"resource": {"attributes": [{"name": "a", "value": "b"}]}}}"#;
    let patch = ["patch", "telcfg", "default", "-n", ENGINE, "--type=merge", "-p", attribute];
    stage.cluster.kubectl(&patch).await?;
    let message = stage.condition("Accepted", "False", "Invalid").await?;
    ensure!(message.contains("spec.metrics.exportPeriodSeconds"), "{message}");
    stage.condition("Programmed", "False", "RunningPreviousConfig").await?;
    stage.configure(&good).await?;
    stage.condition("Ready", "True", "Ready").await.map(drop)
}
