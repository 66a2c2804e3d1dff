use serde_json::{Value, json};

use super::*;
use crate::testing::{observed, policy};

fn names(set: &PolicySet) -> Vec<&str> {
    set.iter().map(CompiledPolicy::name).collect()
}

fn defect<'a>(policies: &'a Policies, uid: &str) -> &'a Defect {
    match &policies.entries()[uid].outcome {
        Outcome::Broken(defect) => defect,
        Outcome::InForce(_) | Outcome::NotForAdmission => panic!("{uid} is not broken"),
    }
}

fn broken() -> Value {
    json!({"validations": [{"expression": "object.metadata."}]})
}

#[test]
fn a_broken_policy_does_not_stop_the_others() {
    let mut objects = observed([policy("good", json!({})), policy("bad", broken())]);
    let metadata = policy("undecodable", json!({})).metadata;
    let undecodable = Observed { metadata, object: Err("spec: invalid type".to_owned()) };
    objects.insert("undecodable".to_owned(), undecodable);
    let policies = Policies::default().succeed(&objects);

    assert_eq!(names(policies.of(FailurePolicy::Ignore)), ["good"]);
    let bad = defect(&policies, "bad");
    assert!(bad.message.contains("spec.validations[0].expression"), "{bad:?}");
    assert!(!bad.reason.is_empty());
    let undecodable = defect(&policies, "undecodable");
    assert_eq!(undecodable.reason, "Undecodable");
    assert_eq!(undecodable.message, "spec: invalid type");
}

#[test]
fn a_policy_fails_open_unless_it_says_fail() {
    let policies = Policies::default().succeed(&observed([
        policy("unset", json!({})),
        policy("ignore", json!({"failurePolicy": "Ignore"})),
        policy("fail", json!({"failurePolicy": "Fail"})),
    ]));
    assert_eq!(names(policies.of(FailurePolicy::Ignore)), ["ignore", "unset"]);
    assert_eq!(names(policies.of(FailurePolicy::Fail)), ["fail"]);
}

#[test]
fn a_policy_that_is_not_for_admission_is_not_in_force() {
    let evaluation = json!({"evaluation": {"admission": {"enabled": false}}});
    let policies = Policies::default().succeed(&observed([policy("scan", evaluation)]));
    assert!(matches!(policies.entries()["scan"].outcome, Outcome::NotForAdmission));
    assert!(policies.of(FailurePolicy::Ignore).is_empty());
}

#[test]
fn only_a_policy_that_changed_is_compiled_again() {
    let first =
        Policies::default().succeed(&observed([policy("a", json!({})), policy("b", json!({}))]));
    let mut changed = policy("b", broken());
    changed.metadata.generation = Some(2);
    let mut labelled = policy("a", json!({}));
    labelled.metadata.labels = Some(BTreeMap::from([("x".to_owned(), "y".to_owned())]));
    let second = first.succeed(&observed([labelled, changed]));

    let compiled = |policies: &Policies| policies.entries()["a"].compiled().unwrap().clone();
    assert!(Arc::ptr_eq(&compiled(&first), &compiled(&second)));
    assert!(second.entries()["a"].metadata.labels.is_some(), "what is shown is what was seen last");
    defect(&second, "b");
    assert_eq!(names(second.of(FailurePolicy::Ignore)), ["a"]);
}

#[test]
fn a_recreated_policy_is_another_policy() {
    let first = Policies::default().succeed(&observed([policy("a", json!({}))]));
    let mut again = policy("a", broken());
    again.metadata.uid = Some("another".to_owned());
    let second = first.succeed(&observed([again]));
    assert!(second.of(FailurePolicy::Ignore).is_empty());
    defect(&second, "another");
}

#[test]
fn namespaces_are_needed_only_by_policies_that_ask() {
    let needing = json!({"matchConditions": [
        {"name": "n", "expression": "namespaceObject.metadata.name != 'x'"},
    ]});
    for (spec, needed) in [(json!({}), false), (needing, true)] {
        let policies = Policies::default().succeed(&observed([policy("a", spec)]));
        assert_eq!(policies.need_namespaces(), needed);
    }
}
