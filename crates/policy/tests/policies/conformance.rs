//! Every ValidatingPolicy of the published library either compiles or is refused for a named reason.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pharos_api::policy::ValidatingPolicy;
use pharos_policy::{
    Json, Lookups, Origin, PolicySet, Request, RuleResult, SystemClock, compile_validating_policy,
    evaluate,
};
use serde_json::{Value, json};

/// What the library has and this version has not, by path; anything else must compile.
const REFUSED: &[(&str, &str)] = &[
    ("advanced-restrict-image-registries.yaml", "there is no function resource.Get"),
    ("check-hpa-exists.yaml", "there is no function resource.List"),
    ("check-nvidia-gpu.yaml", "there is no function image.GetMetadata"),
];

fn library() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/validating-policy")
}

fn yaml_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .expect("the folder is readable")
        .map(|entry| entry.expect("the entry is readable").path())
        .collect();
    entries.sort();
    for path in entries {
        // Hidden folders hold a test runner's assertions: parts of policies, not policies.
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() && !hidden {
            yaml_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
}

fn policies() -> Vec<(PathBuf, ValidatingPolicy)> {
    let mut files = Vec::new();
    yaml_files(&library(), &mut files);
    let mut policies = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("the file is readable");
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap_or_default();
        for document in documents {
            if document["kind"] == "ValidatingPolicy" {
                let policy = serde_json::from_value(document).expect("the policy decodes");
                policies.push((file.clone(), policy));
            }
        }
    }
    policies
}

#[test]
fn every_policy_of_the_library_compiles_or_is_refused_by_name() {
    if !library().exists() {
        println!("skipped: no policy library at {}", library().display());
        return;
    }
    let mut refused = BTreeMap::<&str, usize>::new();
    let mut unexpected = Vec::new();
    let mut compiled = 0;
    for (file, policy) in policies() {
        let expected = REFUSED.iter().find(|(path, _)| file.ends_with(path)).map(|(_, why)| *why);
        let outcome = compile_validating_policy(&policy, &Lookups::Refused);
        match &outcome {
            Ok(_) => compiled += 1,
            Err(errors) => {
                *refused.entry(errors.reason()).or_default() += 1;
                println!("{}: {errors}", file.display());
            }
        }
        let found = outcome.as_ref().err().map(ToString::to_string);
        let as_expected = match (&found, expected) {
            (None, None) => true,
            (Some(found), Some(expected)) => found.contains(expected),
            _ => false,
        };
        if !as_expected {
            unexpected.push(format!("{}: {found:?}", file.display()));
        }
    }
    println!("{compiled} compiled, refused: {refused:?}");
    assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
    assert!(compiled > 50, "only {compiled} compiled");
}

/// Fills in what an API server would have before it asks, as far as the library counts on it.
fn add_defaults(object: &mut Value) {
    match object["kind"].as_str().unwrap_or_default() {
        "StorageClass" if object["reclaimPolicy"].is_null() => {
            object["reclaimPolicy"] = json!("Delete");
        }
        "Role" | "ClusterRole" if object["rules"].is_null() => object["rules"] = Value::Null,
        "Pod" | "Deployment" | "CronJob" => {
            let spec = match object["kind"].as_str() {
                Some("Pod") => "/spec/containers",
                Some("CronJob") => "/spec/jobTemplate/spec/template/spec/containers",
                _ => "/spec/template/spec/containers",
            };
            let containers = object.pointer_mut(spec).and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten() {
                let image = container["image"].as_str().unwrap_or_default();
                let latest = image.ends_with(":latest") || !image.contains(':');
                if container["imagePullPolicy"].is_null() {
                    let policy = if latest { "Always" } else { "IfNotPresent" };
                    container["imagePullPolicy"] = json!(policy);
                }
            }
        }
        _ => {}
    }
}

/// The request that creates an object, as an API server would send it.
fn creation(object: &Value) -> Value {
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let kind = object["kind"].as_str().unwrap_or_default();
    let resource = match kind.to_lowercase() {
        kind if kind.ends_with("ss") => format!("{kind}es"),
        kind if kind.ends_with('y') => format!("{}ies", &kind[..kind.len() - 1]),
        kind => format!("{kind}s"),
    };
    let mut object = object.clone();
    add_defaults(&mut object);
    let cluster_wide = ["Namespace", "StorageClass", "ClusterRole", "ClusterRoleBinding"];
    if !cluster_wide.contains(&kind) && object["metadata"]["namespace"].is_null() {
        object["metadata"]["namespace"] = json!("default");
    }
    json!({
        "uid": "u",
        "operation": "CREATE",
        "kind": {"group": group, "version": version, "kind": kind},
        "resource": {"group": group, "version": version, "resource": resource},
        "name": object["metadata"]["name"],
        "namespace": object["metadata"]["namespace"],
        "object": object,
    })
}

#[test]
fn the_library_accepts_its_good_resources_and_rejects_its_bad_ones() {
    if !library().exists() {
        println!("skipped: no policy library at {}", library().display());
        return;
    }
    let (mut judged, mut wrong) = (0, Vec::new());
    for (file, policy) in policies() {
        let Ok(compiled) = compile_validating_policy(&policy, &Lookups::Refused) else {
            continue;
        };
        let set = PolicySet::new(Origin::Admission, [Arc::new(compiled)], []);
        let folder = file.with_file_name(".chainsaw-test");
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for path in entries.map(|entry| entry.expect("the entry is readable").path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !name.contains("good") && !name.contains("bad") {
                continue;
            }
            let text = fs::read_to_string(&path).expect("the file is readable");
            let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap_or_default();
            for object in documents {
                let raw = creation(&object);
                let namespace = json!({"metadata": {"name": raw["namespace"]}});
                let raw = Json::from(raw);
                let mut request = Request::parse(&raw).expect("the request is well-formed");
                let namespace = Json::from(namespace);
                request.namespace_object = request.namespace.map(|_| &namespace);
                let evaluation = evaluate(&set, &request, &SystemClock);
                let Some(outcome) = evaluation.outcomes.first() else {
                    continue;
                };
                judged += 1;
                let as_expected = match outcome.rules[0].result {
                    RuleResult::Pass | RuleResult::Skip { .. } => name.contains("good"),
                    RuleResult::Fail { .. } => name.contains("bad"),
                    RuleResult::Error { .. } => false,
                };
                if !as_expected {
                    let object = &object["metadata"]["name"];
                    wrong.push(format!(
                        "{} {object}: {:?}",
                        path.display(),
                        outcome.rules[0].result
                    ));
                }
            }
        }
    }
    println!("{judged} resources judged");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(judged > 1000, "only {judged} resources judged");
}
