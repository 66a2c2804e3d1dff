//! What is registered with the API server, against everything that could make a policy miss a
//! request: edits, deletions at any moment, versions, conditions, and policies that move.
#![expect(clippy::print_stdout, reason = "what was measured is printed")]

use std::sync::Arc;

use anyhow::{Context, ensure};
use pharos_e2e::replicas::Replicas;
use pharos_e2e::stage::{PATIENCE, SHOP, Stage};
use pharos_e2e::traffic::Traffic;
use pharos_testkit::eventually;
use serde_json::{Value, json};

const NAME: &str = "pharos-validating-pharos";
/// How often a deletion is repeated, each at another moment after the repair.
const DELETIONS: usize = 20;
/// How often the policy changes from open to closed or back.
const FLIPS: usize = 6;

const TWO_VERSIONS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: toys.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: toys, singular: toy, kind: Toy}
  versions:
  - {name: v1, served: true, storage: true, schema: &any {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
  - {name: v2, served: true, storage: false, schema: *any}
";

/// A policy that warns of every object of this version.
fn about_toys(name: &str, version: &str, match_policy: &str) -> Value {
    json!({
        "apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Ignore",
            "validationActions": ["Warn"],
            "matchConstraints": {
                "matchPolicy": match_policy,
                "resourceRules": [{
                    "apiGroups": ["example.com"], "apiVersions": [version],
                    "resources": ["toys"], "operations": ["CREATE"],
                }],
            },
            "validations": [{
                "expression": format!("object.apiVersion != 'example.com/{version}'"),
                "message": format!("{name} saw it"),
            }],
        },
    })
}

/// A policy that denies ConfigMaps of its own name, under a condition.
fn conditional(name: &str, condition: &str) -> Value {
    json!({
        "apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Ignore",
            "validationActions": ["Deny"],
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"],
                "resources": ["configmaps"], "operations": ["CREATE"],
            }]},
            "matchConditions": [{"name": "c", "expression": condition}],
            "validations": [{
                "expression": format!("object.metadata.name != '{name}'"),
                "message": format!("{name} says no"),
            }],
        },
    })
}

async fn webhooks(stage: &Stage) -> anyhow::Result<Value> {
    let get = ["get", "validatingwebhookconfigurations", NAME, "-o", "json"];
    let object: Value = serde_json::from_str(&stage.cluster.kubectl(&get).await?)?;
    Ok(json!([object["webhooks"], object["metadata"]["labels"]]))
}

/// Waits until exactly this is registered.
async fn repaired(stage: &Stage, what: &str, whole: &Value) -> anyhow::Result<()> {
    eventually(&format!("{what} to be repaired"), PATIENCE, async || {
        let found = webhooks(stage).await.map_err(|error| error.to_string())?;
        if found == *whole { Ok(()) } else { Err(found.to_string()) }
    })
    .await
}

/// What is said to whoever creates this object without leaving it behind.
async fn told(stage: &Stage, object: &Value) -> anyhow::Result<String> {
    let create = ["create", "--dry-run=server", "-f", "-"];
    let output = stage.kubectl().output(&create, &object.to_string()).await?;
    Ok(String::from_utf8([output.stdout, output.stderr].concat())?)
}

async fn says(stage: &Stage, object: &Value, words: &[&str]) -> anyhow::Result<()> {
    eventually(&format!("{object} to be answered with {words:?}"), PATIENCE, async || {
        let told = told(stage, object).await.map_err(|error| error.to_string())?;
        if words.iter().all(|word| told.contains(word)) { Ok(()) } else { Err(told) }
    })
    .await
}

fn toy(version: &str) -> Value {
    json!({
        "apiVersion": format!("example.com/{version}"), "kind": "Toy",
        "metadata": {"name": "toy", "namespace": "default"},
    })
}

fn config_map(name: &str) -> Value {
    let metadata = json!({"name": name, "namespace": "default"});
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
}

/// Whoever names a version sees every request: a definition that comes later, too.
async fn versions(stage: &Stage) -> anyhow::Result<()> {
    for policy in [
        about_toys("first", "v1", "Equivalent"),
        about_toys("second", "v2", "Equivalent"),
        about_toys("exact", "v1", "Exact"),
    ] {
        stage.cluster.apply(&policy.to_string()).await?;
    }
    stage.cluster.apply(TWO_VERSIONS).await?;
    let wait = ["wait", "--for=condition=Established", "crd/toys.example.com", "--timeout=60s"];
    stage.cluster.kubectl(&wait).await?;
    says(stage, &toy("v1"), &["first saw it", "second saw it", "exact saw it"]).await?;
    says(stage, &toy("v2"), &["first saw it", "second saw it"]).await?;
    let told = told(stage, &toy("v2")).await?;
    ensure!(!told.contains("exact saw it"), "it is about v1 only: {told}");
    stage.cluster.kubectl(&["delete", "vpol", "first", "second", "exact"]).await.map(drop)
}

/// A condition about Pods, of a policy that is about what makes them, too; and conditions that have
/// no value for what the policy is not about. None of them fails a request.
async fn conditions_of_some(stage: &Stage) -> anyhow::Result<()> {
    let mut pods = conditional("pods", "object.spec.containers[0].image == 'bad'");
    pods["spec"]["matchConstraints"]["resourceRules"][0]["resources"] = json!(["pods"]);
    pods["spec"]["validations"][0]["expression"] = json!("false");
    let mut selecting = conditional("selecting", "object.data.a == 'b'");
    selecting["spec"]["matchConstraints"]["objectSelector"] = json!({"matchLabels": {"c": "d"}});
    let mut elsewhere = conditional("elsewhere", "object.data.a == 'b'");
    elsewhere["kind"] = json!("NamespacedValidatingPolicy");
    elsewhere["metadata"]["namespace"] = json!(SHOP);
    for policy in [&mut pods, &mut selecting, &mut elsewhere] {
        policy["spec"]["failurePolicy"] = json!("Fail");
        stage.cluster.apply(&policy.to_string()).await?;
    }
    let registered = settled(stage, 4).await?;
    let found = registered[0].as_array().context("webhooks")?;
    let names: Vec<_> = found.iter().filter_map(|webhook| webhook["name"].as_str()).collect();
    let own = "elsewhere.shop.namespacedvalidatingpolicies.fail.validate.pharos.dev";
    ensure!(names.contains(&own), "{names:?}");
    says(stage, &config_map("other"), &["created"]).await?;
    says(stage, &deployment("bad"), &["pods says no"]).await?;
    says(stage, &deployment("good"), &["created"]).await?;
    let all = ["vpol", "pods", "selecting"];
    stage.cluster.kubectl(&[&["delete"][..], &all].concat()).await?;
    stage.cluster.kubectl(&["delete", "nvpol", "elsewhere", "-n", SHOP]).await?;
    // Until it is gone where it was registered, its condition fails for what has no data.
    settled(stage, 2).await?;
    let mut bare = config_map("other");
    bare["metadata"]["namespace"] = json!(SHOP);
    bare["metadata"]["labels"] = json!({"team": "a"});
    says(stage, &bare, &["created"]).await
}

fn deployment(image: &str) -> Value {
    let labels = json!({"app": "a"});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "a", "namespace": "default"},
        "spec": {"selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels}, "spec": {"containers": [{"name": "a", "image": image}]},
        }},
    })
}

/// Conditions that the API server refuses are evaluated by Pharos, and stop nobody.
async fn conditions(stage: &Stage) -> anyhow::Result<()> {
    // Its condition has the name of one of ours.
    let mut refused = conditional("refused", "object.metadata.name.startsWith('r')");
    refused["spec"]["matchConditions"][0]["name"] = json!("not-vital");
    stage.cluster.apply(&refused.to_string()).await?;
    // This would be taken, and never be true.
    let null = conditional("null", "namespaceObject.metadata.name == 'default'");
    stage.cluster.apply(&null.to_string()).await?;
    let taken = conditional("taken", "object.metadata.name.startsWith('t')");
    stage.cluster.apply(&taken.to_string()).await?;
    says(stage, &config_map("refused"), &["refused says no"]).await?;
    says(stage, &config_map("taken"), &["taken says no"]).await?;
    says(stage, &config_map("other"), &["created"]).await?;
    let registered = settled(stage, 3).await?;
    says(stage, &config_map("refused"), &["refused says no"]).await?;
    says(stage, &config_map("null"), &["null says no"]).await?;
    let found = registered[0].as_array().context("webhooks")?;
    let names: Vec<_> = found.iter().filter_map(|webhook| webhook["name"].as_str()).collect();
    let own = "taken.validatingpolicies.ignore.validate.pharos.dev";
    ensure!(
        names == ["ignore.validate.pharos.dev", own, "policies.validate.pharos.dev"],
        "{names:?}"
    );
    let conditions = found[1]["matchConditions"].as_array().context("conditions")?;
    ensure!(conditions.last() == Some(&taken["spec"]["matchConditions"][0]), "{conditions:?}");

    // An edit of the conditions is never between two stools.
    let edited = conditional("taken", "namespaceObject.metadata.name == 'default'");
    stage.cluster.apply(&edited.to_string()).await?;
    says(stage, &config_map("taken"), &["taken says no"]).await?;
    stage.cluster.kubectl(&["delete", "vpol", "refused", "null", "taken"]).await.map(drop)
}

/// Every field, and the whole.
async fn edits(stage: &Stage) -> anyhow::Result<()> {
    stage.webhook_in_force().await?;
    let whole = settled(stage, 2).await?;
    for (field, value) in [
        ("rules/0/apiGroups", json!(["apps"])),
        ("rules/0/apiVersions", json!(["v9"])),
        ("rules/0/resources", json!(["secrets"])),
        ("rules/0/operations", json!(["DELETE"])),
        ("rules/0/scope", json!("Cluster")),
        ("rules", json!([])),
        ("failurePolicy", json!("Fail")),
        ("matchPolicy", json!("Exact")),
        ("timeoutSeconds", json!(1)),
        ("sideEffects", json!("NoneOnDryRun")),
        ("namespaceSelector", json!({"matchLabels": {"a": "b"}})),
        ("objectSelector", json!({"matchLabels": {"a": "b"}})),
        ("matchConditions", json!([{"name": "never", "expression": "false"}])),
        ("matchConditions", json!([])),
        ("admissionReviewVersions", json!(["v1beta1", "v1"])),
        ("clientConfig/caBundle", json!("")),
        ("clientConfig/service/path", json!("/elsewhere")),
        ("clientConfig/service/name", json!("another")),
        ("clientConfig/service/port", json!(1)),
        ("name", json!("renamed.validate.pharos.dev")),
    ] {
        let path = format!("/webhooks/0/{field}");
        let patch = json!([{"op": "replace", "path": path, "value": value}]).to_string();
        let patch = ["patch", "validatingwebhookconfiguration", NAME, "--type=json", "-p", &patch];
        stage.cluster.kubectl(&patch).await.with_context(|| format!("to edit {field}"))?;
        repaired(stage, field, &whole).await?;
    }
    for path in ["/webhooks/0", "/webhooks", "/metadata/labels"] {
        let patch = json!([{"op": "remove", "path": path}]).to_string();
        let patch = ["patch", "validatingwebhookconfiguration", NAME, "--type=json", "-p", &patch];
        stage.cluster.kubectl(&patch).await.with_context(|| format!("to remove {path}"))?;
        repaired(stage, path, &whole).await?;
    }
    let configurations = kube::Api::<
        k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration,
    >::all(stage.client().await?);
    for round in 0..DELETIONS {
        // As soon as it is back, which is before whoever repairs it has seen that it is.
        eventually("it to be there to be deleted", PATIENCE, async || {
            let deleted = configurations.delete(NAME, &kube::api::DeleteParams::default()).await;
            deleted.map(drop).map_err(|error| error.to_string())
        })
        .await
        .with_context(|| format!("round {round}"))?;
    }
    repaired(stage, "the last deletion", &whole).await?;
    stage.webhook_in_force().await
}

/// What is registered, once it stays as it is between two looks.
async fn settled(stage: &Stage, expected: usize) -> anyhow::Result<Value> {
    let mut before = Value::Null;
    eventually("the registration to settle", PATIENCE, async || {
        let now = webhooks(stage).await.map_err(|error| error.to_string())?;
        let count = now[0].as_array().map_or(0, Vec::len);
        if now == before && count == expected {
            return Ok(now);
        }
        before = now.clone();
        Err(now.to_string())
    })
    .await
}

/// No request of a busy cluster is missed while the policy goes from one webhook to the other.
async fn flips(stage: &Arc<Stage>) -> anyhow::Result<()> {
    let traffic = Traffic::start(stage, "flip");
    for flip in 0..FLIPS {
        let (policy, word) = if flip % 2 == 0 { ("Fail", "fail.") } else { ("Ignore", "ignore.") };
        let patch = format!(r#"{{"spec": {{"failurePolicy": "{policy}"}}}}"#);
        let patch = ["patch", "vpol", "require-team", "--type=merge", "-p", &patch];
        stage.cluster.kubectl(&patch).await?;
        eventually("the other webhook to be registered", PATIENCE, async || {
            let found = webhooks(stage).await.map_err(|error| error.to_string())?;
            let name = found[0][0]["name"].as_str().unwrap_or_default().to_owned();
            if name.starts_with(word) { Ok(()) } else { Err(name) }
        })
        .await?;
    }
    let created = traffic.stop().await?;
    ensure!(created.denied > FLIPS && created.admitted > FLIPS, "{created:?}");
    println!("{created:?} over {FLIPS} moves");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_makes_a_policy_miss_a_request() -> anyhow::Result<()> {
    let stage = Arc::new(Stage::set().await?);
    let _replicas = Replicas::start(&stage, 2).await?;
    edits(&stage).await?;
    conditions(&stage).await?;
    conditions_of_some(&stage).await?;
    flips(&stage).await?;
    versions(&stage).await
}
