//! Background scans beside the command line, which is asked about the same objects.
//!
//! Enter at [`Comparison::of`]. What `pharos apply` says about what the API server holds is compared with
//! its reports result by result; both run the engine of `pharos test`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, ensure};
use kube::api::{ApiResource, DynamicObject, ListParams, TypeMeta};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use pharos_testkit::{Builder, Kubectl, Pharos, eventually};
use serde_json::{Value, json};

use crate::stage::{PATIENCE, Stage};

/// The kinds of policies that scans evaluate.
const POLICIES: [(&str, &str); 4] = [
    ("policies.kyverno.io/v1", "ValidatingPolicy"),
    ("policies.kyverno.io/v1", "NamespacedValidatingPolicy"),
    ("kyverno.io/v1", "ClusterPolicy"),
    ("kyverno.io/v1", "Policy"),
];
const EXCEPTIONS: [(&str, &str); 1] = [("policies.kyverno.io/v1", "PolicyException")];
const REPORTS: [(&str, &str); 2] = [
    ("wgpolicyk8s.io/v1alpha2", "PolicyReport"),
    ("wgpolicyk8s.io/v1alpha2", "ClusterPolicyReport"),
];

/// One result: policy, rule, resource, outcome, and what is said of one that is bad.
type Said = BTreeSet<[String; 5]>;

/// The reports of a cluster beside what the command line says.
pub struct Comparison {
    client: Client,
    /// What policies are about.
    objects: Vec<ApiResource>,
    applied: Option<Applied>,
}

/// What the command line said about policies, objects and exceptions as they were.
struct Applied {
    documents: [String; 3],
    said: Said,
}

/// A kind of objects, as in `resource("apps/v1", "Deployment")`.
#[must_use]
pub fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

/// A replica that scans and does nothing else.
pub fn scanner(cluster: &impl AsRef<Kubectl>, name: &str) -> Builder {
    Pharos::builder(cluster)
        .name(name)
        .arguments(&["--components=background-scan"])
        .environment("POD_NAME", name)
}

/// What `pharos scan status` says.
pub fn status(stage: &Stage) -> anyhow::Result<Value> {
    let mut command = Command::new(Pharos::binary()?);
    command.args(["scan", "status", "-o", "json", "--kubeconfig"]).arg(stage.cluster.kubeconfig());
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    serde_json::from_slice(&output.stdout).context(said)
}

/// Waits until a scanner knows that so many share the work.
pub async fn shared(pharos: &Pharos, replicas: usize, within: Duration) -> anyhow::Result<()> {
    eventually(&format!("{replicas} replicas to share the work"), within, async || {
        let logs = pharos.logs().map_err(|error| error.to_string())?;
        let last = logs.lines().rfind(|line| line.contains("these share the work"));
        let last = last.ok_or("nobody does")?;
        let living = last.matches(',').count() + 1;
        if living == replicas { Ok(()) } else { Err(last.to_owned()) }
    })
    .await
}

// === impl Comparison ===

impl Comparison {
    /// Of objects of these kinds.
    pub async fn of(stage: &Stage, objects: &[(&str, &str)]) -> anyhow::Result<Self> {
        let objects = objects.iter().map(|(version, kind)| resource(version, kind)).collect();
        Ok(Self { client: stage.client().await?, objects, applied: None })
    }

    /// Waits until both say the same, and something; how many results that are.
    pub async fn converges(&mut self, after: &str) -> anyhow::Result<usize> {
        self.converges_within(after, PATIENCE).await
    }

    /// The same, for what takes longer.
    pub async fn converges_within(
        &mut self,
        after: &str,
        within: Duration,
    ) -> anyhow::Result<usize> {
        let what = format!("reports to say what the command line says, {after}");
        eventually(&what, within, async || {
            let expected = self.applied().await.map_err(|error| format!("{error:#}"))?;
            let said = self.reported().await.map_err(|error| format!("{error:#}"))?;
            let missing: Vec<_> = expected.difference(&said).collect();
            let surplus: Vec<_> = said.difference(&expected).collect();
            match missing.is_empty() && surplus.is_empty() && !said.is_empty() {
                true => Ok(said.len()),
                false => Err(format!("not told: {missing:?}; told wrongly: {surplus:?}")),
            }
        })
        .await
    }

    /// All reports.
    pub async fn reports(&self) -> anyhow::Result<Vec<Value>> {
        self.list(REPORTS.iter().map(|(version, kind)| resource(version, kind))).await
    }

    /// Uids, names and versions of all reports: another version was written since.
    pub async fn versions(&self) -> anyhow::Result<BTreeSet<[String; 3]>> {
        let version = |report: &Value| {
            let metadata = &report["metadata"];
            ["uid", "name", "resourceVersion"].map(|field| text(&metadata[field]))
        };
        Ok(self.reports().await?.iter().map(version).collect())
    }

    /// What the API server holds of these kinds; nothing of those that it does not know.
    async fn list(
        &self,
        resources: impl IntoIterator<Item = ApiResource>,
    ) -> anyhow::Result<Vec<Value>> {
        let mut all = Vec::new();
        for resource in resources {
            let api = Api::<DynamicObject>::all_with(self.client.clone(), &resource);
            let list = match api.list(&ListParams::default()).await {
                Err(kube::Error::Api(status)) if status.code == 404 => continue,
                list => list?,
            };
            // What a list holds does not say itself what it is.
            let types =
                TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() };
            for object in list {
                all.push(serde_json::to_value(DynamicObject {
                    types: Some(types.clone()),
                    ..object
                })?);
            }
        }
        Ok(all)
    }

    /// What the command line says about what the API server holds; asked again only if that changed.
    async fn applied(&mut self) -> anyhow::Result<Said> {
        let kinds = |kinds: &[(&str, &str)]| -> Vec<ApiResource> {
            kinds.iter().map(|(version, kind)| resource(version, kind)).collect()
        };
        let in_background = |policy: &Value| {
            policy.pointer("/spec/evaluation/background/enabled") != Some(&json!(false))
                && policy.pointer("/spec/background") != Some(&json!(false))
                && policy.pointer("/metadata/labels/reports.kyverno.io~1disabled").is_none()
        };
        let mut policies = self.list(kinds(&POLICIES)).await?;
        policies.retain(in_background);
        let objects = self.list(self.objects.clone()).await?;
        let exceptions = self.list(kinds(&EXCEPTIONS)).await?;
        let documents = [policies, objects, exceptions].map(|objects| {
            let documents: Vec<_> = objects.iter().map(ToString::to_string).collect();
            documents.join("\n---\n")
        });
        match &self.applied {
            Some(applied) if applied.documents == documents => Ok(applied.said.clone()),
            _ => {
                let said = apply(&documents)?;
                self.applied = Some(Applied { documents, said: said.clone() });
                Ok(said)
            }
        }
    }

    /// What reports say about objects of these kinds.
    async fn reported(&self) -> anyhow::Result<Said> {
        let mut said = Said::new();
        for report in self.reports().await? {
            let scope = &report["scope"];
            let is_of = |kind: &ApiResource| {
                scope["kind"] == *kind.kind && scope["apiVersion"] == *kind.api_version
            };
            if !self.objects.iter().any(is_of) {
                continue;
            }
            let owner = &report["metadata"]["ownerReferences"][0];
            ensure!(report["metadata"]["name"] == scope["uid"], "{report}");
            ensure!(owner["uid"] == scope["uid"] && owner["name"] == scope["name"], "{report}");
            let mut counted = BTreeMap::<String, u64>::new();
            for result in report["results"].as_array().context("a report without results")? {
                *counted.entry(text(&result["result"])).or_default() += 1;
                said.insert([
                    text(&result["policy"]),
                    text(&result["rule"]).replace("exception", ""),
                    named(scope),
                    text(&result["result"]),
                    complaint(result),
                ]);
            }
            for (outcome, count) in counted {
                ensure!(report["summary"][&outcome] == count, "{outcome} in {report}");
            }
        }
        Ok(said)
    }
}

/// What the command line says about objects by policies with exceptions.
fn apply(documents: &[String; 3]) -> anyhow::Result<Said> {
    let dir = tempfile::tempdir()?;
    let mut command = Command::new(Pharos::binary()?);
    command.args(["apply", "-o", "json"]);
    for ((flag, name), text) in
        [(None, "policies"), (Some("--resource"), "objects"), (Some("--exception"), "exceptions")]
            .into_iter()
            .zip(documents)
    {
        let path = dir.path().join(format!("{name}.yaml"));
        std::fs::write(&path, text)?;
        command.args(flag).arg(path);
    }
    let output = command.output()?;
    let said: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    ensure!(said["problems"] == json!([]), "{}", said["problems"]);
    let results = said["results"].as_array().context("no results")?;
    // That a policy without rules is not about an object after all is not reported.
    let is_told =
        |it: &&Value| has_rules(&it["policy"]) || it["message"] != "a match condition is false";
    let said = results.iter().filter(is_told).map(|it| {
        let policy = &it["policy"];
        let namespace = text(&policy["namespace"]);
        let name = text(&policy["name"]);
        [
            if namespace.is_empty() { name } else { format!("{namespace}/{name}") },
            if has_rules(policy) { text(&it["rule"]) } else { String::new() },
            named(&it["resource"]),
            text(&it["result"]),
            complaint(it),
        ]
    });
    Ok(said.collect())
}

fn has_rules(policy: &Value) -> bool {
    policy["kind"] == "ClusterPolicy" || policy["kind"] == "Policy"
}

/// What a result says that is no pass and no skip.
fn complaint(result: &Value) -> String {
    let is_bad = ["fail", "warn", "error"].iter().any(|bad| result["result"] == *bad);
    if is_bad { text(&result["message"]) } else { String::new() }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn named(object: &Value) -> String {
    let [kind, namespace, name] = ["kind", "namespace", "name"].map(|field| text(&object[field]));
    format!("{kind} {namespace}/{name}")
}
