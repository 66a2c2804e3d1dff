//! Policies whose authors mean harm, as documents.

use std::sync::Arc;

use pharos_api::policy::cluster_policy::ClusterPolicy;
use pharos_api::policy::{PolicyException, ValidatingPolicy};
use pharos_policy::{
    CompileErrors, CompiledPolicy, Lookups, Origin, PolicySet, compile_cluster_policy,
    compile_exception, compile_validating_policy,
};
use pharos_testkit::try_on;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::support::{judged, on_a_workers_stack, policy};

/// A policy that uses what a ValidatingPolicy has.
fn validating_policy() -> Value {
    let mut policy = policy("variables.names.all(n, n != '')");
    let spec = json!({
        "variables": [{"name": "names", "expression": "object.spec.containers.map(c, c.name)"}],
        "matchConditions": [{"name": "named", "expression": "object.metadata.name != ''"}],
        "auditAnnotations": [{"key": "k", "valueExpression": "string(size(variables.names))"}],
        "validationActions": ["Deny", "Audit"],
        "failurePolicy": "Ignore",
        "webhookConfiguration": {"timeoutSeconds": 5},
        "evaluation": {"admission": {"enabled": true}, "background": {"enabled": true}},
        "autogen": {"podControllers": {"controllers": ["deployments", "cronjobs"]}},
    });
    for (field, value) in spec.as_object().expect("it is an object") {
        policy["spec"][field] = value.clone();
    }
    policy["spec"]["matchConstraints"]["namespaceSelector"] = json!({
        "matchExpressions": [{"key": "team", "operator": "In", "values": ["a", "b"]}],
    });
    policy["spec"]["validations"][0]["messageExpression"] = json!("'no ' + object.metadata.name");
    policy
}

/// A policy that uses what a ClusterPolicy has.
fn cluster_policy() -> Value {
    json!({
        "apiVersion": "kyverno.io/v1",
        "kind": "ClusterPolicy",
        "metadata": {"name": "hostile"},
        "spec": {"rules": [{
            "name": "rule",
            "match": {"any": [{
                "resources": {
                    "kinds": ["Pod", "apps/v1/Deployment"], "names": ["web-*"],
                    "namespaces": ["shop?"], "selector": {"matchLabels": {"app": "*"}},
                },
                "subjects": [{"kind": "User", "name": "mallory"}],
            }]},
            "exclude": {"all": [{"resources": {"kinds": ["*"], "operations": ["DELETE"]}}]},
            "celPreconditions": [{"name": "c", "expression": "object.metadata.name != ''"}],
            "validate": {
                "failureAction": "Enforce",
                "failureActionOverrides": [{"action": "Audit", "namespaces": ["dev-*"]}],
                "cel": {"expressions": [{"expression": "object.spec.x > 1", "message": "no"}]},
            },
        }]},
    })
}

fn exception() -> Value {
    json!({
        "apiVersion": "policies.kyverno.io/v1",
        "kind": "PolicyException",
        "metadata": {"name": "hostile", "namespace": "shop"},
        "spec": {
            "policyRefs": [{"name": "hostile", "kind": "ValidatingPolicy"}],
            "matchConditions": [{"name": "m", "expression": "object.metadata.name == 'web'"}],
            "images": ["*/web:*"], "allowedValues": ["a"], "reportResult": "pass",
        },
    })
}

/// What stands where something else is expected.
fn hostile() -> impl Strategy<Value = Value> {
    let scalars = prop::sample::select(vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(u64::MAX),
        json!(1e308),
        json!(""),
        json!("*"),
        json!("\u{0}"),
        json!("../.."),
        json!("(((("),
        json!("{{ request.object }}"),
        json!("a/b/c/d"),
        json!("*".repeat(5000)),
        json!("object.".repeat(4000)),
        json!({}),
        json!([]),
        json!([null]),
        json!({"": {"": []}}),
        json!([[[[]]]]),
        json!({"expression": "x"}),
        json!("Deny"),
        json!("In"),
    ]);
    prop_oneof![
        4 => scalars,
        1 => any::<String>().prop_map(Value::from),
        1 => (1_usize..2000).prop_map(|count| json!(vec!["*"; count])),
    ]
}

/// Puts a value somewhere into a document.
fn spoil(document: &mut Value, place: Index, by: Value) {
    fn each(value: &mut Value, pointers: &mut Vec<String>, at: &str) {
        pointers.push(at.to_owned());
        match value {
            Value::Array(elements) => {
                for (index, element) in elements.iter_mut().enumerate() {
                    each(element, pointers, &format!("{at}/{index}"));
                }
            }
            Value::Object(fields) => {
                for (name, field) in fields {
                    each(field, pointers, &format!("{at}/{name}"));
                }
            }
            _ => {}
        }
    }
    let mut pointers = Vec::new();
    each(&mut document["spec"], &mut pointers, "/spec");
    let pointer = place.get(&pointers);
    if let Some(value) = document.pointer_mut(pointer) {
        *value = by;
    }
}

/// Whatever became of the document, it is told in a few words, or it can be evaluated.
fn judge<P: DeserializeOwned>(
    document: Value,
    compile: impl Fn(&P) -> Result<CompiledPolicy, CompileErrors>,
) {
    // An API server would not store what does not decode.
    let Ok(policy) = serde_json::from_value::<P>(document) else { return };
    match compile(&policy) {
        Ok(policy) => {
            let set = PolicySet::new(Origin::Admission, [Arc::new(policy)], []);
            judged(
                &set,
                &json!({"metadata": {"name": "web"}, "spec": {"containers": [{"name": "a"}]}}),
            );
        }
        Err(errors) => {
            assert!(errors.iter().next().is_some());
            for error in errors.iter() {
                assert!(!error.path().is_empty() && !error.to_string().is_empty());
            }
        }
    }
}

#[test]
fn a_policy_that_is_spoilt_anywhere_is_refused_or_evaluated() {
    let spoils = vec((any::<Index>(), hostile()), 1..4);
    on_a_workers_stack(|| {
        try_on(600, &spoils, |spoils| {
            let mut documents = [validating_policy(), cluster_policy(), exception()];
            for document in &mut documents {
                for (place, by) in &spoils {
                    spoil(document, *place, by.clone());
                }
            }
            let [validating, cluster, exception] = documents;
            judge::<ValidatingPolicy>(validating, |it| {
                compile_validating_policy(it, &Lookups::Refused)
            });
            judge::<ClusterPolicy>(cluster, compile_cluster_policy);
            if let Ok(exception) = serde_json::from_value::<PolicyException>(exception) {
                drop(compile_exception(&exception));
            }
        });
    });
}

#[test]
fn the_documents_that_are_spoilt_are_right() {
    judge::<ValidatingPolicy>(validating_policy(), |policy| {
        let compiled = compile_validating_policy(policy, &Lookups::Refused);
        assert!(compiled.is_ok(), "{compiled:?}");
        compiled
    });
    judge::<ClusterPolicy>(cluster_policy(), |policy| {
        let compiled = compile_cluster_policy(policy);
        assert!(compiled.is_ok(), "{compiled:?}");
        compiled
    });
}

#[test]
fn text_that_is_no_policy_is_refused() {
    let depth = 10_000;
    let nested = |open: &str, close: &str| format!("{}{}", open.repeat(depth), close.repeat(depth));
    on_a_workers_stack(|| {
        for (text, why) in [
            (nested("[", "]"), "invalid type: sequence"),
            (format!("{{\"spec\": {{\"unknown\": {}}}}}", nested("[", "]")), "missing field"),
            (nested("{\"spec\":", "}"), ""),
            (r#"{"spec": {}, "spec": {}}"#.to_owned(), "duplicate field `spec`"),
            ("\u{feff}{}".to_owned(), ""),
            (String::new(), "EOF"),
        ] {
            let refused = serde_json::from_str::<ValidatingPolicy>(&text);
            let refused = refused.map(drop).expect_err("it is no policy").to_string();
            assert!(refused.contains(why), "{refused}");
        }
        for text in [nested("- ", ""), nested("[", "]"), "a: &a [*a]".to_owned(), "%".to_owned()] {
            assert!(serde_saphyr::from_str::<ValidatingPolicy>(&text).is_err());
        }
        try_on(500, &vec(any::<u8>(), 0..200), |bytes| {
            drop(serde_json::from_slice::<ValidatingPolicy>(&bytes));
            drop(serde_saphyr::from_slice::<ValidatingPolicy>(&bytes));
        });
    });
}
