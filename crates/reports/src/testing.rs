//! What tests of this crate share.

use pharos_policy::{CompiledPolicy, Lookups, compile_validating_policy};
use serde_json::{Value, json};

/// A policy that matches the creation of Pods, with what `spec` changes about it.
pub(crate) fn validating(name: &str, spec: Value) -> CompiledPolicy {
    let mut whole = json!({
        "apiVersion": "policies.kyverno.io/v1",
        "kind": "ValidatingPolicy",
        "metadata": {"name": name, "uid": name, "generation": 1},
        "spec": {
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"],
                "resources": ["pods"], "operations": ["CREATE"],
            }]},
            "validations": [{
                "expression": "'app' in object.metadata.labels", "message": "a label app is needed",
            }],
        },
    });
    for (field, value) in spec.as_object().unwrap() {
        whole["spec"][field] = value.clone();
    }
    let policy = serde_json::from_value(whole).unwrap();
    compile_validating_policy(&policy, &Lookups::Refused).unwrap()
}

/// The request that creates this Pod.
pub(crate) fn creation(pod: &Value) -> Value {
    json!({
        "uid": "1", "operation": "CREATE", "name": pod["metadata"]["name"],
        "namespace": pod["metadata"]["namespace"],
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "userInfo": {}, "object": pod, "oldObject": null,
    })
}
