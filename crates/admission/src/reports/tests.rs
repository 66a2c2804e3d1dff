use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pharos_instruments::{AdmissionReviewFacts, Subject};
use pharos_policy::{Json, SystemClock, evaluate};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::enforce::enforce;
use crate::policies::Kind;
use crate::testing::{object, observed, policy, review};

/// What was lost.
#[derive(Default)]
pub(super) struct Losses(Mutex<Vec<(&'static str, usize)>>);

impl Losses {
    pub(super) fn all(&self) -> Vec<(&'static str, usize)> {
        self.0.lock().unwrap().clone()
    }
}

impl Facts for Losses {
    fn review(&self, _: &Subject, _: &AdmissionReviewFacts<'_>) {}
    fn refusal(&self, _: &'static str) {}
    fn admission_results_lost(&self, reason: &'static str, count: usize) {
        self.0.lock().unwrap().push((reason, count));
    }
}

/// A policy that no scan asks, with what `spec` changes about it.
fn unscanned(name: &str, spec: Value) -> (String, Value) {
    let mut whole = json!({
        "evaluation": {"background": {"enabled": false}}, "validationActions": ["Audit"],
        "matchConstraints": {"resourceRules": [{
            "apiGroups": [""], "apiVersions": ["v1"],
            "resources": ["pods", "pods/status", "events"], "operations": ["*"],
        }]},
        "validations": [{"expression": "false", "message": "no"}],
    });
    for (field, value) in spec.as_object().unwrap() {
        whole[field] = value.clone();
    }
    (name.to_owned(), whole)
}

fn policies(specs: Vec<(String, Value)>) -> Policies {
    let policies = specs.into_iter().map(|(name, spec)| policy(&name, spec));
    Policies::default().succeed(&observed(policies))
}

/// What is told of a request.
fn told_of(policies: &Policies, fields: Value) -> Option<Admission> {
    let review = Json::from(review(fields)["request"].clone());
    let request = Request::parse(&review).unwrap();
    let set = policies.set(|_| true);
    let evaluation = evaluate(&set, &request, &SystemClock);
    let verdict = enforce(&evaluation, &request);
    told(policies, &request, &evaluation, &verdict, Timestamp::default)
}

fn creation() -> Value {
    json!({"object": {"metadata": {"name": "web", "uid": "u"}}})
}

fn update() -> Value {
    let metadata = json!({"name": "web", "uid": "u", "resourceVersion": "7"});
    json!({"operation": "UPDATE", "object": {"metadata": metadata}, "oldObject": {"metadata": metadata}})
}

/// What one policy says about a Pod of that name.
pub(super) fn admission(policy: &str, name: &str, awaited: Awaited) -> Admission {
    let policies = policies(vec![unscanned(policy, json!({}))]);
    let told = told_of(&policies, creation()).unwrap();
    let place = Place { name: name.to_owned(), ..told.place };
    Admission { place, awaited, ..told }
}

pub(super) fn created(uid: &str) -> Awaited {
    Awaited::Created { uid: Some(uid.to_owned()) }
}

#[test]
fn what_no_scan_asks_is_told_of_creations_and_updates() {
    let policies = policies(vec![unscanned("a", json!({}))]);
    let told = told_of(&policies, creation()).unwrap();
    assert_eq!(told.awaited, created("u"));
    assert_eq!((&*told.place.resource, &*told.place.namespace), ("pods", "shop"));
    assert_eq!((&*told.place.kind, &*told.place.name), ("Pod", "web"));
    assert_eq!(told.said.len(), 1);
    let (uid, version) = ("u".to_owned(), "7".to_owned());
    assert_eq!(told_of(&policies, update()).unwrap().awaited, Awaited::Updated { uid, version });
}

#[test]
fn what_a_scan_asks_itself_is_not_told_and_its_rules_of_updates_are() {
    let rules = |operations: &[&str]| {
        let rules = json!([{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"],
            "operations": operations}]);
        let spec = json!({"evaluation": {}, "matchConstraints": {"resourceRules": rules}});
        policies(vec![unscanned("a", spec)])
    };
    assert_eq!(told_of(&rules(&["CREATE", "UPDATE"]), creation()), None);
    assert_eq!(told_of(&rules(&["CREATE", "UPDATE"]), update()), None);
    assert!(told_of(&rules(&["UPDATE"]), update()).is_some());
}

#[test]
fn rules_of_cluster_policies_are_told_where_they_are_not_for_the_background() {
    let of = |background: bool| {
        let whole = object(json!({
            "apiVersion": "kyverno.io/v1", "kind": "ClusterPolicy",
            "metadata": {"name": "rules", "uid": "r", "generation": 1},
            "spec": {"background": background, "rules": [{
                "name": "small", "match": {"any": [{"resources": {"kinds": ["Pod"]}}]},
                "validate": {"cel": {"expressions": [{"expression": "false"}]}},
            }]},
        }));
        let objects = BTreeMap::from([(Kind::ClusterPolicy, Arc::new([whole].into()))]);
        Policies::default().succeed(&objects)
    };
    assert!(told_of(&of(false), creation()).is_some());
    assert_eq!(told_of(&of(true), creation()), None);
}

#[test]
fn what_leaves_no_object_behind_is_told_nowhere() {
    let policies = policies(vec![unscanned("a", json!({}))]);
    let with = |mut fields: Value, field: &str, value: Value| {
        fields[field] = value;
        told_of(&policies, fields)
    };
    let events = json!({"group": "", "version": "v1", "resource": "events"});
    assert_eq!(with(creation(), "dryRun", json!(true)), None);
    assert_eq!(with(update(), "subResource", json!("status")), None);
    assert_eq!(with(update(), "operation", json!("DELETE")), None);
    assert_eq!(with(creation(), "resource", events), None, "nobody reports about Events");
    let denying = unscanned("b", json!({"validationActions": ["Deny"]}));
    let denied = self::policies(vec![unscanned("a", json!({})), denying]);
    assert_eq!(told_of(&denied, creation()), None, "the object did not come to be");
}

#[test]
fn a_policy_that_is_not_to_be_reported_about_is_not() {
    let (name, spec) = unscanned("a", json!({}));
    let mut labelled = policy(&name, spec);
    let label = ("reports.kyverno.io/disabled".to_owned(), "true".to_owned());
    labelled.metadata.labels = Some([label].into());
    let policies = Policies::default().succeed(&observed([labelled]));
    assert_eq!(told_of(&policies, creation()), None);
}

#[test]
fn that_a_policy_is_not_about_an_object_is_told_only_where_it_may_have_been_before() {
    let unmatched = json!({"matchConditions": [{"name": "c", "expression": "false"}]});
    let policies = policies(vec![unscanned("a", unmatched)]);
    assert_eq!(told_of(&policies, creation()), None);
    assert!(!told_of(&policies, update()).unwrap().said[0].tells());
}

#[test]
fn a_generated_name_is_that_of_the_object_and_one_without_is_not_told() {
    let policies = policies(vec![unscanned("a", json!({}))]);
    let named = |name: Option<&str>| {
        told_of(&policies, json!({"name": "", "object": {"metadata": {"name": name}}}))
    };
    assert_eq!(named(Some("web-x2x4z")).unwrap().place.name, "web-x2x4z");
    assert_eq!(named(None), None);
}

#[test]
fn an_object_is_as_it_was_admitted_or_not_yet_or_another_one() {
    let now = |uid: &str, version: &str| ObjectMeta {
        uid: Some(uid.to_owned()),
        resource_version: Some(version.to_owned()),
        ..ObjectMeta::default()
    };
    let updated = Awaited::Updated { uid: "u".to_owned(), version: "7".to_owned() };
    for (awaited, now, seen) in [
        (created("u"), None, Seen::NotYet),
        (created("u"), Some(now("u", "1")), Seen::Stored),
        (created("u"), Some(now("other", "1")), Seen::Gone),
        (Awaited::Created { uid: None }, Some(now("u", "1")), Seen::Stored),
        (updated.clone(), Some(now("u", "7")), Seen::NotYet),
        (updated.clone(), Some(now("u", "8")), Seen::Stored),
        (updated.clone(), Some(now("other", "8")), Seen::Gone),
        (updated, None, Seen::Gone),
    ] {
        assert_eq!(awaited.seen(now.as_ref()), seen, "{awaited:?}, {now:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_about_one_object_is_put_together_and_the_latest_counts() {
    let mut waiting = Waiting::default();
    let updated = Awaited::Updated { uid: "u".to_owned(), version: "7".to_owned() };
    let start = Instant::now();
    waiting.take_in(admission("a", "web", created("u")), start);
    waiting.take_in(admission("b", "web", created("u")), start);
    waiting.take_in(admission("a", "web", updated.clone()), start);
    waiting.take_in(admission("a", "other", created("o")), start + Duration::from_millis(1));
    assert_eq!((waiting.len(), waiting.said()), (2, 3));
    assert_eq!(waiting.take_due(start), None, "it is hardly stored yet");
    let later = waiting.next_due().unwrap();
    let (place, pending) = waiting.take_due(later).unwrap();
    let awaited: Vec<_> = pending.iter().map(|it| it.awaited.clone()).collect();
    assert_eq!((&*place.name, awaited), ("web", vec![updated, created("u")]));
    assert_eq!(waiting.said(), 3, "what is being written is not forgotten");

    waiting.take_in(admission("b", "web", created("u")), later);
    let soon = later + Duration::from_secs(9);
    let (other, _) = waiting.take_due(soon).unwrap();
    assert_eq!(other.name, "other");
    assert_eq!(waiting.take_due(soon), None, "it is being written");
    waiting.settle(&other, Vec::new(), soon);
    waiting.settle(&place, pending, soon);
    assert_eq!((waiting.len(), waiting.said()), (1, 2));
    let (place, pending) = waiting.take_due(soon).unwrap();
    waiting.settle(&place, pending, soon + Duration::from_secs(1));
    assert_eq!(waiting.next_due(), Some(soon + Duration::from_secs(1)));
    waiting.hurry(soon);
    let (place, _) = waiting.take_due(soon).unwrap();
    waiting.settle(&place, Vec::new(), soon);
    assert_eq!((waiting.len(), waiting.next_due()), (0, None));
}

#[tokio::test]
async fn what_does_not_fit_is_counted_and_keeps_nobody_waiting() {
    let losses = Arc::<Losses>::default();
    let client = Client::new(axum::Router::new(), "default");
    let (reports, _writer) = reports(client, ReportApi::PolicyReports, losses.clone());
    let policies = policies(vec![unscanned("a", json!({}))]);
    let review = Json::from(review(creation())["request"].clone());
    let request = Request::parse(&review).unwrap();
    let set = policies.set(|_| true);
    let evaluation = evaluate(&set, &request, &SystemClock);
    let verdict = enforce(&evaluation, &request);
    for _ in 0..QUEUED + 2 {
        reports.tell(&policies, &request, &evaluation, &verdict);
    }
    assert_eq!(losses.all(), [("QueueFull", 1), ("QueueFull", 1)]);
}
