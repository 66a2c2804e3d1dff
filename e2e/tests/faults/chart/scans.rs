//! Background scans with exactly the rights of the chart, without admission beside them: none is missing,
//! none is never used, and what they may not read they say.

use std::time::Duration;

use anyhow::ensure;
use pharos_e2e::changes::DEFINITION;
use pharos_testkit::{AuditRecord, ControlPlane, Helm, Kubectl, eventually};
use serde_json::{Value, json};

use super::release::Release;
use super::rights;

const PATIENCE: Duration = Duration::from_secs(60);
const NAMESPACE: &str = "one";
const VALUES: &str = "
backgroundScan:
  enabled: true
  replicas: 2
  clusterScopedRules: [{apiGroups: [''], resources: [nodes], verbs: [get, list, watch]}]
  extraRules: [{apiGroups: [example.com], resources: [widgets], verbs: [get, list, watch]}]
";
/// About what `view` lets be read, what it does not, and what nothing does.
const POLICY: &str = "
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata: {name: labelled}
spec:
  validationActions: [Audit]
  matchConstraints:
    resourceRules:
    - {apiGroups: ['', example.com], apiVersions: [v1], resources: [configmaps, widgets, nodes, namespaces, secrets], operations: [CREATE]}
  validations:
  - {expression: 'has(object.metadata.labels) && \"app\" in object.metadata.labels', message: no app}
";
const KINDS: [&str; 4] = ["ConfigMap", "Widget", "Node", "Namespace"];

#[tokio::test(flavor = "multi_thread")]
async fn scans_run_with_exactly_the_rights_of_the_chart() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let cluster = ControlPlane::builder(&dir.path().join("cluster")).audit().start().await?;
    let _controllers = cluster.start_controller_manager().await?;
    let helm = Helm::ensure().await?;
    cluster.apply(DEFINITION).await?;
    Release::install(&helm, &cluster, NAMESPACE, VALUES).await?;
    let mut scans = Release::scans(&cluster, NAMESPACE).await?;
    scans.start().await?;
    scans.start().await?;
    cluster.apply(POLICY).await?;
    let objects = |labels: &Value| {
        KINDS.map(|kind| {
            let version = if kind == "Widget" { "example.com/v1" } else { "v1" };
            let namespace = ["ConfigMap", "Widget"].contains(&kind).then_some(NAMESPACE);
            json!({
                "apiVersion": version, "kind": kind,
                "metadata": {"name": "walk", "namespace": namespace, "labels": labels},
            })
        })
    };
    for (labels, outcome) in [(json!({}), Some("fail")), (json!({"app": "a"}), Some("pass"))] {
        for object in objects(&labels) {
            cluster.apply(&object.to_string()).await?;
        }
        reported(&cluster, outcome).await?;
    }
    // A replica that scans leads: it made the default TelemetryConfig, and keeps what was programmed.
    revisions(&cluster, 1).await?;
    let period = r#"{"spec": {"metrics": {"exportPeriodSeconds": 7}}}"#;
    cluster
        .kubectl(&["patch", "telcfg", "default", "-n", NAMESPACE, "--type=merge", "-p", period])
        .await?;
    revisions(&cluster, 2).await?;

    // Who is killed leaves Leases behind; who ends takes its own away.
    scans.kill();
    scans.start().await?;
    for object in objects(&json!({})) {
        let delete = ["delete", "--wait=false", "-f", "-"];
        AsRef::<Kubectl>::as_ref(&cluster).run_with_input(&delete, &object.to_string()).await?;
    }
    reported(&cluster, None).await?;
    let logs: Vec<_> =
        scans.replicas.iter().map(|it| it.pharos.logs()).collect::<Result<_, _>>()?;
    while !scans.replicas.is_empty() {
        scans.stop(PATIENCE).await?;
    }

    for log in logs {
        let forbidden: Vec<_> = log.lines().filter(|line| line.contains("Forbidden")).collect();
        ensure!(
            matches!(forbidden[..], [line] if line.contains("cannot watch secrets of v1")),
            "forbidden: {forbidden:#?}"
        );
    }
    let user = scans.user();
    let theirs = |it: &AuditRecord| it.user == user && !it.user_agent.starts_with("kubectl");
    let requests: Vec<_> = cluster.audit()?.into_iter().filter(theirs).collect();
    let missing = requests.iter().find(|it| it.code == 403 && it.resource != "secrets");
    ensure!(missing.is_none(), "a right is missing: {missing:?}");
    let granted = rights::granted_to_scans(&cluster, &scans).await?;
    let unused = rights::unused(&granted, &requests);
    // Of Events that are told again: the walk of admission has some.
    let series = "patch events.k8s.io/events of any name";
    let unused = unused.iter().map(ToString::to_string).filter(|right| right != series);
    let unused: Vec<_> = unused.collect();
    ensure!(unused.is_empty(), "granted and never used: {unused:#?}");
    Ok(())
}

/// Waits until there is a report with this outcome about the object of each kind, or none at all.
async fn reported(cluster: &ControlPlane, outcome: Option<&str>) -> anyhow::Result<()> {
    eventually(&format!("reports that say {outcome:?}"), PATIENCE, async || {
        let get = ["get", "polr,cpolr", "-A", "-o", "json"];
        let list = cluster.kubectl(&get).await.map_err(|error| error.to_string())?;
        let list: Value = serde_json::from_str(&list).map_err(|error| error.to_string())?;
        let reports = list["items"].as_array().into_iter().flatten();
        let said = |kind: &str| {
            let of = |it: &&Value| it["scope"]["kind"] == kind && it["scope"]["name"] == "walk";
            let report = reports.clone().find(of)?;
            report["results"][0]["result"].as_str()
        };
        let said = KINDS.map(said);
        if said == [outcome; 4] { Ok(()) } else { Err(format!("{said:?}")) }
    })
    .await
}

/// Waits until this generation is kept.
async fn revisions(cluster: &ControlPlane, generation: u64) -> anyhow::Result<()> {
    eventually(&format!("generation {generation} to be kept"), PATIENCE * 2, async || {
        let get =
            ["get", "controllerrevisions", "-n", NAMESPACE, "-o", "jsonpath={.items[*].revision}"];
        let kept = cluster.kubectl(&get).await.map_err(|error| error.to_string())?;
        if kept == generation.to_string() { Ok(()) } else { Err(kept) }
    })
    .await
}
