//! Scans while the API server, definitions, rights and other people's APIs come and go: what can be
//! scanned is, what cannot is said, and nothing has to be started again.

use std::time::Duration;

use anyhow::ensure;
use pharos_e2e::changes::{Changes, DEFINITION, OBJECTS};
use pharos_e2e::manifests::repository;
use pharos_e2e::scans::{Comparison, scanner, status};
use pharos_e2e::stage::{ENGINE, PATIENCE, Stage};
use pharos_testkit::{Fault, FaultProxy, Kubectl, Matching, Pharos, eventually};
use reqwest::{Method, StatusCode};
use serde_json::Value;

const SEED: u64 = 17;
/// Longer than discovery takes to look again, and what is not served any more to be given up.
const FOUND: Duration = Duration::from_secs(120);
const WIDGETS: (&str, &str) = OBJECTS[4];
const CONFIG_MAPS: (&str, &str) = OBJECTS[2];
/// An API that nobody serves.
const NOWHERE: &str = "
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.nowhere.example.com}
spec:
  group: nowhere.example.com
  version: v1
  groupPriorityMinimum: 100
  versionPriority: 100
  insecureSkipTLSVerify: true
  service: {name: nowhere, namespace: shop}
---
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata: {name: about-what-is-nowhere}
spec:
  validationActions: [Audit]
  matchConstraints:
    resourceRules:
    - {apiGroups: [nowhere.example.com, apps], apiVersions: ['*'], resources: [things, deployments], operations: [CREATE]}
  validations:
  - {expression: 'object.metadata.name != \"x\"', message: x}
";
/// All that scans read here, but ConfigMaps.
const RIGHTS: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: scan, namespace: pharos}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: scan}
rules:
- {apiGroups: [policies.kyverno.io, kyverno.io, apps, example.com, telemetry.pharos.dev], resources: ['*'], verbs: [get, list, watch]}
- {apiGroups: [''], resources: [pods, namespaces], verbs: [get, list, watch]}
- {apiGroups: [wgpolicyk8s.io], resources: ['*'], verbs: ['*']}
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: ['*']}
- {apiGroups: [apps], resources: [controllerrevisions], verbs: ['*']}
- {apiGroups: [events.k8s.io], resources: [events], verbs: ['*']}
- {apiGroups: [telemetry.pharos.dev], resources: ['*'], verbs: ['*']}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: scan}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: scan}
subjects: [{kind: ServiceAccount, name: scan, namespace: pharos}]
";

/// The kinds that policies are about, but this one.
fn without(kind: (&str, &str)) -> Vec<(&'static str, &'static str)> {
    OBJECTS.into_iter().filter(|it| *it != kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_defined_or_not_allowed_is_said_and_found_by_itself_later() -> anyhow::Result<()>
{
    let stage = Stage::set().await?;
    // Namespaces that are deleted go; until then nothing is written into them.
    let _controllers = stage.cluster.start_controller_manager().await?;
    let kubectl = async |arguments: &[&str]| stage.cluster.kubectl(arguments).await;
    let reports = ["policyreports.wgpolicyk8s.io", "clusterpolicyreports.wgpolicyk8s.io"];
    kubectl(&[&["delete", "crd"], &reports[..]].concat()).await?;
    stage.cluster.apply(RIGHTS).await?;
    let mut changes = Changes::prepare(&stage, SEED).await?;
    let token = kubectl(&["create", "token", "scan", "-n", ENGINE]).await?;
    let admin: &Kubectl = stage.cluster.as_ref();
    let limited = admin.with_token("limited", token.trim())?;
    let pharos = scanner(&limited, "limited").start().await?;

    for plural in ["policyreports", "clusterpolicyreports"] {
        let problem = format!("cannot watch {plural} of wgpolicyk8s.io/v1alpha2");
        said(&pharos, &problem, "install Pharos's CRDs").await?;
    }
    told(&stage, "there are no reports", |it| it["reportsTrouble"] == "UnknownKind").await?;
    said(&pharos, "cannot watch configmaps of v1", "Forbidden").await?;
    let forbidden = |it: &Value| trouble_of_config_maps(it) == Some("Forbidden");
    told(&stage, "ConfigMaps may not be read", forbidden).await?;

    stage.cluster.install_crds(&repository().join("crds")).await?;
    let mut allowed = Comparison::of(&stage, &without(CONFIG_MAPS)).await?;
    allowed.converges("after the definitions came").await?;
    told(&stage, "there are reports", |it| it["reportsTrouble"].is_null()).await?;
    changes.make(6).await?;
    allowed.converges("while something may not be read").await?;
    let logs = pharos.logs()?;
    let lines = logs.lines().filter(|line| line.contains("cannot watch configmaps")).count();
    ensure!(lines == 1, "it is said {lines} times");

    let right = r#"[{"op": "add", "path": "/rules/-", "value":
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}}]"#;
    kubectl(&["patch", "clusterrole", "scan", "--type=json", "-p", right]).await?;
    let mut everything = Comparison::of(&stage, &OBJECTS).await?;
    everything.converges("after the right was granted").await?;
    told(&stage, "ConfigMaps may be read", |it| trouble_of_config_maps(it).is_none()).await?;
    ensure!(pharos.terminate(PATIENCE).await?.success());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_come_to_be_right_whatever_of_the_api_was_away() -> anyhow::Result<()> {
    let mut stage = Stage::set().await?;
    let _controllers = stage.cluster.start_controller_manager().await?;
    stage.cluster.apply(NOWHERE).await?;
    let mut changes = Changes::prepare(&stage, SEED).await?;
    let proxy = FaultProxy::start(&stage.cluster, "proxied").await?;
    let mut pharos = scanner(&proxy, "one").start().await?;
    let mut comparison = Comparison::of(&stage, &OBJECTS).await?;
    comparison.converges("beside an API that nobody serves").await?;

    // One that was there, and answers that it is not.
    let widgets = Matching::path("/apis/example.com/").method(Method::GET);
    let down = proxy.inject(widgets.clone(), Fault::Answer(StatusCode::SERVICE_UNAVAILABLE));
    proxy.cut(&widgets);
    changes.of_all_pods("while another API is away").await?;
    changes.make(12).await?;
    down.befell(1, PATIENCE).await?;
    let mut others = Comparison::of(&stage, &without(WIDGETS)).await?;
    others.converges("while another API is away").await?;
    down.end();
    comparison.converges("after the other API came back").await?;

    // In the middle of it: objects are being read, and reports are about to be written.
    let reads = Matching::path("/pods").method(Method::GET).no_watches();
    let writes = Matching::path("policyreports").method(Method::PUT);
    let held = [proxy.inject(reads.nth(2), Fault::Hold), proxy.inject(writes, Fault::Hold)];
    changes.of_all_pods("while the API server goes").await?;
    for hold in &held {
        hold.befell(1, PATIENCE).await?;
    }
    stage.cluster.stop_apiserver().await?;
    drop(held);
    stage.cluster.start_apiserver().await?;
    comparison.converges("after the API server came back").await?;
    changes.make(6).await?;
    comparison.converges("with what changed since").await?;

    // A definition goes while its objects are scanned, and comes back.
    stage.cluster.kubectl(&["delete", "crd", "widgets.example.com"]).await?;
    changes.of_all_pods("without a definition").await?;
    comparison.converges_within("after a definition went", FOUND).await?;
    stage.cluster.apply(DEFINITION).await?;
    stage
        .cluster
        .kubectl(&["wait", "--for=condition=Established", "crd/widgets.example.com"])
        .await?;
    for _ in 0..3 {
        changes.make(8).await?;
    }
    comparison.converges_within("after the definition came back", FOUND).await?;
    ensure!(pharos.exited().is_none(), "it ended");
    let logs = pharos.logs()?;
    ensure!(!logs.contains("panicked"), "it panicked");
    println!("{} lines were logged", logs.lines().count());
    Ok(())
}

/// Waits until it logs a problem and what helps, once.
async fn said(pharos: &Pharos, problem: &str, remedy: &str) -> anyhow::Result<()> {
    eventually(&format!("{problem:?} to be said"), PATIENCE, async || {
        let logs = pharos.logs().map_err(|error| error.to_string())?;
        let lines: Vec<_> = logs.lines().filter(|line| line.contains(problem)).collect();
        match lines[..] {
            [line] if line.contains(remedy) => Ok(()),
            _ => Err(format!("{lines:?}")),
        }
    })
    .await
}

/// Waits until the status of the replica says this.
async fn told(stage: &Stage, what: &str, says: impl Fn(&Value) -> bool) -> anyhow::Result<()> {
    eventually(&format!("the status to say that {what}"), PATIENCE, async || {
        let status = status(stage).map_err(|error| format!("{error:#}"))?;
        if says(&status["limited"]) { Ok(()) } else { Err(status.to_string()) }
    })
    .await
}

/// What it says is wrong with ConfigMaps.
fn trouble_of_config_maps(status: &Value) -> Option<&str> {
    let resources = status["resources"].as_array()?;
    resources.iter().find(|it| it["resource"] == "configmaps.v1")?["trouble"].as_str()
}
