//! Every kind of policy, from before its definition is there until after it is gone: what status,
//! Events, `pharos policy status` and Kyverno's ConfigMap say and do.

use anyhow::{Context, ensure};
use pharos_e2e::manifests::{POLICY, config_map, repository};
use pharos_e2e::stage::{ENGINE, PATIENCE, SHOP, Stage};
use pharos_testkit::{Pharos, eventually};
use serde_json::{Value, json};

/// A policy with an expression that does not compile.
const BROKEN: &str = "
apiVersion: policies.kyverno.io/v1
kind: ValidatingPolicy
metadata: {name: broken}
spec:
  failurePolicy: Ignore
  matchConstraints:
    resourceRules:
    - {apiGroups: [''], apiVersions: [v1], resources: [secrets], operations: [CREATE]}
  validations:
  - expression: 'object.metadata.name == '
";

/// ConfigMaps that are about free things are not judged.
const FILTERS: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: kyverno, namespace: pharos}
data:
  resourceFilters: '[ConfigMap,shop,free-*] [broken,entry,of,four]'
";

/// ConfigMaps of one team need not have what the policy asks for.
const EXCEPTION: &str = "
apiVersion: policies.kyverno.io/v1
kind: PolicyException
metadata: {name: lunch, namespace: shop}
spec:
  policyRefs: [{name: require-team, kind: ValidatingPolicy}]
  matchConditions:
  - {name: lunch, expression: \"object.metadata.name == 'excepted-lunch'\"}
";

/// The same of a namespace, with an annotation for the audit log.
const NAMESPACED: &str = "
apiVersion: policies.kyverno.io/v1
kind: NamespacedValidatingPolicy
metadata: {name: pods, namespace: shop}
spec:
  failurePolicy: Ignore
  validationActions: [Warn]
  matchConstraints:
    resourceRules:
    - {apiGroups: [''], apiVersions: [v1], resources: [pods], operations: [CREATE]}
  validations:
  - {expression: 'has(object.metadata.labels)', message: a Pod needs labels}
";

const OTHERS: [(&str, &str); 4] = [
    ("MutatingPolicy", "mutatingpolicies"),
    ("GeneratingPolicy", "generatingpolicies"),
    ("ImageValidatingPolicy", "imagevalidatingpolicies"),
    ("DeletingPolicy", "deletingpolicies"),
];

/// A stage, and what a walk asks about it.
struct Walk(Stage);

// === impl Walk ===

impl Walk {
    async fn read(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let json = ["-o", "json"];
        let text = self.0.cluster.kubectl(&[&["get"][..], arguments, &json].concat()).await?;
        Ok(serde_json::from_str(&text)?)
    }

    async fn said(&self, resource: &str, name: &str, words: &[&str]) -> anyhow::Result<()> {
        let what = format!("the status of {resource} {name} to say {words:?}");
        eventually(&what, PATIENCE, async || {
            let object = self.read(&[resource, name]).await.map_err(|error| error.to_string())?;
            let text = object["status"].to_string();
            let said = words.iter().all(|word| text.contains(word));
            if said { Ok(()) } else { Err(text) }
        })
        .await
    }

    /// Waits until such a ConfigMap is admitted, or refused.
    async fn admitted(&self, name: &str, expected: bool) -> anyhow::Result<()> {
        eventually(&format!("{name} to be admitted: {expected}"), PATIENCE, async || {
            let create = ["create", "configmap", name, "-n", SHOP, "--dry-run=server"];
            match (self.0.cluster.kubectl(&create).await, expected) {
                (Ok(_), true) => Ok(()),
                (Err(error), false) if error.to_string().contains("require-team") => Ok(()),
                (answer, _) => Err(format!("{answer:?}")),
            }
        })
        .await
    }

    /// Waits for an Event of that reason about an object of that name, and returns it.
    async fn event(&self, reason: &str, about: &str, words: &str) -> anyhow::Result<Value> {
        eventually(&format!("an Event {reason} about {about}"), PATIENCE, async || {
            let list = self.read(&["events.events.k8s.io", "-A"]).await;
            let list = list.map_err(|error| error.to_string())?;
            let is_it = |event: &&Value| {
                event["reason"] == reason
                    && event["regarding"]["name"] == about
                    && event["note"].as_str().is_some_and(|note| note.contains(words))
            };
            let events = list["items"].as_array().cloned().unwrap_or_default();
            events.iter().find(is_it).cloned().ok_or_else(|| list.to_string())
        })
        .await
    }

    /// `pharos policy status`: its exit code and what it prints.
    async fn policy_status(&self, arguments: &[&str]) -> anyhow::Result<(i32, String)> {
        let output = tokio::process::Command::new(Pharos::binary()?)
            .args(["policy", "status"])
            .args(arguments)
            .arg("--kubeconfig")
            .arg(self.0.cluster.kubeconfig())
            .kill_on_drop(true)
            .output()
            .await?;
        let code = output.status.code().context("it ended by a signal")?;
        Ok((code, String::from_utf8([output.stdout, output.stderr].concat())?))
    }
}

fn other(kind: &str) -> String {
    let api_version = "policies.kyverno.io/v1";
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "other"}, "spec": {}})
        .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_policy_says_what_becomes_of_it() -> anyhow::Result<()> {
    let walk = Walk(Stage::bare().await?);
    let cluster = &walk.0.cluster;
    // Without any definition of a policy it is ready.
    let exceptions = "--exception-namespace=shop";
    let pharos = Pharos::builder(cluster).arguments(&[exceptions]).start().await?;
    cluster.install_crds(&repository().join("crds")).await?;
    for yaml in [POLICY, BROKEN] {
        cluster.apply(yaml).await?;
    }
    walk.0.webhook_in_force().await?;
    walk.said("vpol", "require-team", &["\"ready\":true", "pharos.dev/Compiled"]).await?;
    let place =
        ["\"ready\":false", "spec.validations[0].expression at 1:", "in: object.metadata.name =="];
    walk.said("vpol", "broken", &place).await?;
    for (kind, plural) in OTHERS {
        cluster.apply(&other(kind)).await?;
        walk.said(plural, "other", &["\"ready\":false", "Unsupported", kind]).await?;
    }

    // Events, on the policy: what it refused, and that another one is broken.
    let refused =
        walk.0.kubectl().output(&["create", "-f", "-"], &config_map("bare", None)).await?;
    ensure!(!refused.status.success(), "it was admitted");
    let message = String::from_utf8(refused.stderr)?;
    ensure!(message.contains("Policy require-team failed: every ConfigMap needs"), "{message}");
    let event = walk.event("PolicyViolation", "require-team", "ConfigMap shop/bare: fail").await?;
    ensure!(event["action"] == "Resource Blocked", "{event}");
    ensure!(event["reportingController"] == "kyverno-admission", "{event}");
    ensure!(event["metadata"]["namespace"] == "default", "{event}");
    let uid = walk.read(&["vpol", "require-team"]).await?["metadata"]["uid"].clone();
    ensure!(event["regarding"]["uid"] == uid, "{event}");
    walk.event("PolicyError", "broken", "spec.validations[0].expression").await?;

    // Kyverno's ConfigMap, as it comes, changes and goes.
    walk.admitted("free-lunch", false).await?;
    cluster.apply(FILTERS).await?;
    walk.admitted("free-lunch", true).await?;
    walk.admitted("dear-lunch", false).await?;
    let logs = pharos.logs()?;
    ensure!(logs.contains("resourceFilters: [broken,entry,of,four]"), "{logs}");
    cluster.kubectl(&["delete", "configmap", "kyverno", "-n", ENGINE]).await?;
    walk.admitted("free-lunch", false).await?;

    // An exception, as it comes and goes. In another namespace it does not count, and says so.
    walk.admitted("excepted-lunch", false).await?;
    let elsewhere = EXCEPTION.replace("namespace: shop", "namespace: default");
    cluster.apply(&elsewhere).await?;
    walk.event("PolicyError", "lunch", "exceptions count in the namespace shop only").await?;
    walk.admitted("excepted-lunch", false).await?;
    let (code, table) = walk.policy_status(&["lunch", "--exception-namespace=shop"]).await?;
    ensure!(code == 1 && table.contains("OtherNamespace"), "{code}: {table}");
    let (code, table) = walk.policy_status(&["lunch"]).await?;
    ensure!(code == 0 && table.contains("default/lunch"), "{code}: {table}");
    cluster.kubectl(&["delete", "policyexception", "lunch", "-n", "default"]).await?;
    cluster.apply(EXCEPTION).await?;
    walk.admitted("excepted-lunch", true).await?;
    walk.admitted("free-lunch", false).await?;
    cluster.kubectl(&["delete", "policyexception", "lunch", "-n", SHOP]).await?;
    walk.admitted("excepted-lunch", false).await?;

    // A policy of one namespace, and what is generated from it.
    cluster.apply(NAMESPACED).await?;
    let namespaced = ["namespacedvalidatingpolicies", "pods", "-n", SHOP];
    eventually("its status to show what is generated", PATIENCE, async || {
        let object = walk.read(&namespaced).await.map_err(|error| error.to_string())?;
        let status = &object["status"];
        let shown = status["conditionStatus"]["ready"] == true
            && status["autogen"]["configs"]["cronjobs"]["targets"][0]["kind"] == "CronJob";
        if shown { Ok(()) } else { Err(status.to_string()) }
    })
    .await?;

    let (code, table) = walk.policy_status(&[]).await?;
    ensure!(code == 1, "{code}: {table}");
    for words in [
        "require-team   ValidatingPolicy",
        "broken         ValidatingPolicy",
        "at 1:",
        "autogen-cronjobs",
    ] {
        ensure!(table.contains(words), "{words:?} is not in {table}");
    }
    let (code, json) = walk.policy_status(&["require-team", "-o", "json"]).await?;
    let json: Value = serde_json::from_str(&json).context(json)?;
    ensure!(code == 0 && json[0]["ready"] == true, "{code}: {json}");
    let (code, yaml) = walk.policy_status(&["broken", "-o", "yaml"]).await?;
    ensure!(code == 1 && yaml.contains("position: "), "{code}: {yaml}");
    let (code, none) = walk.policy_status(&["nothing"]).await?;
    ensure!(code == 2 && none.contains("there is no policy"), "{code}: {none}");

    // A definition that goes takes its policies out of force, and nothing else.
    let definition = "validatingpolicies.policies.kyverno.io";
    cluster.kubectl(&["delete", "crd", definition]).await?;
    walk.admitted("free-lunch", true).await?;
    let (ready, body) = pharos.admin("/readyz").await?;
    ensure!(ready == 200, "{ready}: {body}");
    let crd = repository().join(format!("crds/{definition}.yaml"));
    cluster.apply(&std::fs::read_to_string(crd)?).await?;
    eventually("the policy to be stored again", PATIENCE, async || {
        cluster.apply(POLICY).await.map_err(|error| error.to_string())
    })
    .await?;
    walk.admitted("free-lunch", false).await?;
    let logs = pharos.logs()?;
    ensure!(!logs.contains("UnknownKind") || !logs.contains("watch validating"), "{logs}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_kyverno_status_is_left_alone_and_events_tell() -> anyhow::Result<()> {
    let walk = Walk(Stage::set().await?);
    let cluster = &walk.0.cluster;
    cluster.apply(BROKEN).await?;
    cluster.apply(&other("MutatingPolicy")).await?;
    let theirs = r#"{"status": {"conditionStatus": {"ready": true, "message": "theirs"}}}"#;
    let patch = ["patch", "vpol", "broken", "--subresource=status", "--type=merge", "-p", theirs];
    cluster.kubectl(&patch).await?;
    let _pharos = Pharos::builder(cluster).arguments(&["--policy-status=Kyverno"]).start().await?;
    walk.0.webhook_in_force().await?;
    walk.event("PolicyError", "broken", "spec.validations[0].expression").await?;
    let broken = walk.read(&["vpol", "broken"]).await?;
    ensure!(broken["status"]["conditionStatus"]["message"] == "theirs", "{broken}");
    for (resource, name) in [("vpol", "require-team"), ("mutatingpolicies", "other")] {
        let object = walk.read(&[resource, name]).await?;
        ensure!(object.get("status").is_none(), "{object}");
    }
    Ok(())
}
