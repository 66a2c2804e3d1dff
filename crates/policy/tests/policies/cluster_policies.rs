//! The suites of ClusterPolicies in CEL, as far as they need no cluster and no user.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pharos_api::policy::cluster_policy::ClusterPolicy;
use pharos_policy::{
    CompiledPolicy, Json, Origin, PolicySet, Request, RuleResult, SystemClock,
    compile_cluster_policy, evaluate,
};
use serde_json::{Value, json};

/// What came out of one object: by the name of the rule.
type Verdicts = BTreeMap<String, &'static str>;

fn suites() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/cluster-policy-cel")
}

fn tests(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is readable") {
        let path = entry.expect("the entry is readable").path();
        if path.is_dir() {
            tests(&path, found);
        } else if path.ends_with("kyverno-test.yaml") {
            found.push(path);
        }
    }
}

fn documents(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("the file is readable");
    serde_saphyr::from_multiple(&text).expect("the file is YAML")
}

/// The request that creates an object, as somebody without a name.
fn creation(object: &Value) -> Value {
    let api_version = object["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let kind = object["kind"].as_str().unwrap_or_default();
    let mut object = object.clone();
    let cluster_wide = ["Namespace", "StorageClass", "ClusterRole", "ClusterRoleBinding"];
    if !cluster_wide.contains(&kind) && object["metadata"]["namespace"].is_null() {
        object["metadata"]["namespace"] = json!("default");
    }
    let resource = kind.to_lowercase() + "s";
    json!({
        "uid": "u", "operation": "CREATE",
        "kind": {"group": group, "version": version, "kind": kind},
        "resource": {"group": group, "version": version, "resource": resource},
        "name": object["metadata"]["name"], "namespace": object["metadata"]["namespace"],
        "object": object,
    })
}

fn verdicts(set: &PolicySet, object: &Value) -> Verdicts {
    let raw = creation(object);
    let namespace = json!({"metadata": {"name": raw["namespace"]}});
    let raw = Json::from(raw);
    let mut request = Request::parse(&raw).expect("the request is well-formed");
    let namespace = Json::from(namespace);
    request.namespace_object = request.namespace.map(|_| &namespace);
    let evaluation = evaluate(set, &request, &SystemClock);
    let rules = evaluation.outcomes.iter().flat_map(|outcome| &outcome.rules);
    rules.map(|rule| (rule.rule.name().to_string(), rule.result.as_str())).collect()
}

/// What is said of an object under the name of a rule, or of what was generated from it.
fn of_rule(verdicts: &Verdicts, rule: &str) -> &'static str {
    let names = [rule.to_owned(), format!("autogen-{rule}"), format!("autogen-cronjob-{rule}")];
    names.iter().find_map(|name| verdicts.get(name).copied()).unwrap_or("skip")
}

fn compiled(folder: &Path, suite: &Value) -> Result<Vec<Arc<CompiledPolicy>>, String> {
    let mut compiled = Vec::new();
    for file in suite["policies"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        for document in documents(&folder.join(file)) {
            let policy: ClusterPolicy = serde_json::from_value(document).expect("it decodes");
            compiled.push(Arc::new(compile_cluster_policy(&policy).map_err(|it| it.to_string())?));
        }
    }
    Ok(compiled)
}

#[test]
fn every_suite_says_of_every_object_what_kyverno_says() {
    if !suites().exists() {
        println!("skipped: no suites at {}", suites().display());
        return;
    }
    let mut files = Vec::new();
    tests(&suites(), &mut files);
    let (mut checks, mut wrong) = (0, Vec::new());
    for file in &files {
        let folder = file.parent().expect("a file has a folder");
        let suite = documents(file).remove(0);
        let policies = match compiled(folder, &suite) {
            Ok(policies) => policies,
            Err(error) => {
                wrong.push(format!("{}: {error}", file.display()));
                continue;
            }
        };
        let set = PolicySet::new(Origin::Admission, policies, []);
        let resources = suite["resources"].as_array().into_iter().flatten();
        let objects: Vec<Value> = resources
            .filter_map(Value::as_str)
            .flat_map(|resource| documents(&folder.join(resource)))
            .collect();
        for result in suite["results"].as_array().into_iter().flatten() {
            let rule = result["rule"].as_str().unwrap_or_default();
            for name in result["resources"].as_array().into_iter().flatten() {
                let name = name.as_str().unwrap_or_default();
                let name = name.rsplit('/').next().unwrap_or_default();
                let is_meant = |object: &&Value| {
                    object["metadata"]["name"] == name && object["kind"] == result["kind"]
                };
                let object = objects.iter().find(is_meant);
                let found = object.map_or("missing", |it| of_rule(&verdicts(&set, it), rule));
                checks += 1;
                if result["result"] != found {
                    wrong.push(format!(
                        "{} {rule} {name}: {found}, not {}",
                        file.display(),
                        result["result"]
                    ));
                }
            }
        }
    }
    println!("{} suites, {checks} checks", files.len());
    assert!(wrong.is_empty(), "{} of {checks}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(checks > 500, "only {checks} checks");
}

#[test]
fn where_one_rule_is_asked_for_the_first_that_is_applied_is_the_last() {
    let rule = |name: &str, condition: &str| {
        json!({
            "name": name, "match": {"any": [{"resources": {"kinds": ["ConfigMap"]}}]},
            "celPreconditions": [{"name": "c", "expression": condition}],
            "validate": {"cel": {"expressions": [{"expression": "true"}]}},
        })
    };
    let rules = json!([rule("a", "false"), rule("b", "true"), rule("c", "true")]);
    for (apply, expected) in [("One", &["a", "b"][..]), ("All", &["a", "b", "c"])] {
        let policy: ClusterPolicy = serde_json::from_value(json!({
            "apiVersion": "kyverno.io/v1", "kind": "ClusterPolicy", "metadata": {"name": "p"},
            "spec": {"rules": rules, "applyRules": apply},
        }))
        .expect("it decodes");
        let compiled = compile_cluster_policy(&policy).expect("it compiles");
        let set = PolicySet::new(Origin::Admission, [Arc::new(compiled)], []);
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}});
        let verdicts = verdicts(&set, &object);
        assert!(verdicts.keys().map(String::as_str).eq(expected.iter().copied()), "{verdicts:?}");
        assert_eq!(verdicts["a"], "skip");
    }
}

#[test]
fn a_rule_that_cannot_be_evaluated_has_failed() {
    let policy: ClusterPolicy = serde_json::from_value(json!({
        "apiVersion": "kyverno.io/v1", "kind": "ClusterPolicy", "metadata": {"name": "p"},
        "spec": {"rules": [{
            "name": "r", "match": {"any": [{"resources": {"kinds": ["ConfigMap"]}}]},
            "validate": {"cel": {"expressions": [{"expression": "object.data.a == 'b'"}]}},
        }]},
    }))
    .expect("it decodes");
    let compiled = compile_cluster_policy(&policy).expect("it compiles");
    let set = PolicySet::new(Origin::Admission, [Arc::new(compiled)], []);
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}});
    let raw = creation(&object);
    let raw = Json::from(raw);
    let request = Request::parse(&raw).expect("the request is well-formed");
    let evaluation = evaluate(&set, &request, &SystemClock);
    let result = &evaluation.outcomes[0].rules[0].result;
    let RuleResult::Fail { message, .. } = result else { panic!("{result:?}") };
    assert!(message.contains("spec.rules[0].validate.cel.expressions[0].expression"), "{message}");
}
