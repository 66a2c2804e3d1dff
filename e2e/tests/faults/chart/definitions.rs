//! The definitions of Kyverno's groups: installed where nobody has, and left alone where somebody
//! has, whatever a release does before it goes.

use anyhow::{Context, ensure};
use pharos_testkit::{ControlPlane, Helm, eventually};
use serde_json::{Value, json};
use std::time::Duration;

use super::folder;

const THEIRS: &str = "policyexceptions.policies.kyverno.io";
const OURS: &str = "validatingpolicies.policies.kyverno.io";

/// A definition as somebody else has it, in a version that is not known yet.
fn theirs() -> String {
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let version = json!({
        "name": "v2", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
    });
    let names = json!({
        "kind": "PolicyException", "plural": "policyexceptions", "singular": "policyexception",
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": THEIRS},
        "spec": {
            "group": "policies.kyverno.io", "names": names, "scope": "Namespaced",
            "versions": [version],
        },
    })
    .to_string()
}

async fn definition(cluster: &ControlPlane, name: &str) -> anyhow::Result<Value> {
    Ok(serde_json::from_str(&cluster.kubectl(&["get", "crd", name, "-o", "json"]).await?)?)
}

/// Gives a definition to another release of Helm, as its guide says to.
async fn hand_over(cluster: &ControlPlane, name: &str) -> anyhow::Result<()> {
    let release = ["meta.helm.sh/release-name=kyverno", "meta.helm.sh/release-namespace=kyverno"];
    let annotate = [&["annotate", "--overwrite", "crd", name][..], &release].concat();
    cluster.kubectl(&annotate).await?;
    Ok(())
}

async fn is_left_alone(cluster: &ControlPlane, before: &Value) -> anyhow::Result<()> {
    let name = before["metadata"]["name"].as_str().context("no name")?;
    let now = definition(cluster, name).await?;
    for field in ["uid", "generation", "labels", "annotations"] {
        let (now, before) = (&now["metadata"][field], &before["metadata"][field]);
        ensure!(now == before, "{name}: {field} is {now}, and was {before}");
    }
    ensure!(now["metadata"]["deletionTimestamp"].is_null(), "{name} is going");
    ensure!(now["spec"] == before["spec"], "{name} is another one");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_that_belongs_to_somebody_else_is_never_taken_over_and_never_deleted()
-> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let cluster = ControlPlane::start(&dir.path().join("cluster")).await?;
    let (helm, chart) = (Helm::ensure().await?, folder());
    let quiet = "telemetry: {createDefault: false}\ncrds: {keep: false}";
    cluster.apply(&theirs()).await?;
    eventually("the definition to be established", Duration::from_secs(60), async || {
        let crd = definition(&cluster, THEIRS).await.map_err(|error| error.to_string())?;
        let told = crd["status"]["conditions"].to_string();
        if told.contains("InitialNamesAccepted") { Ok(()) } else { Err(told) }
    })
    .await?;
    let theirs = definition(&cluster, THEIRS).await?;

    let notes = helm.upgrade(&cluster, "first", &chart, "pharos", quiet).await?;
    let told = format!("{THEIRS} is served in v2, and not in v1 or v1beta1 or v1alpha1");
    ensure!(notes.contains(&told), "{notes}");
    ensure!(!notes.contains(OURS), "of its own definitions it has nothing to say: {notes}");
    is_left_alone(&cluster, &theirs).await?;
    let installed = definition(&cluster, OURS).await?;
    // A second time, the definitions that are there are its own.
    helm.upgrade(&cluster, "first", &chart, "pharos", quiet).await?;
    is_left_alone(&cluster, &theirs).await?;
    let upgraded = definition(&cluster, OURS).await?;
    ensure!(upgraded["metadata"]["uid"] == installed["metadata"]["uid"], "made anew");
    ensure!(
        upgraded["metadata"]["annotations"]["meta.helm.sh/release-name"] == "first",
        "no longer its own"
    );

    let always = format!("{}, kyvernoPolicies: Always}}", quiet.trim_end_matches('}'));
    let refused = helm.upgrade(&cluster, "first", &chart, "pharos", &always).await;
    let error = refused.err().context("Always took it over")?.to_string();
    ensure!(error.contains(THEIRS), "{error}");
    is_left_alone(&cluster, &theirs).await?;

    // Kyverno takes one that the release has installed; with it go no policies of anybody.
    hand_over(&cluster, OURS).await?;
    let handed_over = definition(&cluster, OURS).await?;
    helm.upgrade(&cluster, "first", &chart, "pharos", quiet).await?;
    is_left_alone(&cluster, &handed_over).await?;
    helm.uninstall(&cluster, "first", "pharos").await?;
    is_left_alone(&cluster, &handed_over).await?;
    is_left_alone(&cluster, &theirs).await?;
    let namespaced =
        definition(&cluster, "namespacedvalidatingpolicies.policies.kyverno.io").await?;
    is_left_alone(&cluster, &namespaced).await
}
