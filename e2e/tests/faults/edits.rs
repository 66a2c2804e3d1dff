//! An object that is edited faster than anybody could want.

use std::time::Duration;

use anyhow::{Context, ensure};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use pharos_e2e::manifests::telemetryconfig_otlp;
use pharos_e2e::replicas::Replicas;
use pharos_e2e::stage::{ENGINE, PATIENCE, Stage};
use pharos_e2e::writes::Writes;
use pharos_testkit::eventually;
use serde_json::json;
use tokio::time::Instant;

const EDITS: usize = 1000;
const MINUTE: Duration = Duration::from_secs(60);
/// One write of status for each second, answered by 409 or not.
const STATUS_WRITES: f64 = 60.0;
/// Three reports of each replica for two seconds.
const LEASE_WRITES_OF_ONE: f64 = 90.0;

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_edits_the_last_one_wins_and_the_api_server_is_not_flooded()
-> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let replicas = Replicas::start(&stage, 2).await?;
    stage.configure(&telemetryconfig_otlp(&stage.collector.endpoint())).await?;
    stage.condition("ExportHealthy", "True", "Healthy").await?;
    let kind = GroupVersionKind::gvk("telemetry.pharos.dev", "v1alpha1", "TelemetryConfig");
    let resource = ApiResource::from_gvk(&kind);
    let api = Api::<DynamicObject>::namespaced_with(stage.client().await?, ENGINE, &resource);

    let before = Writes::so_far(&stage).await?;
    let began = Instant::now();
    let mut turn = tokio::time::interval(MINUTE * 9 / 10 / u32::try_from(EDITS)?);
    turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    for edit in 1..=EDITS {
        turn.tick().await;
        let attributes = json!([{"name": "edit", "value": edit.to_string()}]);
        let edit = json!({"spec": {"resource": {"attributes": attributes}}});
        api.patch("default", &PatchParams::default(), &Patch::Merge(&edit)).await?;
    }
    let took = began.elapsed();
    stage.condition("Ready", "True", "Ready").await?;
    let settled = began.elapsed().saturating_sub(took);
    let writes = Writes::so_far(&stage).await?.since(&before);

    let object = stage.telemetryconfig().await?;
    let generation = object["metadata"]["generation"].as_i64().context("a generation")?;
    ensure!(generation == 1 + i64::try_from(EDITS)?, "generation {generation}");
    ensure!(object["status"]["programmedGeneration"] == generation, "{}", object["status"]);
    ensure!(object["status"]["programmedReplicas"] == "2/2", "{}", object["status"]);
    the_last_edit_is_exported_by_everybody(&stage, replicas.running.len()).await?;
    println!("{EDITS} edits in {took:?}, Ready {settled:?} after the last: {writes}");

    let status = writes.to("telemetryconfigs/status");
    ensure!(status <= STATUS_WRITES, "status was written {status} times");
    let reports = writes.only(|kind| kind.resource == "leases" && kind.verb != "PUT").total();
    let bound = LEASE_WRITES_OF_ONE * replicas.running.len() as f64;
    ensure!(reports <= bound, "{reports} reports were written");
    let failed = writes.only(|kind| kind.code >= 500);
    ensure!(failed == Writes::default(), "{failed}");
    Ok(())
}

/// The newest export of each instance has the attribute that the last edit gave it.
async fn the_last_edit_is_exported_by_everybody(
    stage: &Stage,
    instances: usize,
) -> anyhow::Result<()> {
    eventually("the exports of the last edit", PATIENCE, async || {
        let exports = stage.collector.exports().map_err(|error| error.to_string())?;
        let mut newest = std::collections::BTreeMap::new();
        for point in exports.iter().flat_map(|export| &export.points) {
            let instance = point.series.instance_id().unwrap_or_default();
            newest.insert(instance, point.series.resource.get("edit").map(String::as_str));
        }
        let last = EDITS.to_string();
        let of_last = newest.values().filter(|edit| **edit == Some(&*last)).count();
        if of_last == instances { Ok(()) } else { Err(format!("{newest:?}")) }
    })
    .await
}
