//! Policies as they were written for Kyverno, stored by the real API server under Pharos's
//! definitions: what is read is what was written, and `kubectl get` shows what it showed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Client, ResourceExt};
use pharos_e2e::manifests::repository;
use pharos_e2e::stage::Stage;
use serde_json::{Value, json};

/// Policies with every field, and statuses as Kyverno writes them.
const EVERY_FIELD: &str = include_str!("kyverno_policies/every-field.yaml");

fn yaml_files(folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            yaml_files(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
    Ok(())
}

/// The policies of a file. What has no spec is a test runner's assertion about one.
fn policies(text: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap_or_default();
    let is_policy = |document: &Value| {
        let group = document["apiVersion"].as_str().and_then(|version| version.split_once('/'));
        let group = group.map(|(group, _)| group);
        matches!(group, Some("kyverno.io" | "policies.kyverno.io")) && document["spec"].is_object()
    };
    documents.into_iter().filter(is_policy).collect()
}

/// How the API server is asked for objects like this one.
fn api(
    client: &Client,
    crds: &[CustomResourceDefinition],
    object: &Value,
) -> anyhow::Result<Api<DynamicObject>> {
    let (group, version) =
        object["apiVersion"].as_str().and_then(|it| it.split_once('/')).context("no group")?;
    let kind = object["kind"].as_str().context("no kind")?;
    let crd = crds.iter().find(|crd| crd.spec.group == group && crd.spec.names.kind == kind);
    let crd = crd.with_context(|| format!("there is no definition of {kind}"))?;
    let resource = ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: format!("{group}/{version}"),
        kind: kind.to_owned(),
        plural: crd.spec.names.plural.clone(),
    };
    Ok(if crd.spec.scope == "Namespaced" {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
        Api::namespaced_with(client.clone(), namespace, &resource)
    } else {
        Api::all_with(client.clone(), &resource)
    })
}

/// Writes the policy, reads it, and writes its status where it has one: all of it has to be there.
async fn survives(api: &Api<DynamicObject>, policy: &Value) -> anyhow::Result<()> {
    let mut written: DynamicObject = serde_json::from_value(policy.clone())?;
    written.data.as_object_mut().and_then(|fields| fields.remove("status"));
    let name = written.name_any();
    api.create(&PostParams::default(), &written).await?;
    if let Some(status) = policy.get("status") {
        let patch = Patch::Merge(json!({"status": status}));
        api.patch_status(&name, &PatchParams::default(), &patch).await?;
    }
    let read = serde_json::to_value(api.get(&name).await?)?;
    api.delete(&name, &DeleteParams::default()).await?;
    for field in ["apiVersion", "kind", "spec", "status"] {
        ensure!(read[field] == policy[field], "{field} is {}, not {}", read[field], policy[field]);
    }
    for field in ["labels", "annotations"] {
        let (read, written) = (&read["metadata"][field], &policy["metadata"][field]);
        ensure!(read == written, "{field} are {read}, not {written}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_policy_is_read_as_it_was_written() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    let (client, crds) = (stage.client().await?, pharos_api::crds());
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    let mut documents = policies(EVERY_FIELD);
    let suites = repository().join("../shared/conformance");
    if suites.is_dir() {
        let mut files = Vec::new();
        yaml_files(&suites, &mut files)?;
        for file in files {
            documents.extend(policies(&fs::read_to_string(file)?));
        }
    } else {
        println!("skipped: the shared suites are not beside the project");
    }
    for policy in &documents {
        let name = format!("{} {}", policy["kind"], policy["metadata"]["name"]);
        survives(&api(&client, &crds, policy)?, policy).await.context(name)?;
        *kinds.entry(policy["kind"].to_string()).or_default() += 1;
    }
    println!("{} policies: {kinds:?}", documents.len());
    let kyvernos = crds.iter().filter(|crd| crd.spec.group.ends_with("kyverno.io"));
    let untold = kyvernos.map(|crd| json!(crd.spec.names.kind).to_string());
    let untold: Vec<_> = untold.filter(|kind| !kinds.contains_key(kind)).collect();
    ensure!(untold.is_empty(), "no document is of kind {untold:?}");

    columns(&stage).await
}

async fn columns(stage: &Stage) -> anyhow::Result<()> {
    stage.cluster.apply(EVERY_FIELD).await?;
    for (kind, columns) in [
        ("vpol", &["NAME", "AGE", "READY", "MESSAGE"][..]),
        ("nvpol", &["NAME", "AGE", "READY", "MESSAGE"]),
        ("polex", &["NAME", "AGE", "EXPIRES"]),
        ("mpol", &["NAME", "AGE", "READY"]),
        ("ngpol", &["NAME", "AGE", "READY"]),
        (
            "cpol",
            &[
                "NAME",
                "ADMISSION",
                "BACKGROUND",
                "READY",
                "AGE",
                "FAILURE POLICY",
                "VALIDATE",
                "MUTATE",
                "GENERATE",
                "VERIFY IMAGES",
                "MESSAGE",
            ],
        ),
    ] {
        let output = stage.cluster.kubectl(&["get", kind, "-o", "wide"]).await?;
        let header = output.lines().next().context("a header")?;
        let cells = header.split("   ").map(str::trim).filter(|cell| !cell.is_empty());
        ensure!(cells.eq(columns.iter().copied()), "{kind}: {output}");
    }
    Ok(())
}
