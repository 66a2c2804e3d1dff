//! Every replica dies by `kill -9` while a policy for everything fails closed: the cluster lives,
//! Pharos starts again, its policies can be edited, and there is a way out without it.

use anyhow::{Context, bail, ensure};
use pharos_e2e::manifests::{TELEMETRYCONFIG_PROMETHEUS, repository};
use pharos_e2e::replicas::Replicas;
use pharos_e2e::stage::{ENGINE, PATIENCE, Stage};
use pharos_testkit::{Pharos, eventually};
use serde_json::{Value, json};
use tokio::process::Command;

/// Admits everything, as long as somebody can be asked.
const EVERYTHING: &str = "
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata: {name: everything}
spec:
  failurePolicy: Fail
  validationActions: [Deny]
  matchConstraints:
    resourceRules:
    - {apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'], operations: ['*']}
  validations:
  - {expression: 'request.name != \"forbidden\"', message: nothing of this name}
";

const LEASE: &str = "
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: somebody, namespace: shop}
spec: {holderIdentity: a}
";

const EVENT: &str = "
apiVersion: v1
kind: Event
metadata: {name: told, namespace: shop}
involvedObject: {kind: Pod, namespace: shop}
reason: Told
";

const REVIEWS: [&str; 2] = [
    "apiVersion: authentication.k8s.io/v1\nkind: TokenReview\nspec: {token: none}\n",
    "apiVersion: authorization.k8s.io/v1\nkind: SubjectAccessReview\nspec: {user: jane, \
     resourceAttributes: {verb: get, resource: pods}}\n",
];

const NODE: &str = "apiVersion: v1\nkind: Node\nmetadata: {name: fresh}\n";
const CSI_NODE: &str =
    "apiVersion: storage.k8s.io/v1\nkind: CSINode\nmetadata: {name: fresh}\nspec: {drivers: []}\n";

/// The answer to a change that a policy sees, without an object left behind.
async fn asked(stage: &Stage, name: &str) -> Result<String, String> {
    let create = ["create", "configmap", name, "-n", "default", "--dry-run=server"];
    stage.cluster.kubectl(&create).await.map_err(|error| format!("{error:#}"))
}

/// Waits until the policy is asked and answered for.
async fn in_force(stage: &Stage) -> anyhow::Result<()> {
    eventually("the policy to be in force", PATIENCE, async || {
        match asked(stage, "forbidden").await {
            Err(error) if error.contains("nothing of this name") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

/// Waits until requests are refused because nobody answers.
async fn nobody_answers(stage: &Stage) -> anyhow::Result<()> {
    eventually("requests to be refused", PATIENCE, async || match asked(stage, "other").await {
        Err(error) if error.contains("failed calling webhook") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await
}

/// What nodes, the control plane and whoever repairs it write.
async fn the_cluster_lives(stage: &Stage, round: usize) -> anyhow::Result<()> {
    stage
        .cluster
        .apply(&LEASE.replace(": a}", &format!(": r{round}}}")))
        .await
        .context("a Lease")?;
    stage.cluster.apply(EVENT).await.context("an Event")?;
    for review in REVIEWS {
        let create = ["create", "-f", "-", "-o", "name"];
        stage.kubectl().run_with_input(&create, review).await.context("a review")?;
    }
    stage.cluster.apply(NODE).await.context("a Node")?;
    stage.cluster.apply(CSI_NODE).await.context("a CSINode")?;
    for namespace in ["kube-system", ENGINE] {
        let name = format!("repair-{round}");
        let create = ["create", "configmap", &name, "-n", namespace];
        stage.cluster.kubectl(&create).await.context("a repair")?;
    }
    stage.cluster.apply(TELEMETRYCONFIG_PROMETHEUS).await.context("a TelemetryConfig")?;
    Ok(())
}

async fn spec(stage: &Stage, field: &str, value: &str) -> anyhow::Result<()> {
    let patch = format!(r#"{{"spec": {{"{field}": {value}}}}}"#);
    let patch = ["patch", "vpol", "everything", "--type=merge", "-p", &patch];
    stage.cluster.kubectl(&patch).await.map(drop)
}

/// The exit code and the output of `pharos webhooks remove`.
async fn remove(stage: &Stage, arguments: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
    let mut command = Command::new(Pharos::binary()?);
    command.args(["webhooks", "remove", "--kubeconfig"]).arg(stage.cluster.kubeconfig());
    let output = command.args(arguments).output().await?;
    let told = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8(told)?))
}

async fn registered(stage: &Stage) -> anyhow::Result<Vec<Value>> {
    let list = ["get", "validatingwebhookconfigurations", "-o", "json"];
    let list = [&list[..], &["-l", "app.kubernetes.io/managed-by=pharos"]].concat();
    let list: Value = serde_json::from_str(&stage.cluster.kubectl(&list).await?)?;
    Ok(list["items"].as_array().cloned().unwrap_or_default())
}

/// Runs the line of the guide for whoever has nothing but kubectl.
async fn as_the_guide_says(stage: &Stage) -> anyhow::Result<()> {
    let guide = std::fs::read_to_string(repository().join("docs/guides/policies.md"))?;
    let deletes = |line: &&str| line.starts_with("kubectl delete validatingwebhookconfigurations");
    let line = guide.lines().find(deletes).context("the guide has no such line")?;
    let words: Vec<_> = line.split_whitespace().skip(1).collect();
    stage.cluster.kubectl(&words).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_any_replica_left_is_not_locked() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let _controllers = stage.cluster.start_controller_manager().await?;
    let mut replicas = Replicas::start(&stage, 2).await?;
    stage.cluster.apply(EVERYTHING).await?;
    in_force(&stage).await?;
    let (code, told) = remove(&stage, &[]).await?;
    ensure!(code == Some(1) && told.contains("came back"), "a running Pharos: {code:?}, {told}");
    in_force(&stage).await?;

    kill_all(&mut replicas)?;
    nobody_answers(&stage).await?;
    the_cluster_lives(&stage, 1).await?;
    spec(&stage, "validationActions", r#"["Deny", "Audit"]"#).await.context("an edit")?;

    // The Pods are made and the processes become ready while everything else is refused.
    replicas.add(&stage, 2).await?;
    in_force(&stage).await?;
    let answer = asked(&stage, "other").await;
    ensure!(answer.is_ok(), "with Pharos back: {answer:?}");

    kill_all(&mut replicas)?;
    nobody_answers(&stage).await?;
    the_cluster_lives(&stage, 2).await?;
    stage.cluster.kubectl(&["delete", "vpol", "everything"]).await.context("a deletion")?;
    nobody_answers(&stage).await?;
    there_is_a_way_out(&stage).await
}

/// Nobody is there to take back what is registered.
async fn there_is_a_way_out(stage: &Stage) -> anyhow::Result<()> {
    let left = registered(stage).await?;
    let [left] = &left[..] else { bail!("registered is {left:?}") };
    let (code, told) = remove(stage, &["--dry-run"]).await?;
    ensure!(code == Some(0) && told.contains("would remove"), "{code:?}: {told}");
    ensure!(told.contains("pharos-validating-pharos") && told.contains("closed 1"), "{told}");
    nobody_answers(stage).await?;
    let (code, told) = remove(stage, &["--namespace", "other"]).await?;
    ensure!(code == Some(0) && told.contains("nothing of Pharos"), "{code:?}: {told}");
    let (code, told) = remove(stage, &["--watch", "0"]).await?;
    ensure!(code == Some(0) && told.contains("removed"), "{code:?}: {told}");
    ensure!(registered(stage).await?.is_empty(), "it is still registered");
    stage.cluster.kubectl(&["create", "configmap", "free", "-n", "default"]).await?;

    let (name, labels) = (&left["metadata"]["name"], &left["metadata"]["labels"]);
    let again = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name, "labels": labels}, "webhooks": left["webhooks"],
    });
    stage.cluster.apply(&again.to_string()).await?;
    nobody_answers(stage).await?;
    as_the_guide_says(stage).await?;
    ensure!(registered(stage).await?.is_empty(), "it is registered again");
    let (code, told) = remove(stage, &["--kubeconfig", "/nowhere/kubeconfig"]).await?;
    ensure!(code == Some(2), "{code:?}: {told}");
    Ok(())
}

fn kill_all(replicas: &mut Replicas) -> anyhow::Result<()> {
    while !replicas.running.is_empty() {
        replicas.take(0)?.1.kill();
    }
    Ok(())
}
