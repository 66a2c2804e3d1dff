//! Policies and requests as their JSON, for the tests of the public functions.

use std::sync::Arc;

use pharos_api::policy::{PolicyException, ValidatingPolicy};
use pharos_policy::{
    CompiledException, CompiledPolicy, Json, Lookups, Origin, PolicySet, Request, RuleResult,
    SystemClock, compile_exception, compile_validating_policy, evaluate,
};
use serde_json::{Value, json};

/// A policy about Pods with the given spec on top.
pub(crate) fn policy(name: &str, spec: Value) -> ValidatingPolicy {
    let mut policy = json!({
        "apiVersion": "policies.kyverno.io/v1",
        "kind": "ValidatingPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["pods"],
            }]},
            "validations": [{"expression": "true"}],
        },
    });
    for (field, value) in spec.as_object().into_iter().flatten() {
        policy["spec"][field] = value.clone();
    }
    serde_json::from_value(policy).expect("the policy decodes")
}

/// The same, compiled.
pub(crate) fn compiled(name: &str, spec: Value) -> Arc<CompiledPolicy> {
    let policy = policy(name, spec);
    Arc::new(compile_validating_policy(&policy, &Lookups::Refused).expect("the policy compiles"))
}

/// An exception from the policy, with the given fields of its spec on top.
pub(crate) fn exception(name: &str, spec: Value) -> Arc<CompiledException> {
    Arc::new(compile_exception(&raw_exception(name, spec)).expect("the exception compiles"))
}

/// The same, not compiled.
pub(crate) fn raw_exception(name: &str, spec: Value) -> PolicyException {
    let mut exception = json!({
        "apiVersion": "policies.kyverno.io/v1",
        "kind": "PolicyException",
        "metadata": {"name": name, "namespace": "exceptions"},
        "spec": {"policyRefs": [{"name": "policy", "kind": "ValidatingPolicy"}]},
    });
    for (field, value) in spec.as_object().into_iter().flatten() {
        exception["spec"][field] = value.clone();
    }
    serde_json::from_value(exception).expect("the exception decodes")
}

/// One policy about Pods, in force.
pub(crate) fn set(spec: Value) -> PolicySet {
    PolicySet::new(Origin::Admission, [compiled("policy", spec)], [])
}

/// The request that creates a Pod, with the given fields on top.
pub(crate) fn request(fields: Value) -> Value {
    let mut request = json!({
        "uid": "3c0bd9ca",
        "operation": "CREATE",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "name": "web",
        "namespace": "default",
        "userInfo": {"username": "alice", "groups": ["dev"]},
        "object": {"metadata": {"name": "web", "labels": {"app": "web"}}},
        "oldObject": null,
    });
    for (field, value) in fields.as_object().into_iter().flatten() {
        request[field] = value.clone();
    }
    request
}

/// What the only policy about the request says, if one is about it.
pub(crate) fn judge(set: &PolicySet, raw: &Value) -> Option<RuleResult> {
    let raw = Json::from(raw.clone());
    let request = Request::parse(&raw).expect("the request is well-formed");
    let evaluation = evaluate(set, &request, &SystemClock);
    assert!(evaluation.outcomes.len() < 2);
    let mut rules = evaluation.outcomes.into_iter().flat_map(|outcome| outcome.rules);
    let rule = rules.next();
    assert!(rules.next().is_none());
    rule.map(|rule| rule.result)
}
