//! Policies as an API server holds them, for tests.
//!
//! # Panics
//! Everything here, on what is no object of its kind.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::api::DynamicObject;
use kube::core::DeserializeGuard;
use pharos_api::policy::ValidatingPolicy;
use pharos_cluster::view::{Observed, Uid};
use serde_json::{Value, json};

use crate::{Kind, Objects};

/// A policy that matches the creation of Pods and fails open, with what `spec` changes about it.
pub fn policy(name: &str, spec: Value) -> ValidatingPolicy {
    let mut whole = json!({
        "apiVersion": "policies.kyverno.io/v1",
        "kind": "ValidatingPolicy",
        "metadata": {"name": name, "uid": name, "generation": 1},
        "spec": {
            "failurePolicy": "Ignore",
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"],
                "resources": ["pods"], "operations": ["CREATE"],
            }]},
            "validations": [{
                "expression": "'app' in object.metadata.labels", "message": "a label app is needed",
            }],
        },
    });
    for (field, value) in spec.as_object().expect("a spec") {
        whole["spec"][field] = value.clone();
    }
    serde_json::from_value(whole).expect("a policy")
}

/// Policies as the API server holds them.
pub fn observed(policies: impl IntoIterator<Item = ValidatingPolicy>) -> BTreeMap<Kind, Objects> {
    let objects =
        policies.into_iter().map(|policy| object(serde_json::to_value(policy).expect("a policy")));
    BTreeMap::from([(Kind::ValidatingPolicy, Arc::new(objects.collect()))])
}

/// An object as the API server holds it.
pub fn object(object: Value) -> (Uid, Observed<DynamicObject>) {
    let decoded: DeserializeGuard<DynamicObject> =
        serde_json::from_value(object).expect("an object");
    let observed = Observed::from(decoded);
    (observed.uid().to_owned(), observed)
}
