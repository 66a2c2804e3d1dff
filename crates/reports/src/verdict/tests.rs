use std::sync::Arc;

use pharos_api::policy::PolicyException;
use pharos_api::policy::cluster_policy::ClusterPolicy;
use pharos_policy::{
    CompiledPolicy, Json, Origin, PolicySet, Request, SystemClock, UserRoles,
    compile_cluster_policy, compile_exception, evaluate,
};
use serde_json::{Value, json};

use super::*;
use crate::testing::{creation, validating};

const NOW: Timestamp = Timestamp { seconds: 7, nanos: 0 };

fn judged(
    policies: Vec<CompiledPolicy>,
    exceptions: Vec<CompiledException>,
    annotations: &[(&str, &str)],
    labels: Value,
) -> Vec<ReportResult> {
    let of = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let about = About::of(Some(&annotations.iter().map(of).collect()));
    let abouts: Abouts = policies.iter().map(|it| (it.key().clone(), about.clone())).collect();
    let policies = policies.into_iter().map(Arc::new);
    let exceptions = exceptions.into_iter().map(Arc::new);
    let set = PolicySet::new(Origin::BackgroundScan, policies, exceptions);
    let pod = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "web", "namespace": "shop", "labels": labels}});
    let raw = Json::from(creation(&pod));
    let nobody = UserRoles { roles: &[], cluster_roles: &[] };
    let request = Request { user_roles: Some(nobody), ..Request::parse(&raw).unwrap() };
    results(&evaluate(&set, &request, &SystemClock), &abouts, NOW)
}

fn rules(preconditions: &str) -> CompiledPolicy {
    rules_with(preconditions, json!({}))
}

fn rules_with(preconditions: &str, properties: Value) -> CompiledPolicy {
    let policy: ClusterPolicy = serde_json::from_value(json!({
        "apiVersion": "kyverno.io/v1", "kind": "ClusterPolicy", "metadata": {"name": "rules"},
        "spec": {"rules": [{
            "name": "labelled", "match": {"any": [{"resources": {"kinds": ["Pod"]}}]},
            "celPreconditions": [{"name": "c", "expression": preconditions}],
            "reportProperties": properties,
            "validate": {"cel": {"expressions": [
                {"expression": "has(object.metadata.labels.app)", "message": "no label"},
            ]}},
        }]},
    }))
    .unwrap();
    compile_cluster_policy(&policy).unwrap()
}

fn exception(report: &str) -> CompiledException {
    let exception: PolicyException = serde_json::from_value(json!({
        "apiVersion": "policies.kyverno.io/v1", "kind": "PolicyException",
        "metadata": {"name": "legacy", "namespace": "shop"},
        "spec": {"policyRefs": [{"kind": "ValidatingPolicy", "name": "a"}], "reportResult": report},
    }))
    .unwrap();
    compile_exception(&exception).unwrap()
}

#[test]
fn a_validating_policy_is_reported_as_kyverno_does() {
    let annotations = [(CATEGORY, "Labels"), (SEVERITY, "high")];
    let [fail] = &judged(vec![validating("a", json!({}))], vec![], &annotations, json!({}))[..]
    else {
        panic!("one result")
    };
    let properties = [("process", "background scan"), ("validationIndex", "0")];
    let expected = ReportResult {
        source: "KyvernoValidatingPolicy".to_owned(),
        policy: "a".to_owned(),
        category: "Labels".to_owned(),
        severity: Some(Severity::High),
        timestamp: NOW,
        result: Some(Outcome::Fail),
        scored: true,
        message: "a label app is needed".to_owned(),
        properties: properties.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        ..ReportResult::default()
    };
    assert_eq!(*fail, expected);
    let [pass] = &judged(vec![validating("a", json!({}))], vec![], &[], json!({"app": "x"}))[..]
    else {
        panic!("one result")
    };
    assert_eq!((pass.result, &*pass.message), (Some(Outcome::Pass), "success"));
    assert_eq!(pass.properties["process"], "background scan");
}

#[test]
fn a_rule_of_a_cluster_policy_is_reported_by_its_name() {
    let [fail] = &judged(vec![rules("true")], vec![], &[], json!({}))[..] else { panic!("one") };
    assert_eq!((&*fail.source, &*fail.policy, &*fail.rule), ("kyverno", "rules", "labelled"));
    assert_eq!((fail.result, &*fail.message), (Some(Outcome::Fail), "no label"));
    let [pass] = &judged(vec![rules("true")], vec![], &[], json!({"app": "x"}))[..] else {
        panic!("one")
    };
    assert_eq!(pass.message, "Validation rule 'labelled' passed.");
}

#[test]
fn what_a_policy_adds_to_its_results_is_added_and_may_be_their_message() {
    let said = |properties: Value, labels: Value, annotations: &[(&str, &str)]| {
        let policies = vec![rules_with("true", properties)];
        let [result] = &judged(policies, vec![], annotations, labels)[..] else { panic!("one") };
        (result.message.clone(), result.properties.clone())
    };
    let properties = json!({"team": "web", "failMessage": "ask web", "passMessage": ""});
    let (message, told) = said(properties.clone(), json!({}), &[]);
    assert_eq!((&*message, &*told["team"]), ("ask web", "web"));
    assert_eq!(told["process"], "background scan");
    let (message, _) = said(properties.clone(), json!({}), &[(SCORED, "false")]);
    assert_eq!(message, "ask web", "what warns has failed");
    let (message, _) = said(properties, json!({"app": "x"}), &[]);
    assert_eq!(message, "Validation rule 'labelled' passed.", "an empty one is none");
    let both = json!({"message": "see the guide", "failMessage": "ask web"});
    assert_eq!(said(both, json!({}), &[]).0, "see the guide");
}

#[test]
fn a_condition_that_is_false_is_reported_of_rules_and_not_of_validating_policies() {
    let [skip] = &judged(vec![rules("false")], vec![], &[], json!({}))[..] else { panic!("one") };
    assert_eq!((skip.result, &*skip.message), (Some(Outcome::Skip), "cel preconditions not met"));
    let unmatched = json!({"matchConditions": [{"name": "c", "expression": "false"}]});
    assert_eq!(judged(vec![validating("a", unmatched)], vec![], &[], json!({})), []);
}

#[test]
fn a_policy_that_does_not_count_warns() {
    let policies = vec![validating("a", json!({}))];
    let [warn] = &judged(policies, vec![], &[(SCORED, "false")], json!({}))[..] else {
        panic!("one result")
    };
    assert_eq!((warn.result, warn.scored), (Some(Outcome::Warn), false));
}

#[test]
fn an_exception_is_named() {
    for (report, outcome, verb) in
        [("skip", Outcome::Skip, "skipped"), ("pass", Outcome::Pass, "passed")]
    {
        let policies = vec![validating("a", json!({}))];
        let [exempt] = &judged(policies, vec![exception(report)], &[], json!({}))[..] else {
            panic!("one result")
        };
        assert_eq!((exempt.result, &*exempt.rule), (Some(outcome), "exception"));
        let message = format!("rule is {verb} due to policy exception: shop/legacy");
        assert_eq!(exempt.message, message);
        assert_eq!(exempt.properties["exceptions"], "legacy");
    }
}

#[test]
fn results_come_in_the_order_of_policies_and_rules() {
    let policies = vec![rules("true"), validating("z", json!({})), validating("a", json!({}))];
    let judged = judged(policies, vec![], &[], json!({}));
    let order: Vec<_> = judged.iter().map(|it| &*it.policy).collect();
    assert_eq!(order, ["a", "rules", "z"]);
}

#[test]
fn a_message_as_long_as_a_report_is_cut() {
    let long = "ä".repeat(MAX_MESSAGE);
    let spec = json!({"validations": [{"expression": "false", "message": long}]});
    let judged = judged(vec![validating("a", spec)], vec![], &[], json!({}));
    assert!(judged[0].message.len() <= MAX_MESSAGE && !judged[0].message.is_empty());
}
