use serde_json::{Value, json};

use pharos_api::policy::FailurePolicy;

use super::*;
use crate::testing::{object, observed, policy};

fn names(set: &PolicySet) -> Vec<&str> {
    set.iter().map(CompiledPolicy::name).collect()
}

fn defect<'a>(policies: &'a Policies, uid: &str) -> &'a Defect {
    match &policies.entries()[uid].outcome {
        Outcome::Broken(defect) => defect,
        outcome => panic!("{uid} is not broken: {outcome:?}"),
    }
}

/// What the API server holds, and this beside it.
fn with(mut objects: BTreeMap<Kind, Objects>, kind: Kind, other: Value) -> BTreeMap<Kind, Objects> {
    let (uid, observed) = object(other);
    Arc::make_mut(objects.entry(kind).or_default()).insert(uid, observed);
    objects
}

fn broken() -> Value {
    json!({"validations": [{"expression": "object.metadata."}]})
}

#[test]
fn a_broken_policy_does_not_stop_the_others() {
    let objects = observed([policy("good", json!({})), policy("bad", broken())]);
    let spec = json!({"validations": 1});
    let undecodable = json!({"metadata": {"name": "u", "uid": "undecodable"}, "spec": spec});
    let objects = with(objects, Kind::ValidatingPolicy, undecodable);
    let mutating = Kind::all().find(|kind| kind.name() == "MutatingPolicy").unwrap();
    let objects = with(objects, mutating, json!({"metadata": {"name": "m", "uid": "mutating"}}));
    let policies = Policies::default().succeed(&objects);

    assert_eq!(names(&policies.set(|_| true)), ["good"]);
    let bad = defect(&policies, "bad").to_string();
    assert!(bad.contains("spec.validations[0].expression"), "{bad}");
    assert!(bad.contains("in: object.metadata."), "the expression itself: {bad}");
    let undecodable = defect(&policies, "undecodable");
    assert_eq!(undecodable.reason(), "Undecodable");
    assert!(undecodable.to_string().contains("invalid type"), "{undecodable}");
    let mutating = defect(&policies, "mutating");
    assert_eq!(mutating.reason(), "Unsupported");
    assert!(mutating.to_string().contains("MutatingPolicy"), "{mutating}");
}

fn exception(spec: Value) -> Value {
    json!({
        "apiVersion": "policies.kyverno.io/v1", "kind": "PolicyException",
        "metadata": {"name": "e", "namespace": "shop", "uid": "e", "generation": 1}, "spec": spec,
    })
}

#[test]
fn exceptions_and_policies_change_apart_from_each_other() {
    let refs = json!([{"kind": "ValidatingPolicy", "name": "a"}]);
    let one = exception(json!({"policyRefs": refs}));
    let first = Policies::default().succeed(&observed([policy("a", json!({}))]));
    let objects = with(observed([policy("a", json!({}))]), Kind::PolicyException, one);
    let second = first.succeed(&objects);
    let compiled = |policies: &Policies| policies.entries()["a"].compiled().unwrap().clone();
    assert!(Arc::ptr_eq(&compiled(&first), &compiled(&second)));
    let in_force = second.entries()["e"].exception().unwrap().clone();
    let third = second.succeed(&with(objects, Kind::PolicyException, {
        let mut broken = exception(json!({"policyRefs": refs, "matchConditions": [
            {"name": "c", "expression": "object."},
        ]}));
        broken["metadata"]["generation"] = json!(2);
        broken
    }));
    assert!(Arc::ptr_eq(&compiled(&second), &compiled(&third)));
    let message = defect(&third, "e").to_string();
    assert!(message.contains("spec.matchConditions[0].expression"), "{message}");
    assert_eq!(&**in_force.name(), "e");
}

#[test]
fn an_exception_counts_in_the_namespaces_that_were_named() {
    let refs = json!([{"kind": "ValidatingPolicy", "name": "a"}]);
    let objects = with(
        observed([policy("a", json!({}))]),
        Kind::PolicyException,
        exception(json!({"policyRefs": refs})),
    );
    for (namespaces, counts) in [("*", true), ("", true), ("shop", true), ("kyverno", false)] {
        let namespaces = namespaces.parse().unwrap();
        let policies = Policies::with_exceptions_of(namespaces).succeed(&objects);
        // It is remembered from one step to the next.
        for policies in [policies.succeed(&objects), policies] {
            assert_eq!(policies.entries()["e"].exception().is_some(), counts);
        }
    }
    let elsewhere = Policies::with_exceptions_of("kyverno".parse().unwrap()).succeed(&objects);
    let defect = defect(&elsewhere, "e");
    assert_eq!(defect.reason(), "OtherNamespace");
    assert!(defect.to_string().contains("in the namespace kyverno only"), "{defect}");
}

#[test]
fn a_policy_of_one_namespace_has_its_rules_beside_those_of_the_cluster() {
    let mut namespaced = serde_json::to_value(policy("a", json!({}))).unwrap();
    namespaced["kind"] = json!("NamespacedValidatingPolicy");
    namespaced["metadata"]["namespace"] = json!("shop");
    namespaced["metadata"]["uid"] = json!("namespaced");
    let kind = Kind::NamespacedValidatingPolicy;
    let objects = with(observed([policy("a", json!({}))]), kind, namespaced);
    let policies = Policies::default().succeed(&objects);
    assert_eq!(names(&policies.set(|_| true)), ["a", "a"]);
    let reference = policies.reference(policies.entries()["namespaced"].compiled().unwrap());
    let reference = reference.unwrap();
    assert_eq!(reference.kind.as_deref(), Some("NamespacedValidatingPolicy"));
    assert_eq!(reference.namespace.as_deref(), Some("shop"));
}

#[test]
fn a_policy_fails_closed_unless_it_says_ignore() {
    let policies = Policies::default().succeed(&observed([
        policy("unset", json!({"failurePolicy": null})),
        policy("ignore", json!({"failurePolicy": "Ignore"})),
        policy("fail", json!({"failurePolicy": "Fail"})),
    ]));
    let mut found: Vec<_> =
        policies.in_force().map(|policy| (policy.name(), policy.failure_policy())).collect();
    found.sort();
    let (ignore, fail) = (FailurePolicy::Ignore, FailurePolicy::Fail);
    assert_eq!(found, [("fail", fail), ("ignore", ignore), ("unset", fail)]);
}

#[test]
fn a_policy_that_is_not_for_admission_is_not_in_force() {
    let evaluation = json!({"evaluation": {"admission": {"enabled": false}}});
    let policies = Policies::default().succeed(&observed([policy("scan", evaluation)]));
    assert!(matches!(policies.entries()["scan"].outcome, Outcome::NotForAdmission(_)));
    assert!(policies.set(|_| true).is_empty());
    assert_eq!(names(&policies.background_set()), ["scan"]);
}

#[test]
fn a_policy_that_is_not_for_background_scans_is_in_no_set_of_theirs() {
    let evaluation = json!({"evaluation": {"background": {"enabled": false}}});
    let policies = Policies::default()
        .succeed(&observed([policy("admission", evaluation), policy("both", json!({}))]));
    assert_eq!(names(&policies.background_set()), ["both"]);
    assert_eq!(names(&policies.set(|_| true)), ["admission", "both"]);
}

#[test]
fn only_a_policy_that_changed_is_compiled_again() {
    let first =
        Policies::default().succeed(&observed([policy("a", json!({})), policy("b", json!({}))]));
    let mut changed = policy("b", broken());
    changed.metadata.generation = Some(2);
    let mut touched = policy("a", json!({}));
    touched.metadata.resource_version = Some("2".to_owned());
    let second = first.succeed(&observed([touched, changed]));

    let compiled = |policies: &Policies| policies.entries()["a"].compiled().unwrap().clone();
    assert!(Arc::ptr_eq(&compiled(&first), &compiled(&second)));
    let version = &second.entries()["a"].metadata.resource_version;
    assert_eq!(version.as_deref(), Some("2"), "what is shown is what was seen last");
    defect(&second, "b");
    assert_eq!(names(&second.set(|_| true)), ["a"]);
}

#[test]
fn what_a_policy_is_annotated_with_may_change_what_is_generated_from_it() {
    let first = Policies::default().succeed(&observed([policy("a", json!({}))]));
    let mut annotated = policy("a", json!({}));
    annotated.metadata.annotations = Some(BTreeMap::from([("x".to_owned(), "y".to_owned())]));
    let second = first.succeed(&observed([annotated]));
    let compiled = |policies: &Policies| policies.entries()["a"].compiled().unwrap().clone();
    assert!(!Arc::ptr_eq(&compiled(&first), &compiled(&second)));
}

#[test]
fn a_recreated_policy_is_another_policy() {
    let first = Policies::default().succeed(&observed([policy("a", json!({}))]));
    let mut again = policy("a", broken());
    again.metadata.uid = Some("another".to_owned());
    let second = first.succeed(&observed([again]));
    assert!(second.set(|_| true).is_empty());
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
