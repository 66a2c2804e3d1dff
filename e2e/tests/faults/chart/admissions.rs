//! What admission tells in reports, with the rights that the chart grants for it.

use std::time::Duration;

use anyhow::ensure;
use pharos_testkit::{AuditRecord, ControlPlane, Helm, eventually};
use serde_json::{Value, json};

use super::release::Release;

const PATIENCE: Duration = Duration::from_secs(60);
const NAMESPACE: &str = "one";
/// No scan asks it.
const POLICY: &str = "
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata: {name: labelled}
spec:
  evaluation: {background: {enabled: false}}
  validationActions: [Audit]
  matchConstraints:
    resourceRules:
    - {apiGroups: ['', storage.k8s.io], apiVersions: [v1], resources: [configmaps, storageclasses], operations: [CREATE, UPDATE]}
  validations:
  - {expression: 'has(object.metadata.labels) && \"app\" in object.metadata.labels', message: no app}
";
const SHOP: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";

#[tokio::test(flavor = "multi_thread")]
async fn admission_tells_in_reports_by_the_rights_of_the_chart() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let cluster = ControlPlane::builder(&dir.path().join("cluster")).audit().start().await?;
    // It adds up what the ClusterRole `view` grants.
    let _controllers = cluster.start_controller_manager().await?;
    let helm = Helm::ensure().await?;
    cluster.apply(SHOP).await?;
    let values = "backgroundScan: {enabled: true}";
    let mut admission = Release::install(&helm, &cluster, NAMESPACE, values).await?;
    admission.start().await?;
    cluster.apply(POLICY).await?;
    // The first ones may come before the policy is in force.
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "shop"}});
    let class =
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "x"});
    for (kind, mut object) in [("ConfigMap", map), ("StorageClass", class)] {
        let mut tries = 0;
        eventually(&format!("a report about a {kind} that was admitted"), PATIENCE, async || {
            tries += 1;
            object["metadata"]["name"] = json!(format!("told-{tries}"));
            let applied = cluster.apply(&object.to_string()).await;
            applied.map_err(|error| format!("{error:#}"))?;
            match told(&cluster, kind).await.map_err(|error| format!("{error:#}"))? {
                0 => Err("none yet".to_owned()),
                _ => Ok(()),
            }
        })
        .await?;
    }
    let user = admission.user();
    admission.stop(PATIENCE).await?;
    let theirs = |it: &AuditRecord| it.user == user && !it.user_agent.starts_with("kubectl");
    let missing = cluster.audit()?.into_iter().find(|it| theirs(it) && it.code == 403);
    ensure!(missing.is_none(), "a right is missing: {missing:?}");
    Ok(())
}

/// How many reports say that an admission of such an object failed the policy.
async fn told(cluster: &ControlPlane, kind: &str) -> anyhow::Result<usize> {
    let list = cluster.kubectl(&["get", "polr,cpolr", "-A", "-o", "json"]).await?;
    let list: Value = serde_json::from_str(&list)?;
    let is_told = |report: &&Value| {
        let result = &report["results"][0];
        report["scope"]["kind"] == kind
            && result["result"] == "fail"
            && result["properties"]["process"] == "admission review"
    };
    Ok(list["items"].as_array().into_iter().flatten().filter(is_told).count())
}
