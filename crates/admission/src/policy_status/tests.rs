use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::desired::COMPILED;
use super::stands::stands;
use super::*;
use crate::policies::{Entry, Kind, Objects, Policies};
use crate::testing::{object, observed, policy};
use crate::webhook_configuration::MatchConditionsPlace;
use pharos_api::policy::ValidatingPolicy;

fn desired(entry: &Entry, now: Timestamp) -> Value {
    super::desired::desired(entry, None, now)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn entry(objects: &BTreeMap<Kind, Objects>) -> Entry {
    Policies::default().succeed(objects).entries().values().next().unwrap().clone()
}

fn entry_of(policy: ValidatingPolicy) -> Entry {
    entry(&observed([policy]))
}

/// A policy with this status.
fn with_status(spec: Value, status: &Value) -> Entry {
    let mut policy = serde_json::to_value(policy("p", spec)).unwrap();
    policy["status"] = status.clone();
    entry(&BTreeMap::from([(Kind::ValidatingPolicy, Arc::new([object(policy)].into()))]))
}

fn broken() -> Value {
    json!({"validations": [{"expression": "object."}]})
}

#[test]
fn a_policy_in_force_is_ready_and_a_broken_one_says_which_expression() {
    let good = desired(&entry_of(policy("p", json!({}))), at(0));
    let condition = &good["conditionStatus"]["conditions"][0];
    assert_eq!(good["conditionStatus"]["ready"], true);
    assert_eq!((&condition["type"], &condition["status"]), (&json!(COMPILED), &json!("True")));
    assert_eq!(condition["observedGeneration"], 1);

    let bad = desired(&entry_of(policy("p", broken())), at(0));
    let condition = &bad["conditionStatus"]["conditions"][0];
    assert_eq!(bad["conditionStatus"]["ready"], false);
    let message = bad["conditionStatus"]["message"].as_str().unwrap();
    assert!(message.contains("spec.validations[0].expression"), "{message}");
    assert_eq!(condition["status"], "False");
    assert_ne!(condition["reason"], "Succeeded");
}

#[test]
fn what_is_generated_for_controllers_of_pods_is_shown_and_goes_with_its_policy() {
    let status = desired(&with_status(json!({}), &Value::Null), at(0));
    let configs = status["autogen"]["configs"].as_object().unwrap();
    assert_eq!(configs.keys().collect::<Vec<_>>(), ["cronjobs", "defaults"]);
    assert!(configs["cronjobs"]["targets"].to_string().contains("CronJob"), "{status}");
    let none = json!({"autogen": {"podControllers": {"controllers": []}}});
    let without = desired(&with_status(none, &status), at(0));
    assert_eq!(without.get("autogen"), None);
    assert!(!stands(&without, &status), "it is to be taken away");
    let mut defaulted = status.clone();
    defaulted["autogen"]["configs"]["defaults"]["spec"]["unheardOf"] = json!("Fail");
    assert!(stands(&status, &defaulted), "what the definition adds is not fought over");
}

#[test]
fn a_kind_that_is_not_evaluated_says_so_where_its_columns_look() {
    let kinds = Kind::all().filter(|kind| !kind.is_evaluated());
    for kind in kinds {
        let policy = json!({"metadata": {"name": "p", "uid": "u", "generation": 1}, "spec": {}});
        let entry = entry(&BTreeMap::from([(kind, Arc::new([object(policy)].into()))]));
        let status = desired(&entry, at(0));
        assert_eq!(status["conditionStatus"]["ready"], false);
        let message = status["conditionStatus"]["message"].as_str().unwrap();
        assert!(message.contains(kind.name()), "{message}");
    }
}

#[test]
fn a_cluster_policy_counts_its_rules_and_is_ready_where_kyvernos_columns_look() {
    let rules =
        json!([{"name": "a", "validate": {}}, {"name": "b", "mutate": {}}, {"validate": {}}]);
    let policy = json!({
        "apiVersion": "kyverno.io/v1", "kind": "ClusterPolicy",
        "metadata": {"name": "p", "uid": "u", "generation": 1}, "spec": {"rules": rules},
    });
    let entry = entry(&BTreeMap::from([(Kind::ClusterPolicy, Arc::new([object(policy)].into()))]));
    let status = desired(&entry, at(0));
    assert_eq!(status["conditions"][0]["type"], "Ready");
    let count = json!({"validate": 2, "mutate": 1, "generate": 0, "verifyimages": 0});
    assert_eq!(status["rulecount"], count);
}

#[test]
fn where_match_conditions_are_evaluated_is_said_and_is_no_defect() {
    let entry = with_status(json!({}), &Value::Null);
    let refused = MatchConditionsPlace::Refused("no such function".to_owned());
    let status = super::desired::desired(&entry, Some(&refused), at(0));
    let [compiled, place] = [0, 1].map(|index| &status["conditionStatus"]["conditions"][index]);
    assert_eq!((&compiled["status"], &place["status"]), (&json!("True"), &json!("True")));
    assert!(place["message"].as_str().unwrap().contains("no such function"), "{place}");
    let later = with_status(json!({}), &status);
    let gone = desired(&later, at(1));
    assert_eq!(gone["conditionStatus"]["conditions"].as_array().unwrap().len(), 1);
}

#[test]
fn a_condition_keeps_its_time_until_its_status_changes() {
    let first = desired(&with_status(json!({}), &Value::Null), at(1));
    let second = desired(&with_status(json!({}), &first), at(2));
    assert_eq!(second, first, "nothing to write");
    let third = desired(&with_status(broken(), &first), at(3));
    let times = [&first, &third].map(|status| {
        status.pointer("/conditionStatus/conditions/0/lastTransitionTime").cloned().unwrap()
    });
    assert_eq!(times, [json!("1970-01-01T00:00:01Z"), json!("1970-01-01T00:00:03Z")]);
}

#[test]
fn what_others_say_of_a_policy_is_handed_on_and_does_not_count() {
    let theirs = json!({
        "type": "WebhookConfigured", "status": "True", "reason": "Succeeded", "message": "m",
        "lastTransitionTime": "2026-11-23T10:00:00Z",
    });
    let current = json!({"conditionStatus": {"conditions": [theirs]}, "generated": false});
    let ours = desired(&with_status(json!({}), &current), at(1));
    assert_eq!(ours["conditionStatus"]["conditions"][0], theirs, "one list has one owner");
    assert!(ours.get("generated").is_none());

    let changed = |change: fn(&mut Value)| {
        let mut current = ours.clone();
        change(&mut current);
        stands(&ours, &current)
    };
    assert!(changed(|_| {}));
    assert!(changed(|current| current["generated"] = json!(false)));
    assert!(!changed(|current| current["autogen"]["configs"]["another"] = json!({})));
    assert!(changed(|current| {
        let conditions = current["conditionStatus"]["conditions"].as_array_mut().unwrap();
        conditions.reverse();
        conditions.push(json!({"type": "Another"}));
    }));
    assert!(!changed(|current| current["conditionStatus"]["ready"] = Value::Null));
    assert!(!changed(|current| current["conditionStatus"]["message"] = json!("x")));
    assert!(!changed(|current| current["conditionStatus"]["conditions"] = json!([])));
    assert!(!changed(|current| current["conditionStatus"]["conditions"][1]["reason"] = json!("x")));
    assert!(!stands(&ours, &Value::Null));
}

#[test]
fn the_writer_of_status_is_one_of_two() {
    assert_eq!("Kyverno".parse(), Ok(PolicyStatus::Kyverno));
    assert_eq!("Pharos".parse(), Ok(PolicyStatus::Pharos));
    assert!("kyverno".parse::<PolicyStatus>().is_err());
}
