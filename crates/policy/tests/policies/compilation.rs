//! What a policy is refused for, and what it is told.

use std::time::Duration;

use pharos_api::policy::{FailurePolicy, ValidationAction};
use pharos_policy::{Actions, Lookups, compile_validating_policy};
use serde_json::{Value, json};

use crate::support::{compiled, policy};

/// The path and the reason of every problem.
fn problems(spec: Value) -> Vec<(String, &'static str)> {
    let errors = compile_validating_policy(&policy("policy", spec), &Lookups::Refused)
        .expect_err("the policy has problems");
    errors.iter().map(|error| (error.path().to_owned(), error.reason())).collect()
}

#[test]
fn what_this_version_does_not_do_is_refused_by_field() {
    for (spec, path) in [
        (json!({"evaluation": {"mode": "JSON"}}), "spec.evaluation.mode"),
        (
            json!({"autogen": {"podControllers": {"controllers": ["deployments", "jobsets"]}}}),
            "spec.autogen.podControllers.controllers",
        ),
        (
            json!({"autogen": {"validatingAdmissionPolicy": {"enabled": true}}}),
            "spec.autogen.validatingAdmissionPolicy.enabled",
        ),
        (json!({"validations": [{"expression": "params.x"}]}), "spec.validations[0].expression"),
    ] {
        assert_eq!(problems(spec), [(path.to_owned(), "Unsupported")]);
    }
}

#[test]
fn what_asks_for_nothing_more_is_accepted() {
    for spec in [
        json!({"evaluation": {"mode": "Kubernetes", "background": {"enabled": true}}}),
        json!({"autogen": {"podControllers": {"controllers": []}}}),
        json!({"autogen": {"podControllers": {"controllers": ["deployments", "cronjobs"]}}}),
        json!({"autogen": {"validatingAdmissionPolicy": {"enabled": false}}}),
        json!({"validations": [], "auditAnnotations": [{"key": "k", "valueExpression": "'v'"}]}),
        json!({"matchConstraints": {"matchPolicy": "Exact", "resourceRules": [{
            "apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"],
        }]}}),
    ] {
        compiled("policy", spec);
    }
}

#[test]
fn a_field_that_means_nothing_is_refused() {
    let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["pods"]});
    for (spec, path) in [
        (json!({"matchConstraints": null}), "spec.matchConstraints.resourceRules"),
        (
            json!({"matchConstraints": {"resourceRules": [{
            "apiGroups": [""], "apiVersions": [], "operations": ["*"], "resources": ["pods"]}]}}),
            "spec.matchConstraints.resourceRules[0].apiVersions",
        ),
        (
            json!({"matchConstraints": {"resourceRules": [rule], "excludeResourceRules": [rule, {
            "apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"]}]}}),
            "spec.matchConstraints.excludeResourceRules[1].resources",
        ),
        (
            json!({"matchConstraints": {"resourceRules": [rule], "objectSelector": {
            "matchExpressions": [{"key": "a", "operator": "Near"}]}}}),
            "spec.matchConstraints.objectSelector.matchExpressions[0]",
        ),
        (
            json!({"matchConstraints": {"resourceRules": [rule], "namespaceSelector": {
            "matchExpressions": [{"key": "a", "operator": "In", "values": []}]}}}),
            "spec.matchConstraints.namespaceSelector.matchExpressions[0]",
        ),
        (json!({"validations": []}), "spec.validations"),
        (
            json!({"validations": [{"expression": "true", "reason": "Teapot"}]}),
            "spec.validations[0].reason",
        ),
        (json!({"variables": [{"name": "a-b", "expression": "1"}]}), "spec.variables[0].name"),
        (
            json!({"variables": [{"name": "a", "expression": "1"}, {"name": "a", "expression": "2"}]}),
            "spec.variables[1].name",
        ),
        (
            json!({"webhookConfiguration": {"timeoutSeconds": 0}}),
            "spec.webhookConfiguration.timeoutSeconds",
        ),
        (
            json!({"auditAnnotations": [{"key": "", "valueExpression": "'v'"}]}),
            "spec.auditAnnotations[0].key",
        ),
        (
            json!({"auditAnnotations": [
                {"key": "a", "valueExpression": "'v'"}, {"key": "a", "valueExpression": "'w'"}]}),
            "spec.auditAnnotations[1].key",
        ),
    ] {
        assert_eq!(problems(spec), [(path.to_owned(), "Invalid")]);
    }
    let errors = compile_validating_policy(&policy("", json!({})), &Lookups::Refused)
        .expect_err("it has no name");
    assert_eq!(errors.to_string(), "metadata.name: a policy must have a name");
}

#[test]
fn rules_that_name_more_than_an_index_should_hold_are_refused() {
    let names = |prefix: &str, count| {
        (0..count).map(|index| format!("{prefix}{index}")).collect::<Vec<_>>()
    };
    let naming = |resources| {
        json!({"matchConstraints": {"resourceRules": [{
            "apiGroups": names("g", 64), "apiVersions": ["v1"], "operations": ["*"],
            "resources": names("r", resources),
        }]}})
    };
    compiled("many", naming(64));
    let path = "spec.matchConstraints.resourceRules".to_owned();
    assert_eq!(problems(naming(65)), [(path, "TooComplex")]);
}

#[test]
fn every_problem_is_found_at_once_and_in_its_place() {
    let found = problems(json!({
        "matchConditions": [{"name": "c", "expression": "variables.a"}],
        "variables": [
            {"name": "a", "expression": "1 +"},
            {"name": "b", "expression": "variables.a + variables.c"},
        ],
        "validations": [
            {"expression": "variables.a == variables.b"},
            {"expression": "object.frob()", "messageExpression": "foo"},
        ],
        "auditAnnotations": [{"key": "k", "valueExpression": "bar"}],
    }));
    let expected = [
        ("spec.matchConditions[0].expression", "UnknownVariable"),
        ("spec.variables[0].expression", "CompileError"),
        ("spec.variables[1].expression", "UnknownVariable"),
        ("spec.validations[1].expression", "UnknownFunction"),
        ("spec.validations[1].messageExpression", "UnknownVariable"),
        ("spec.auditAnnotations[0].valueExpression", "UnknownVariable"),
    ];
    assert_eq!(found, expected.map(|(path, reason)| (path.to_owned(), reason)));
}

#[test]
fn a_problem_says_which_expression_where_in_it_and_why() {
    let source = "object.x == 1 &&\n  foo";
    let spec = json!({"validations": [{"expression": source}]});
    let errors = compile_validating_policy(&policy("policy", spec), &Lookups::Refused)
        .expect_err("foo does not exist");
    assert_eq!(errors.reason(), "UnknownVariable");
    assert_eq!(
        errors.to_string(),
        "spec.validations[0].expression at 2:3: there is no variable foo, but \
         exceptions, namespaceObject, object, oldObject, request and variables"
    );
    let error = errors.iter().next().expect("there is one");
    assert_eq!(error.source_expression(), Some(source));
}

#[test]
fn what_is_not_said_has_a_default() {
    let plain = compiled("plain", json!({}));
    assert_eq!(plain.actions(), Actions::from_iter([ValidationAction::Deny]));
    assert_eq!(plain.failure_policy(), FailurePolicy::Fail);
    assert_eq!(plain.webhook_timeout(), None);
    assert!(!plain.needs_namespace());
    let full = compiled(
        "full",
        json!({
            "validationActions": ["Audit", "Warn"],
            "failurePolicy": "Ignore",
            "webhookConfiguration": {"timeoutSeconds": 5},
            "validations": [{"expression": "true", "messageExpression": "namespaceObject.metadata.name"}],
        }),
    );
    assert_eq!(
        full.actions(),
        Actions::from_iter([ValidationAction::Audit, ValidationAction::Warn])
    );
    assert_eq!(full.failure_policy(), FailurePolicy::Ignore);
    assert_eq!(full.webhook_timeout(), Some(Duration::from_secs(5)));
    assert!(full.needs_namespace());
}
