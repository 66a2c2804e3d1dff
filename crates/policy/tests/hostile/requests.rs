//! What all policies together may cost one request.

use std::sync::Arc;

use pharos_api::policy::{NamespacedValidatingPolicy, PolicyException, ValidatingPolicy};
use pharos_policy::{
    CompiledPolicy, Lookups, Origin, PolicySet, RuleResult, compile_exception,
    compile_namespaced_validating_policy, compile_validating_policy,
};
use serde_json::{Value, json};

use crate::support::{judged, policy};

/// It takes all of a rule's steps.
const ENDLESS: &str = "object.list.all(a, object.list.all(b, object.list.all(c, a + b + c > 0)))";
/// What the rules of one request may take together.
const OF_A_REQUEST: u64 = 20_000_000;

fn object() -> Value {
    json!({"metadata": {"name": "web"}, "list": vec![1; 1000]})
}

fn named(name: &str, expression: &str) -> ValidatingPolicy {
    let mut policy = policy(expression);
    policy["metadata"]["name"] = json!(name);
    serde_json::from_value(policy).expect("the policy decodes")
}

fn of_the_cluster(name: &str, expression: &str) -> Arc<CompiledPolicy> {
    Arc::new(
        compile_validating_policy(&named(name, expression), &Lookups::Refused)
            .expect("it compiles"),
    )
}

fn of_the_shop(name: &str, expression: &str) -> Arc<CompiledPolicy> {
    let mut policy = policy(expression);
    policy["kind"] = json!("NamespacedValidatingPolicy");
    policy["metadata"] = json!({"name": name, "namespace": "shop"});
    let policy: NamespacedValidatingPolicy = serde_json::from_value(policy).expect("it decodes");
    Arc::new(compile_namespaced_validating_policy(&policy, &Lookups::Refused).expect("it compiles"))
}

fn is_exhausted(result: &RuleResult) -> bool {
    matches!(result, RuleResult::Error { message, .. } if message.contains("more than"))
}

#[test]
fn two_hundred_expensive_policies_cost_no_more_than_four() {
    let policies = (0..200).map(|index| of_the_cluster(&format!("p{index:03}"), ENDLESS));
    let set = PolicySet::new(Origin::Admission, policies, []);
    let results = judged(&set, &object());
    assert_eq!(results.len(), 200);
    assert!(results.iter().all(|(result, _)| is_exhausted(result)), "{:?}", results[0]);
    let steps: u64 = results.iter().map(|(_, steps)| steps).sum();
    assert_eq!(steps, OF_A_REQUEST);
    let (last, _) = &results[199];
    let RuleResult::Error { message, .. } = last else { panic!("{last:?}") };
    assert!(message.contains("0 steps, which is all that the policies before it have left"));
}

#[test]
fn honest_policies_before_the_expensive_ones_are_judged() {
    let expensive = (0..9).map(|index| of_the_cluster(&format!("z{index}"), ENDLESS));
    let honest = ["a", "b"].map(|name| of_the_cluster(name, "object.metadata.name == 'web'"));
    let set = PolicySet::new(Origin::Admission, expensive.chain(honest), []);
    let passed = judged(&set, &object()).into_iter().filter(|(it, _)| *it == RuleResult::Pass);
    assert_eq!(passed.count(), 2);
}

#[test]
fn who_writes_in_a_namespace_cannot_use_up_what_the_clusters_policies_need() {
    let exceptions = (0..9).map(|index| {
        let exception: PolicyException = serde_json::from_value(json!({
            "apiVersion": "policies.kyverno.io/v1",
            "kind": "PolicyException",
            "metadata": {"name": format!("e{index}"), "namespace": "shop"},
            "spec": {
                "policyRefs": [{"name": "a", "kind": "ValidatingPolicy"}],
                "matchConditions": [{"name": "m", "expression": ENDLESS}],
            },
        }))
        .expect("it decodes");
        Arc::new(compile_exception(&exception).expect("it compiles"))
    });
    let judge = |exceptions: Vec<_>| {
        let ours = (0..9).map(|index| of_the_shop(&format!("n{index}"), ENDLESS));
        let theirs = ["a", "z"].map(|name| of_the_cluster(name, "object.metadata.name == 'web'"));
        let set = PolicySet::new(Origin::Admission, ours.chain(theirs), exceptions);
        judged(&set, &object())
    };
    let passed = |results: &[(RuleResult, u64)]| {
        results.iter().filter(|(result, _)| *result == RuleResult::Pass).count()
    };
    assert_eq!(passed(&judge(Vec::new())), 2);
    // An exception that cannot be evaluated is an error of its own policy, and of no other.
    assert_eq!(passed(&judge(exceptions.collect())), 1);
}
