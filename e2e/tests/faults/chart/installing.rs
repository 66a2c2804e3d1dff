//! Installing, upgrading and uninstalling: the definitions stay, and the default TelemetryConfig
//! follows the values from the first upgrade on.

use std::time::Duration;

use anyhow::ensure;
use pharos_testkit::{ControlPlane, Helm, eventually};
use serde_json::{Value, json};

use super::folder;

async fn default_config(cluster: &ControlPlane) -> anyhow::Result<Value> {
    let get = ["get", "telcfg", "default", "-n", "pharos", "-o", "json"];
    Ok(serde_json::from_str(&cluster.kubectl(&get).await?)?)
}

fn every(seconds: u32) -> String {
    format!("telemetry: {{config: {{metrics: {{exportPeriodSeconds: {seconds}}}}}}}")
}

/// The default of a release that was uninstalled without any upgrade before.
fn left_by_a_hook(spec: &Value) -> Value {
    let hook = json!({"helm.sh/hook": "post-install,post-upgrade,post-rollback"});
    json!({
        "apiVersion": "telemetry.pharos.dev/v1alpha1", "kind": "TelemetryConfig",
        "metadata": {"name": "default", "namespace": "pharos", "annotations": hook},
        "spec": spec,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_telemetryconfig_follows_the_values_and_the_definitions_stay()
-> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let cluster = ControlPlane::start(&dir.path().join("cluster")).await?;
    let (helm, chart) = (Helm::ensure().await?, folder());
    let period = |object: &Value| object["spec"]["metrics"]["exportPeriodSeconds"].clone();

    // With the definition in the same release: an object of a kind that is not served yet.
    helm.upgrade(&cluster, "first", &chart, "pharos", &every(10)).await?;
    ensure!(period(&default_config(&cluster).await?) == 10, "not as installed");
    helm.upgrade(&cluster, "first", &chart, "pharos", &every(20)).await?;
    let second = default_config(&cluster).await?;
    ensure!(period(&second) == 20, "the first upgrade changed nothing");
    helm.upgrade(&cluster, "first", &chart, "pharos", &every(30)).await?;
    let third = default_config(&cluster).await?;
    ensure!(period(&third) == 30, "the second upgrade changed nothing");
    ensure!(third["metadata"]["uid"] == second["metadata"]["uid"], "an upgrade made it anew");

    // Another release in the namespace would share its Leases, another one in the cluster its CRDs.
    let another = helm.upgrade(&cluster, "another", &chart, "pharos", "crds: {enabled: false}");
    let error = another.await.err().map(|it| it.to_string()).unwrap_or_default();
    ensure!(error.contains("Role \"pharos\""), "a namespace has two engines: {error}");
    let another = helm.upgrade(&cluster, "another", &chart, "other", "").await;
    let error = another.err().map(|it| it.to_string()).unwrap_or_default();
    ensure!(error.contains("CustomResourceDefinition"), "two own the definitions: {error}");

    helm.uninstall(&cluster, "first", "pharos").await?;
    let kinds =
        "telcfg,deployments,services,roles,rolebindings,serviceaccounts,poddisruptionbudgets";
    eventually("what was installed to be gone", Duration::from_secs(60), async || {
        let left = ["get", kinds, "-n", "pharos", "-o", "name"];
        let left = cluster.kubectl(&left).await.map_err(|error| error.to_string())?;
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await?;
    let kinds = "clusterroles,clusterrolebindings,validatingadmissionpolicies,\
                 validatingadmissionpolicybindings,customresourcedefinitions";
    let left = cluster.kubectl(&["get", kinds, "-o", "name"]).await?;
    let ours: Vec<_> = left.lines().filter(|name| name.contains("pharos")).collect();
    ensure!(
        ours == [
            "customresourcedefinition.apiextensions.k8s.io/telemetryconfigs.telemetry.pharos.dev"
        ],
        "uninstalled, and left: {ours:?}"
    );

    cluster.apply(&left_by_a_hook(&third["spec"]).to_string()).await?;
    let none = "telemetry: {createDefault: false}";
    helm.upgrade(&cluster, "first", &chart, "pharos", none).await?;
    let left = cluster.kubectl(&["get", "telcfg", "-n", "pharos", "-o", "name"]).await?;
    ensure!(left.is_empty(), "nobody asked for it: {left}");
    Ok(())
}
