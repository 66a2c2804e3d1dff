//! The admission policies of the chart, asked as those whom they are for.

use std::time::Duration;

use anyhow::{Context, ensure};
use pharos_testkit::{ControlPlane, Helm, Kubectl, eventually};
use serde_json::{Value, json};

use super::folder;

const PATIENCE: Duration = Duration::from_secs(60);
const ENGINE: &str = "pharos";
/// What somebody may be given without being given Secrets.
const WRITER: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: writer, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: writer}
rules:
- {apiGroups: [telemetry.pharos.dev], resources: [telemetryconfigs, telemetryconfigs/status], verbs: ['*']}
- {apiGroups: [apps], resources: [controllerrevisions], verbs: ['*']}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: writer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: writer}
subjects: [{kind: ServiceAccount, name: writer, namespace: default}]
";

/// The chart in `pharos`, and somebody who may write TelemetryConfigs anywhere.
struct Scene {
    cluster: ControlPlane,
    writer: Kubectl,
    _dir: tempfile::TempDir,
}

// === impl Scene ===

impl Scene {
    async fn set() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let cluster = ControlPlane::start(&dir.path().join("cluster")).await?;
        Helm::ensure().await?.upgrade(&cluster, "first", &folder(), ENGINE, "").await?;
        cluster.apply(WRITER).await?;
        let token = cluster.kubectl(&["create", "token", "writer", "-n", "default"]).await?;
        let admin: &Kubectl = cluster.as_ref();
        let writer = admin.with_token("writer", token.trim())?;
        let scene = Self { cluster, writer, _dir: dir };
        eventually("the policies to be in force", PATIENCE, async || {
            let said = scene.says("apply", &config(ENGINE, &[("probe", "https")])).await;
            match said.map_err(|error| error.to_string())? {
                said if said.contains("you may not get Secret \"probe\"") => Ok(()),
                said => Err(said),
            }
        })
        .await?;
        Ok(scene)
    }

    /// What kubectl tells the writer who tries to apply this; nothing is stored.
    async fn says(&self, verb: &str, object: &Value) -> anyhow::Result<String> {
        let arguments = [verb, "-f", "-", "--dry-run=server"];
        let output = self.writer.output(&arguments, &object.to_string()).await?;
        Ok(format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ))
    }

    /// Gives the writer `get` of these Secrets.
    async fn grant(&self, role: &str, names: &[String]) -> anyhow::Result<()> {
        let names = names.iter().map(|name| format!("--resource-name={name}"));
        let names: Vec<_> = names.collect();
        let mut create =
            vec!["create", "role", role, "-n", ENGINE, "--verb=get", "--resource=secrets"];
        create.extend(names.iter().map(String::as_str));
        self.cluster.kubectl(&create).await?;
        let (of, to) = (format!("--role={role}"), "--serviceaccount=default:writer");
        self.cluster.kubectl(&["create", "rolebinding", role, "-n", ENGINE, &of, to]).await?;
        Ok(())
    }

    /// Waits until the writer is told this about the object.
    async fn is_told(&self, object: &Value, part: &str) -> anyhow::Result<String> {
        eventually(&format!("the writer to be told {part:?}"), PATIENCE, async || {
            let said = self.says("apply", object).await.map_err(|error| error.to_string())?;
            if said.contains(part) { Ok(said) } else { Err(said) }
        })
        .await
    }
}

/// A TelemetryConfig with a header of each of these Secrets, sent by this scheme; 32 an exporter.
fn config(namespace: &str, headers: &[(&str, &str)]) -> Value {
    let exporter = |(index, headers): (usize, &[(&str, &str)])| {
        let header = |(index, (secret, _)): (usize, &(&str, &str))| json!({"name": format!("h{index}"), "valueFrom": {"secretKeyRef": {"name": secret, "key": "k"}}});
        let scheme = headers[0].1;
        json!({"name": format!("e{index}"), "type": "OTLP", "otlp": {
            "protocol": "GRPC", "endpoint": format!("{scheme}://a.example:4317"),
            "headers": headers.iter().enumerate().map(header).collect::<Vec<_>>(),
        }})
    };
    let exporters: Vec<_> = headers.chunks(32).enumerate().map(exporter).collect();
    json!({
        "apiVersion": "telemetry.pharos.dev/v1alpha1", "kind": "TelemetryConfig",
        "metadata": {"name": "of-writer", "namespace": namespace},
        "spec": {"exporters": exporters, "metrics": {"exporters": ["e0"]}},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_names_only_secrets_that_they_may_get() -> anyhow::Result<()> {
    let scene = Scene::set().await?;
    let names: Vec<_> = (0..17).map(|index| format!("secret-{index}")).collect();
    let headers: Vec<_> = names.iter().map(|name| (name.as_str(), "https")).collect();
    scene.grant("some", &names[..16]).await?;
    scene.is_told(&config(ENGINE, &headers[..16]), "created").await?;
    // Each is asked for, first and last, and in every place that names one.
    scene.is_told(&config(ENGINE, &headers[1..]), "may not get Secret \"secret-16\"").await?;
    let other = json!({"name": "other"});
    let otlp = json!({"protocol": "GRPC", "endpoint": "https://a.example:4317"});
    for (tls, member) in [
        (json!({"caRef": {"kind": "Secret", "name": "other"}}), "otlp"),
        (json!({"clientCertificateRef": other}), "otlp"),
        (json!({"certificateRef": other}), "prometheus"),
        (
            json!({"certificateRef": {"name": "secret-0"}, "clientCARef": {"kind": "Secret", "name": "other"}}),
            "prometheus",
        ),
    ] {
        let mut object = config(ENGINE, &headers[..1]);
        let r#type = if member == "otlp" { "OTLP" } else { "Prometheus" };
        let mut settings = if member == "otlp" { otlp.clone() } else { json!({}) };
        settings["tls"] = tls;
        let more = json!({"name": "more", "type": r#type, member: settings});
        object["spec"]["exporters"].as_array_mut().context("no exporters")?.push(more);
        scene.is_told(&object, "may not get Secret \"other\"").await?;
    }
    let mut object = config(ENGINE, &headers[..1]);
    object["spec"]["exporters"][0]["otlp"]["tls"] = json!({"caRef": {"name": "other"}});
    scene.is_told(&object, "created").await?;

    // The API server would not do more checks for one request.
    scene.grant("one-more", &names[16..]).await?;
    scene.is_told(&config(ENGINE, &headers), "names more than 16 different Secrets").await?;
    scene.grant("all", &[]).await?;
    let many: Vec<_> = (0..256).map(|index| format!("many-{index}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "https")).collect();
    scene.is_told(&config(ENGINE, &many), "created").await?;
    only_pharos_writes_what_it_falls_back_to(&scene).await
}

/// A ControllerRevision with a spec in it, of this object.
fn revision(name: &str, labels: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": 1,
        "metadata": {"name": name, "namespace": ENGINE, "labels": labels},
        "data": config(ENGINE, &[("theirs", "https")])["spec"],
    })
}

/// Whoever forges the last spec that every replica ran would have Pharos read any Secret, too.
async fn only_pharos_writes_what_it_falls_back_to(scene: &Scene) -> anyhow::Result<()> {
    const REFUSED: &str = "only Pharos itself writes ControllerRevisions";
    const LABEL: &str = "telemetry.pharos.dev/telemetryconfig-uid";
    let label = json!({LABEL: "uid"});
    scene.is_told(&revision("forged", &label), REFUSED).await?;
    let admin: &Kubectl = scene.cluster.as_ref();
    let pharos = ["create", "--as=system:serviceaccount:pharos:first-pharos", "-f", "-"];
    let kept = admin.output(&pharos, &revision("kept", &label).to_string()).await?;
    ensure!(kept.status.success(), "{}", String::from_utf8_lossy(&kept.stderr));
    // As those that belong to a StatefulSet.
    scene.is_told(&revision("other", &json!({"app": "a"})), "created").await?;
    scene.cluster.apply(&revision("other", &json!({"app": "a"})).to_string()).await?;

    for (name, patch) in [
        ("kept", json!({"revision": 2})),
        ("kept", json!({"metadata": {"labels": {LABEL: "another"}}})),
        ("other", json!({"metadata": {"labels": {LABEL: "uid"}}})),
    ] {
        let patch = patch.to_string();
        let told = scene.writer.run(&patch_of(name, &patch)).await.err();
        let told = told.with_context(|| format!("{name} takes {patch}"))?.to_string();
        ensure!(told.contains(REFUSED), "{name}, {patch}: {told}");
    }
    let data = patch_of("kept", r#"{"data": {"exporters": []}}"#);
    let told = scene.writer.run(&data).await.err().context("data can be changed")?.to_string();
    ensure!(told.contains("immutable"), "{told}");
    // As the garbage collector does.
    for (name, patch) in [
        ("kept", r#"{"metadata": {"finalizers": ["example.com/a"]}}"#),
        ("kept", r#"{"metadata": {"finalizers": null}}"#),
        ("other", r#"{"revision": 2}"#),
    ] {
        scene.writer.run(&patch_of(name, patch)).await?;
    }
    Ok(())
}

fn patch_of<'a>(name: &'a str, patch: &'a str) -> [&'a str; 8] {
    ["patch", "controllerrevision", name, "-n", ENGINE, "--type=merge", "-p", patch]
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_changed_spec_is_judged_and_only_where_an_engine_is() -> anyhow::Result<()> {
    let scene = Scene::set().await?;
    let controllers = scene.cluster.start_controller_manager().await?;
    // Somebody else names a Secret; the writer may label the object and write its status.
    let object = config(ENGINE, &[("theirs", "https")]);
    scene.cluster.apply(&object.to_string()).await?;
    let of = ["telcfg", "of-writer", "-n", ENGINE];
    scene.writer.run(&[&["label"][..], &of, &["a=b"]].concat()).await?;
    let status = r#"{"status": {"observedGeneration": 1}}"#;
    let status = ["--subresource=status", "--type=merge", "-p", status];
    scene.writer.run(&[&["patch"][..], &of, &status].concat()).await?;
    let period = r#"{"spec": {"metrics": {"exportPeriodSeconds": 5}}}"#;
    let period = [&["patch"][..], &of, &["--type=merge", "-p", period]].concat();
    let refused = scene.writer.run(&period).await.err().context("a new spec is not judged")?;
    ensure!(refused.to_string().contains("may not get Secret \"theirs\""), "{refused}");

    // In plaintext.
    scene.grant("all", &[]).await?;
    let told = scene.is_told(&config(ENGINE, &[("token", "http")]), "Warning: ").await?;
    ensure!(told.contains("in plaintext") && told.contains("of e0"), "{told}");
    ensure!(told.contains("of-writer configured"), "a warning is no refusal: {told}");
    let told = scene.is_told(&config(ENGINE, &[("token", "https")]), "configured").await?;
    ensure!(!told.contains("Warning"), "{told}");

    // Elsewhere.
    let mut elsewhere = config("default", &[("token", "https")]);
    let label = "kubectl label namespace default telemetry.pharos.dev/engine=true";
    scene.is_told(&elsewhere, label).await?;
    scene.cluster.kubectl(&label.split(' ').skip(1).collect::<Vec<_>>()).await?;
    scene.is_told(&elsewhere, "created").await?;
    elsewhere["metadata"]["namespace"] = json!("kube-public");
    scene.is_told(&elsewhere, "no engine is known to run in namespace kube-public").await?;

    // The API server's own judgement of all expressions.
    eventually("the expressions to be type checked", PATIENCE, async || {
        let get = ["get", "validatingadmissionpolicies", "-o", "json"];
        let text = scene.cluster.kubectl(&get).await.map_err(|error| error.to_string())?;
        let list: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let policies = list["items"].as_array().cloned().unwrap_or_default();
        let checked = |policy: &&Value| policy["status"]["typeChecking"] == json!({});
        match policies.iter().filter(checked).count() {
            5 => Ok(()),
            _ => Err(policies.iter().map(|it| it["status"].to_string()).collect::<String>()),
        }
    })
    .await?;
    drop(controllers);
    Ok(())
}
