//! Background scans on the real API server: whatever happens, reports come to say what `pharos apply`
//! says about the same objects, which is the engine of `pharos test`.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, ensure};
use pharos_e2e::scans::{Comparison, scanner, status};
use pharos_e2e::stage::{PATIENCE, Stage};
use pharos_testkit::{Pharos, eventually, prometheus};
use serde_json::Value;

mod collector;
mod converge;

const POLICIES: &str = "
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata:
  name: labelled
  annotations:
    policies.kyverno.io/category: Labels
    policies.kyverno.io/severity: high
spec:
  validationActions: [Audit]
  matchConstraints:
    resourceRules:
    - {apiGroups: [''], apiVersions: [v1], resources: [pods], operations: [CREATE]}
  validations:
  - {expression: 'has(object.metadata.labels) && \"app\" in object.metadata.labels', message: no app}
---
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata: {name: of-a-team}
spec:
  validationActions: [Audit]
  matchConstraints:
    namespaceSelector: {matchLabels: {team: web}}
    resourceRules:
    - {apiGroups: [''], apiVersions: [v1], resources: [configmaps], operations: [CREATE, UPDATE]}
  validations:
  - {expression: 'object.data.?team.orValue(\"\") == namespaceObject.metadata.labels.team', message: not of the team}
---
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata:
  name: namespaces-have-teams
  annotations: {policies.kyverno.io/scored: 'false'}
spec:
  validationActions: [Audit]
  matchConstraints:
    resourceRules:
    - {apiGroups: [''], apiVersions: [v1], resources: [namespaces], operations: ['*']}
  validations:
  - {expression: 'has(object.metadata.labels.team)', message: nobody's}
---
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: rules}
spec:
  rules:
  - name: small
    match: {any: [{resources: {kinds: [ConfigMap]}}]}
    celPreconditions: [{name: has-data, expression: 'has(object.data)'}]
    validate:
      cel: {expressions: [{expression: 'size(object.data) < 2', message: too many keys}]}
---
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata: {name: admission-only}
spec:
  evaluation: {background: {enabled: false}}
  validationActions: [Audit]
  matchConstraints:
    resourceRules:
    - {apiGroups: [''], apiVersions: [v1], resources: [pods], operations: [CREATE]}
  validations:
  - {expression: 'false'}
";

const EXCEPTION: &str = "
apiVersion: policies.kyverno.io/v1
kind: PolicyException
metadata: {name: legacy, namespace: shop}
spec:
  policyRefs: [{kind: ValidatingPolicy, name: labelled}]
  matchConditions: [{name: legacy, expression: 'object.metadata.name == \"bare\"'}]
";

const OBJECTS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: web, labels: {team: web}}
---
apiVersion: v1
kind: Pod
metadata: {name: labelled, namespace: shop, labels: {app: web}}
spec: {containers: [{name: c, image: i}]}
---
apiVersion: v1
kind: Pod
metadata: {name: bare, namespace: shop}
spec: {containers: [{name: c, image: i}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: front, namespace: shop}
spec:
  selector: {matchLabels: {app: front}}
  template:
    metadata: {labels: {app: front}}
    spec: {containers: [{name: c, image: i}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: ours, namespace: web}
data: {team: web}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: large, namespace: web}
data: {a: one, b: two}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: empty, namespace: shop}
";

/// What all policies are about.
const KINDS: [(&str, &str); 4] =
    [("v1", "Pod"), ("v1", "ConfigMap"), ("v1", "Namespace"), ("apps/v1", "Deployment")];

#[tokio::test(flavor = "multi_thread")]
async fn reports_come_to_say_what_the_command_line_says() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let kubectl = async |arguments: &[&str]| stage.cluster.kubectl(arguments).await;
    stage.cluster.apply(POLICIES).await?;
    stage.cluster.apply(OBJECTS).await?;
    let pharos = scanner(&stage.cluster, "one").start().await?;
    let mut comparison = Comparison::of(&stage, &KINDS).await?;
    let results = comparison.converges("at the start").await?;
    println!("{results} results");

    let mut reports = comparison.reports().await?.into_iter();
    let report = reports.find(|it| it["scope"]["name"] == "bare");
    let result = report.context("no report of the bare Pod")?["results"][0].clone();
    for (field, value) in
        [("source", "KyvernoValidatingPolicy"), ("category", "Labels"), ("severity", "high")]
    {
        ensure!(result[field] == value, "{field} of {result}");
    }
    ensure!(result["properties"]["process"] == "background scan", "{result}");

    stage.cluster.apply(EXCEPTION).await?;
    comparison.converges("with an exception").await?;
    kubectl(&["delete", "polex", "legacy", "-n", "shop"]).await?;
    kubectl(&["label", "pod", "bare", "-n", "shop", "app=web"]).await?;
    kubectl(&["delete", "pod", "labelled", "-n", "shop", "--force"]).await?;
    kubectl(&["create", "configmap", "later", "-n", "web", "--from-literal=team=web"]).await?;
    comparison.converges("after objects changed").await?;
    kubectl(&["label", "namespace", "web", "team=other", "--overwrite"]).await?;
    kubectl(&["label", "namespace", "shop", "team=web"]).await?;
    comparison.converges("after namespaces changed").await?;
    stage
        .cluster
        .apply(&POLICIES.replace("size(object.data) < 2", "size(object.data) < 1"))
        .await?;
    kubectl(&["delete", "vpol", "labelled"]).await?;
    comparison.converges("after policies changed").await?;

    let samples = pharos.metrics().await?;
    for (name, cause) in [
        ("kyverno_validating_policy_results_total", "execution_cause"),
        ("kyverno_policy_results_total", "rule_execution_cause"),
    ] {
        let counted = prometheus::sum(&samples, name, &[(cause, "background_scan")]);
        ensure!(counted > 0.0, "{name} counts {counted}");
    }

    // A second scanner finds everything as it should be.
    let before = comparison.versions().await?;
    ensure!(pharos.terminate(PATIENCE).await?.success());
    let again = scanner(&stage.cluster, "again").start().await?;
    complete(&again).await?;
    ensure!(
        comparison.versions().await? == before,
        "reports were written although nothing changed"
    );

    by_hand(&stage, &comparison).await?;

    // Reports go with what they are about, and those that somebody deletes come back.
    let controllers = stage.cluster.start_controller_manager().await?;
    kubectl(&["delete", "namespace", "web", "--wait=false"]).await?;
    kubectl(&["delete", "polr", "-n", "shop", "--all"]).await?;
    comparison.converges("after a namespace went").await?;

    kubectl(&["delete", "vpol,cpol", "--all"]).await?;
    eventually("no report to be left without a policy", PATIENCE, async || {
        let left = comparison.versions().await.map_err(|error| error.to_string())?;
        if left.is_empty() { Ok(()) } else { Err(format!("{} reports", left.len())) }
    })
    .await?;

    converge::whatever_changes(&stage).await?;
    collector::reports_go_and_stay(&stage, controllers, again).await
}

/// What the command line says about a scan: how far it is, and what one of a namespace finds now.
async fn by_hand(stage: &Stage, comparison: &Comparison) -> anyhow::Result<()> {
    eventually("the replica to tell that it is done", PATIENCE, async || {
        let told = status(stage).map_err(|error| format!("{error:#}"))?;
        let told = &told["again"];
        let resources = told["resources"].as_array().map_or(0, Vec::len);
        let judged = told["objects"].as_u64().is_some_and(|objects| objects > 0);
        if told["left"] == 0 && told["waiting"] == 0 && judged && resources == 2 {
            Ok(())
        } else {
            Err(told.to_string())
        }
    })
    .await?;
    let mut command = Command::new(Pharos::binary()?);
    command.args(["scan", "-n", "shop", "-o", "json", "--kubeconfig"]);
    let output = command.arg(stage.cluster.kubeconfig()).output()?;
    let code = output.status.code();
    ensure!(code == Some(1), "exit code {code:?} although something is violated");
    let found: Value = serde_json::from_slice(&output.stdout)?;
    let names = |reports: &[Value]| -> BTreeSet<String> {
        let in_shop = reports.iter().filter(|it| it["metadata"]["namespace"] == "shop");
        in_shop.map(|report| report["metadata"]["name"].to_string()).collect()
    };
    let found = names(found.as_array().context("no reports")?);
    let kept = names(&comparison.reports().await?);
    ensure!(found == kept && !found.is_empty(), "found {found:?}, kept are {kept:?}");
    Ok(())
}

/// Waits until a scanner says that it has looked at everything.
pub(super) async fn complete(pharos: &Pharos) -> anyhow::Result<()> {
    eventually("the scan to be complete", PATIENCE, async || {
        let logs = pharos.logs().map_err(|error| error.to_string())?;
        if logs.contains("the scan is complete") { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await
}
