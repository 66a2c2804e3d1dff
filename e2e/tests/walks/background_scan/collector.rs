//! Reports go with what they are about and stay with what lives: while a replica scans, while none does,
//! and where no garbage is collected.

use std::collections::BTreeSet;

use anyhow::ensure;
use pharos_e2e::changes::OBJECTS;
use pharos_e2e::scans::{Comparison, scanner};
use pharos_e2e::stage::{PATIENCE, Stage};
use pharos_testkit::{ControllerManager, Pharos, eventually};
use serde_json::json;

const POLICIES: &str = "
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata: {name: classes-have-labels}
spec:
  validationActions: [Audit]
  matchConstraints:
    resourceRules:
    - {apiGroups: [scheduling.k8s.io], apiVersions: [v1], resources: [priorityclasses], operations: [CREATE]}
  validations:
  - {expression: 'has(object.metadata.labels)', message: none}
---
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata: {name: pods-have-labels}
spec:
  validationActions: [Audit]
  matchConstraints:
    resourceRules:
    - {apiGroups: [''], apiVersions: [v1], resources: [pods], operations: [CREATE]}
  validations:
  - {expression: 'has(object.metadata.labels)', message: none}
";

/// Ends the replica and the collector on the way.
pub(super) async fn reports_go_and_stay(
    stage: &Stage,
    collector: ControllerManager,
    pharos: Pharos,
) -> anyhow::Result<()> {
    // What is in no namespace, and goes without anybody's help.
    let classes = ("scheduling.k8s.io/v1", "PriorityClass");
    let mut comparison = Comparison::of(stage, &[&OBJECTS[..], &[classes]].concat()).await?;
    stage.cluster.apply(POLICIES).await?;
    for name in ["first", "second", "third", "fourth"] {
        add(stage, name).await?;
    }
    comparison.converges("before anything goes").await?;

    let before = comparison.versions().await?;
    remove(stage, "first").await?;
    comparison.converges("after objects went while a replica scans").await?;
    ensure!(comparison.versions().await?.is_subset(&before), "a report was written again");

    // Nobody scans.
    ensure!(pharos.terminate(PATIENCE).await?.success());
    let before = comparison.versions().await?;
    remove(stage, "second").await?;
    comparison.converges("after objects went while nobody scans").await?;
    collected_once(stage).await?;
    let left = comparison.versions().await?;
    ensure!(left.is_subset(&before) && left.len() == before.len() - 2, "{left:?} of {before:?}");

    // Nobody scans, and nobody collects.
    drop(collector);
    remove(stage, "third").await?;
    ensure!(comparison.versions().await? == left, "somebody took a report away");
    let pharos = scanner(&stage.cluster, "last").start().await?;
    comparison.converges("after objects went while nobody scanned or collected").await?;
    remove(stage, "fourth").await?;
    comparison.converges("after objects went while nobody collects").await?;
    ensure!(comparison.versions().await?.is_subset(&left), "a report was written again");

    // What no policy is about any more has no report.
    stage.cluster.kubectl(&["delete", "vpol,cpol", "--all"]).await?;
    stage.cluster.kubectl(&["delete", "nvpol,pol", "--all", "--all-namespaces"]).await?;
    eventually("no report to be left without a policy", PATIENCE, async || {
        let left: BTreeSet<_> = comparison.versions().await.map_err(|error| error.to_string())?;
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await?;
    ensure!(pharos.terminate(PATIENCE).await?.success());
    Ok(())
}

/// A Pod and a PriorityClass.
async fn add(stage: &Stage, name: &str) -> anyhow::Result<()> {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop"},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    });
    let class = json!({
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
        "metadata": {"name": name}, "value": 1,
    });
    stage.cluster.apply(&pod.to_string()).await?;
    stage.cluster.apply(&class.to_string()).await.map(drop)
}

async fn remove(stage: &Stage, name: &str) -> anyhow::Result<()> {
    stage.cluster.kubectl(&["delete", "pod", name, "-n", "shop", "--force"]).await?;
    stage.cluster.kubectl(&["delete", "priorityclass", name]).await.map(drop)
}

/// Waits until the collector has looked at everything that was there before: reports of nothing that
/// are made now have gone.
async fn collected_once(stage: &Stage) -> anyhow::Result<()> {
    let owners = [("v1", "Pod", Some("shop")), ("scheduling.k8s.io/v1", "PriorityClass", None)];
    for (version, kind, namespace) in owners {
        let report = if namespace.is_some() { "PolicyReport" } else { "ClusterPolicyReport" };
        let owner = json!({
            "apiVersion": version, "kind": kind, "name": "orphan", "uid": "no-object-ever-had-this-uid",
        });
        let orphan = json!({
            "apiVersion": "wgpolicyk8s.io/v1alpha2", "kind": report,
            "metadata": {"name": "orphan", "namespace": namespace, "ownerReferences": [owner]},
        });
        stage.cluster.apply(&orphan.to_string()).await?;
    }
    eventually("orphaned reports to be collected", PATIENCE, async || {
        let get = ["get", "polr,cpolr", "-A", "-o", "name"];
        let names = stage.cluster.kubectl(&get).await.map_err(|error| error.to_string())?;
        if names.contains("/orphan") { Err(names) } else { Ok(()) }
    })
    .await
}
