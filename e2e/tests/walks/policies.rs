//! Policies that come, go and are wrong, on the real API server.

use anyhow::ensure;
use pharos_e2e::manifests::TELEMETRYCONFIG_PROMETHEUS;
use pharos_e2e::stage::{ENGINE, PATIENCE, SHOP, Stage, reviews_scraped};
use pharos_testkit::{Pharos, WebhookTarget, eventually};
use serde_json::Value;

const BROKEN: &str = "
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata: {name: broken}
spec:
  failurePolicy: Ignore
  validationActions: [Deny]
  matchConstraints:
    resourceRules:
    - {apiGroups: [''], apiVersions: [v1], resources: [configmaps], operations: [CREATE]}
  validations:
  - expression: 'object.metadata.name == '
";

const UNSUPPORTED: &str = "
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata: {name: unsupported}
spec:
  failurePolicy: Ignore
  validationActions: [Deny]
  matchConstraints:
    resourceRules:
    - {apiGroups: [''], apiVersions: [v1], resources: [configmaps], operations: [CREATE]}
  validations:
  - expression: 'true'
  evaluation: {mode: JSON}
";

const DENY_EVERYTHING: &str = "
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata: {name: deny-everything}
spec:
  failurePolicy: Fail
  validationActions: [Deny]
  matchConstraints:
    resourceRules:
    - {apiGroups: ['*'], apiVersions: ['*'], resources: ['*'], operations: ['*']}
  validations:
  - {expression: 'false', message: nothing goes}
";

const LEASE: &str = "
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: x, namespace: default}
";

async fn status(stage: &Stage, policy: &str) -> anyhow::Result<Value> {
    let get = ["get", "validatingpolicies.policies.kyverno.io", policy, "-o", "json"];
    let object: Value = serde_json::from_str(&stage.cluster.kubectl(&get).await?)?;
    Ok(object["status"]["conditionStatus"].clone())
}

async fn said(stage: &Stage, policy: &str, ready: bool, words: &[&str]) -> anyhow::Result<()> {
    eventually(&format!("the status of {policy} to say {words:?}"), PATIENCE, async || {
        let status = status(stage, policy).await.map_err(|error| error.to_string())?;
        let text = status.to_string();
        let said = status["ready"] == ready && words.iter().all(|word| text.contains(word));
        if said { Ok(()) } else { Err(text) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_does_not_compile_says_so_and_the_others_keep_working() -> anyhow::Result<()>
{
    let stage = Stage::set().await?;
    let _pharos = stage.pharos().await?;
    stage.cluster.apply(BROKEN).await?;
    stage.cluster.apply(UNSUPPORTED).await?;
    said(&stage, "broken", false, &["CompileError", "spec.validations[0].expression"]).await?;
    said(&stage, "unsupported", false, &["spec.evaluation.mode"]).await?;
    said(&stage, "require-team", true, &[]).await?;
    stage.webhook_in_force().await?;
    let admitted = stage.create("good", 5).await?;
    ensure!(admitted == 4, "{admitted} of 5 admitted, 4 have the label");

    let mended = BROKEN.replace("== '", "!= \"forbidden\"'");
    stage.cluster.apply(&mended).await?;
    said(&stage, "broken", true, &[]).await?;
    eventually("the mended policy to deny", PATIENCE, async || {
        let create = ["create", "configmap", "forbidden", "-n", "default", "--dry-run=server"];
        match stage.cluster.kubectl(&create).await {
            Err(error) if error.to_string().contains("broken") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_policy_there_is_no_webhook_for_resources() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let _pharos = stage.pharos().await?;
    let names = "jsonpath={.items[*].webhooks[*].name}";
    let list = ["get", "validatingwebhookconfigurations", "-o", names];
    let names = stage.cluster.kubectl(&list).await?;
    ensure!(names.contains("ignore.validate.pharos.dev"), "with a policy: {names}");

    stage.cluster.kubectl(&["delete", "vpol", "require-team"]).await?;
    eventually("only the webhook for policies to be left", PATIENCE, async || {
        let names = stage.cluster.kubectl(&list).await.map_err(|error| error.to_string())?;
        if names == "policies.validate.pharos.dev" { Ok(()) } else { Err(names) }
    })
    .await?;
    let before = stage.reviews_answered().await?;
    stage.cluster.kubectl(&["create", "configmap", "free", "-n", SHOP]).await?;
    ensure!(stage.reviews_answered().await? == before, "a review was asked for without a policy");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_configuration_that_somebody_edits_is_repaired() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let _pharos = stage.pharos().await?;
    let list = ["get", "validatingwebhookconfigurations", "-o", "name"];
    let name = stage.cluster.kubectl(&list).await?.trim().to_owned();
    let patch =
        r#"[{"op": "replace", "path": "/webhooks/0/rules/0/resources", "value": ["secrets"]}]"#;
    stage.cluster.kubectl(&["patch", &name, "--type=json", "-p", patch]).await?;
    stage.webhook_in_force().await?;
    stage.cluster.kubectl(&["delete", &name]).await?;
    stage.webhook_in_force().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_webhook_is_reached_by_a_url_too() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let target = WebhookTarget::Host("127.0.0.1".to_owned());
    let pharos = Pharos::builder(&stage.cluster).target(target).start().await?;
    stage.webhook_in_force().await?;
    let answered = stage.reviews_answered().await?;
    let total = reviews_scraped(&pharos.metrics().await?);
    ensure!(total == answered, "Prometheus shows {total}, the API server counts {answered}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_denies_everything_locks_nobody_out() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let _pharos = stage.pharos().await?;
    stage.cluster.apply(DENY_EVERYTHING).await?;
    let denied = |object: &'static [&'static str]| {
        let stage = &stage;
        async move {
            let answer = stage.cluster.kubectl(object).await;
            answer.err().map(|error| error.to_string()).filter(|error| error.contains("nothing"))
        }
    };
    eventually("everything to be denied", PATIENCE, async || {
        let create = &["create", "configmap", "x", "-n", "default", "--dry-run=server"];
        denied(create).await.map(|_| ()).ok_or_else(|| "it is admitted".to_owned())
    })
    .await?;

    // Our own namespace, Leases anywhere, and what configures Pharos itself.
    stage.cluster.kubectl(&["create", "configmap", "x", "-n", ENGINE]).await?;
    stage.cluster.apply(LEASE).await?;
    stage.configure(TELEMETRYCONFIG_PROMETHEUS).await?;
    stage.cluster.kubectl(&["label", "vpol", "deny-everything", "seen=yes"]).await?;
    stage.cluster.kubectl(&["delete", "vpol", "deny-everything"]).await?;
    eventually("objects to be admitted again", PATIENCE, async || {
        let create = ["create", "configmap", "x", "-n", "default", "--dry-run=server"];
        stage.cluster.kubectl(&create).await.map_err(|error| error.to_string())
    })
    .await?;
    Ok(())
}
