//! Installing, upgrading and uninstalling: the definitions stay, and the default TelemetryConfig,
//! which a replica makes, follows the values from the first upgrade on.

use std::time::Duration;

use anyhow::ensure;
use pharos_testkit::{ControlPlane, Helm, eventually};
use serde_json::{Value, json};

use super::folder;
use super::release::Release;

const PATIENCE: Duration = Duration::from_secs(60);
const MARK: &str = "telemetry.pharos.dev/created-by-replica";

async fn default_config(cluster: &ControlPlane) -> anyhow::Result<Value> {
    let get = ["get", "telcfg", "default", "-n", "pharos", "-o", "json"];
    Ok(serde_json::from_str(&cluster.kubectl(&get).await?)?)
}

fn every(seconds: u32) -> String {
    format!("telemetry: {{config: {{metrics: {{exportPeriodSeconds: {seconds}}}}}}}")
}

/// The default of a release that was uninstalled without any upgrade before.
fn left_over(made: &Value) -> String {
    let (labels, annotations) = (&made["metadata"]["labels"], &made["metadata"]["annotations"]);
    json!({
        "apiVersion": "telemetry.pharos.dev/v1alpha1", "kind": "TelemetryConfig",
        "metadata": {
            "name": "default", "namespace": "pharos", "labels": labels, "annotations": annotations,
        },
        "spec": made["spec"],
    })
    .to_string()
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
    let mut release = Release::of(&cluster, "pharos").await?;
    release.start().await?;
    let made = eventually("a replica to make the default", PATIENCE, async || {
        default_config(&cluster).await.map_err(|error| error.to_string())
    })
    .await?;
    ensure!(period(&made) == 10, "not as installed: {made}");
    ensure!(made["metadata"]["annotations"][MARK] == "true", "not marked: {made}");
    helm.upgrade(&cluster, "first", &chart, "pharos", &every(20)).await?;
    let second = default_config(&cluster).await?;
    ensure!(period(&second) == 20, "the first upgrade changed nothing");
    ensure!(second["metadata"]["annotations"][MARK].is_null(), "it is a replica's: {second}");
    // The old replica saw it go; the new one has nothing to make.
    release.stop(PATIENCE).await?;
    let mut release = Release::of(&cluster, "pharos").await?;
    ensure!(!release.creates_a_telemetryconfig()?, "the argument outlives its purpose");
    release.start().await?;
    helm.upgrade(&cluster, "first", &chart, "pharos", &every(30)).await?;
    let third = default_config(&cluster).await?;
    ensure!(period(&third) == 30, "the second upgrade changed nothing");
    ensure!(third["metadata"]["uid"] == second["metadata"]["uid"], "an upgrade made it anew");
    release.stop(PATIENCE).await?;

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
    eventually("what was installed to be gone", PATIENCE, async || {
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

    cluster.apply(&left_over(&made)).await?;
    let none = "telemetry: {createDefault: false}";
    helm.upgrade(&cluster, "first", &chart, "pharos", none).await?;
    let left = cluster.kubectl(&["get", "telcfg", "-n", "pharos", "-o", "name"]).await?;
    ensure!(left.is_empty(), "nobody asked for it: {left}");

    cluster.apply(&left_over(&made)).await?;
    let edit = r#"{"spec": {"metrics": {"exportPeriodSeconds": 7}}}"#;
    let patch = ["patch", "telcfg", "default", "-n", "pharos", "--type=merge", "-p", edit];
    cluster.kubectl(&patch).await?;
    for (values, expected) in [(every(40), 7), (every(50), 50)] {
        helm.upgrade(&cluster, "first", &chart, "pharos", &values).await?;
        let edited = default_config(&cluster).await?;
        ensure!(period(&edited) == expected, "{expected} is not in force: {edited}");
        ensure!(edited["metadata"]["annotations"][MARK] == "true", "made anew: {edited}");
    }
    Ok(())
}
