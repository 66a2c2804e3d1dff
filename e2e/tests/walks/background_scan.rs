//! Background scans on the real API server: whatever happens, reports come to say what `pharos apply`
//! says about the same objects, which is the engine of `pharos test`.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, ensure};
use pharos_e2e::stage::{PATIENCE, Stage};
use pharos_testkit::{Builder, Pharos, eventually, prometheus};
use serde_json::Value;

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
const KINDS: &str = "pods,configmaps,namespaces,deployments.apps";
const POLICY_KINDS: &str = "vpol,cpol";

/// One result: policy, rule, resource, outcome.
type Said = BTreeSet<[String; 4]>;

/// A replica that scans and does nothing else.
fn scanner(stage: &Stage, name: &str) -> Builder {
    Pharos::builder(&stage.cluster)
        .name(name)
        .arguments(&["--components=background-scan"])
        .environment("POD_NAME", name)
}

async fn get(stage: &Stage, kinds: &str) -> anyhow::Result<Vec<Value>> {
    let list = stage.cluster.kubectl(&["get", kinds, "-A", "-o", "json"]).await?;
    let list: Value = serde_json::from_str(&list)?;
    Ok(list["items"].as_array().cloned().unwrap_or_default())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn named(kind: &Value, namespace: &Value, name: &Value) -> String {
    format!("{} {}/{}", text(kind), text(namespace), text(name))
}

/// What the command line says about what the API server holds.
async fn applied(stage: &Stage) -> anyhow::Result<Said> {
    let dir = tempfile::tempdir()?;
    let write = |name: &str, objects: Vec<Value>| -> anyhow::Result<_> {
        let path = dir.path().join(name);
        let documents: Vec<_> = objects.iter().map(ToString::to_string).collect();
        std::fs::write(&path, documents.join("\n---\n"))?;
        Ok(path)
    };
    let in_background = |policy: &Value| {
        policy.pointer("/spec/evaluation/background/enabled") != Some(&Value::Bool(false))
    };
    let policies = get(stage, POLICY_KINDS).await?.into_iter().filter(in_background).collect();
    let (policies, objects) =
        (write("policies.yaml", policies)?, write("objects.yaml", get(stage, KINDS).await?)?);
    let exceptions = write("exceptions.yaml", get(stage, "polex").await?)?;
    let mut command = Command::new(Pharos::binary()?);
    command.arg("apply").arg(policies).arg("--resource").arg(objects);
    command.arg("--exception").arg(exceptions).args(["-o", "json"]);
    let output = command.output()?;
    let said: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    ensure!(said["problems"] == serde_json::json!([]), "{}", said["problems"]);
    let results = said["results"].as_array().context("no results")?;
    let is_told = |it: &&Value| {
        it["policy"]["kind"] == "ClusterPolicy" || it["message"] != "a match condition is false"
    };
    let said = results.iter().filter(is_told).map(|it| {
        let rules = it["policy"]["kind"] == "ClusterPolicy";
        let resource = &it["resource"];
        [
            text(&it["policy"]["name"]),
            if rules { text(&it["rule"]) } else { String::new() },
            named(&resource["kind"], &resource["namespace"], &resource["name"]),
            text(&it["result"]),
        ]
    });
    Ok(said.collect())
}

/// What reports say.
async fn reported(stage: &Stage) -> anyhow::Result<Said> {
    let mut said = Said::new();
    for report in get(stage, "polr,cpolr").await? {
        let scope = &report["scope"];
        let owner = &report["metadata"]["ownerReferences"][0];
        ensure!(report["metadata"]["name"] == scope["uid"], "{report}");
        ensure!(owner["uid"] == scope["uid"] && owner["name"] == scope["name"], "{report}");
        let mut counted = std::collections::BTreeMap::<String, u64>::new();
        for result in report["results"].as_array().context("a report without results")? {
            *counted.entry(text(&result["result"])).or_default() += 1;
            said.insert([
                text(&result["policy"]),
                text(&result["rule"]).replace("exception", ""),
                named(&scope["kind"], &scope["namespace"], &scope["name"]),
                text(&result["result"]),
            ]);
        }
        for (outcome, count) in counted {
            ensure!(report["summary"][&outcome] == count, "{outcome} in {report}");
        }
    }
    Ok(said)
}

/// Waits until both say the same.
async fn converges(stage: &Stage, after: &str) -> anyhow::Result<usize> {
    eventually(
        &format!("reports to say what the command line says, {after}"),
        PATIENCE,
        async || {
            let expected = applied(stage).await.map_err(|error| format!("{error:#}"))?;
            let said = reported(stage).await.map_err(|error| format!("{error:#}"))?;
            let missing: Vec<_> = expected.difference(&said).collect();
            let surplus: Vec<_> = said.difference(&expected).collect();
            match missing.is_empty() && surplus.is_empty() && !said.is_empty() {
                true => Ok(said.len()),
                false => Err(format!("not told: {missing:?}; told wrongly: {surplus:?}")),
            }
        },
    )
    .await
}

/// Names and versions of all reports: another version was written since.
async fn versions(stage: &Stage) -> anyhow::Result<BTreeSet<[String; 2]>> {
    let reports = get(stage, "polr,cpolr").await?;
    let version = |report: &Value| {
        let metadata = &report["metadata"];
        [text(&metadata["name"]), text(&metadata["resourceVersion"])]
    };
    Ok(reports.iter().map(version).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_come_to_say_what_the_command_line_says() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let kubectl = async |arguments: &[&str]| stage.cluster.kubectl(arguments).await;
    stage.cluster.apply(POLICIES).await?;
    stage.cluster.apply(OBJECTS).await?;
    let pharos = scanner(&stage, "one").start().await?;
    let results = converges(&stage, "at the start").await?;
    println!("{results} results");

    let report = get(&stage, "polr").await?.into_iter().find(|it| it["scope"]["name"] == "bare");
    let result = report.context("no report of the bare Pod")?["results"][0].clone();
    for (field, value) in
        [("source", "KyvernoValidatingPolicy"), ("category", "Labels"), ("severity", "high")]
    {
        ensure!(result[field] == value, "{field} of {result}");
    }
    ensure!(result["properties"]["process"] == "background scan", "{result}");

    stage.cluster.apply(EXCEPTION).await?;
    converges(&stage, "with an exception").await?;
    kubectl(&["delete", "polex", "legacy", "-n", "shop"]).await?;
    kubectl(&["label", "pod", "bare", "-n", "shop", "app=web"]).await?;
    kubectl(&["delete", "pod", "labelled", "-n", "shop", "--force"]).await?;
    kubectl(&["create", "configmap", "later", "-n", "web", "--from-literal=team=web"]).await?;
    converges(&stage, "after objects changed").await?;
    kubectl(&["label", "namespace", "web", "team=other", "--overwrite"]).await?;
    kubectl(&["label", "namespace", "shop", "team=web"]).await?;
    converges(&stage, "after namespaces changed").await?;
    stage
        .cluster
        .apply(&POLICIES.replace("size(object.data) < 2", "size(object.data) < 1"))
        .await?;
    kubectl(&["delete", "vpol", "labelled"]).await?;
    converges(&stage, "after policies changed").await?;

    let samples = pharos.metrics().await?;
    for (name, cause) in [
        ("kyverno_validating_policy_results_total", "execution_cause"),
        ("kyverno_policy_results_total", "rule_execution_cause"),
    ] {
        let counted = prometheus::sum(&samples, name, &[(cause, "background_scan")]);
        ensure!(counted > 0.0, "{name} counts {counted}");
    }

    // A second scanner finds everything as it should be.
    let before = versions(&stage).await?;
    ensure!(pharos.terminate(PATIENCE).await?.success());
    let mut again = scanner(&stage, "again").start().await?;
    complete(&again).await?;
    ensure!(versions(&stage).await? == before, "reports were written although nothing changed");

    by_hand(&stage).await?;

    // Reports go with what they are about, and those that somebody deletes come back.
    let _controllers = stage.cluster.start_controller_manager().await?;
    kubectl(&["delete", "namespace", "web", "--wait=false"]).await?;
    kubectl(&["delete", "polr", "-n", "shop", "--all"]).await?;
    converges(&stage, "after a namespace went").await?;

    // One of two is lost, again and again, wherever it was: the other takes its share over.
    for (round, namespaces) in [["a", "b"], ["c", "d"], ["e", "f"]].into_iter().enumerate() {
        let other = scanner(&stage, &format!("other-{round}")).start().await?;
        if round == 0 {
            shared(&again, 2).await?;
        }
        for namespace in namespaces {
            kubectl(&["create", "namespace", namespace]).await?;
            kubectl(&["create", "configmap", "x", "-n", namespace, "--from-literal=a=b"]).await?;
        }
        other.kill();
    }
    again.wait_ready().await?;
    converges(&stage, "after one of two was killed").await?;
    kubectl(&["delete", "vpol,cpol", "--all"]).await?;
    eventually("no report to be left without a policy", PATIENCE, async || {
        let left = versions(&stage).await.map_err(|error| error.to_string())?;
        if left.is_empty() { Ok(()) } else { Err(format!("{} reports", left.len())) }
    })
    .await
}

/// What the command line says about a scan: how far it is, and what one of a namespace finds now.
async fn by_hand(stage: &Stage) -> anyhow::Result<()> {
    let run = |arguments: &[&str]| {
        let mut command = Command::new(Pharos::binary()?);
        command.arg("scan").args(arguments).args(["-o", "json", "--kubeconfig"]);
        let output = command.arg(stage.cluster.kubeconfig()).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let told: Value = serde_json::from_slice(&output.stdout).context(said)?;
        anyhow::Ok((output.status.code(), told))
    };
    eventually("the replica to tell that it is done", PATIENCE, async || {
        let (code, told) = run(&["status"]).map_err(|error| format!("{error:#}"))?;
        let told = &told["again"];
        let resources = told["resources"].as_array().map_or(0, Vec::len);
        let judged = told["objects"].as_u64().is_some_and(|objects| objects > 0);
        if code == Some(0) && judged && resources == 2 { Ok(()) } else { Err(told.to_string()) }
    })
    .await?;
    let (code, found) = run(&["-n", "shop"])?;
    ensure!(code == Some(1), "exit code {code:?} although something is violated");
    let names = |reports: &[Value]| -> BTreeSet<String> {
        let in_shop = reports.iter().filter(|it| it["metadata"]["namespace"] == "shop");
        in_shop.map(|report| text(&report["metadata"]["name"])).collect()
    };
    let found = names(found.as_array().context("no reports")?);
    let kept = names(&get(stage, "polr").await?);
    ensure!(found == kept && !found.is_empty(), "found {found:?}, kept are {kept:?}");
    Ok(())
}

/// Waits until a scanner says that it has looked at everything.
async fn complete(pharos: &Pharos) -> anyhow::Result<()> {
    eventually("the scan to be complete", PATIENCE, async || {
        let logs = pharos.logs().map_err(|error| error.to_string())?;
        if logs.contains("the scan is complete") { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await
}

/// Waits until a scanner knows that so many share the work.
async fn shared(pharos: &Pharos, replicas: usize) -> anyhow::Result<()> {
    eventually(&format!("{replicas} replicas to share the work"), PATIENCE, async || {
        let logs = pharos.logs().map_err(|error| error.to_string())?;
        let last = logs.lines().rfind(|line| line.contains("these share the work"));
        let last = last.ok_or("nobody does")?;
        let living = last.matches(',').count() + 1;
        if living == replicas { Ok(()) } else { Err(last.to_owned()) }
    })
    .await
}
