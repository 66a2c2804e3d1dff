use std::collections::BTreeMap;

use allocation_counter::measure;
use axum::body::Body;
use http::header::CONTENT_TYPE;
use kube::{Api, Client};
use pharos_instruments::{AdmissionReviewFacts, Answer, Subject};
use serde_json::{Value, json};
use std::sync::Mutex;
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::*;
use crate::enforce::Decision;
use crate::events::Events;
use crate::namespaces::{Known, Namespaces};
use crate::reports::Reports;
use crate::review::memory::Memory;
use crate::routes::Knowledge;
use crate::testing::policy;

/// A request to store an object.
fn request(object: &Value, old: &Value) -> Json<'static> {
    let (group, version) = object["apiVersion"].as_str().unwrap().split_once('/').unwrap();
    let request = json!({
        "uid": "1", "operation": if old.is_null() { "CREATE" } else { "UPDATE" }, "name": "p",
        "kind": {"group": group, "version": version, "kind": object["kind"]},
        "resource": {"group": group, "version": version, "resource": "x"},
        "object": object, "oldObject": old,
    });
    request.into()
}

fn judged(object: &Value, old: &Value, whose: PolicyStatus) -> Verdict {
    judge(&Request::parse(&request(object, old)).unwrap(), whose, &ExceptionNamespaces::Every)
}

#[test]
fn an_exception_where_none_counts_is_stored_with_a_warning() {
    let exception = json!({"apiVersion": "policies.kyverno.io/v1", "kind": "PolicyException",
        "metadata": {"name": "e", "namespace": "shop"},
        "spec": {"policyRefs": [{"kind": "ValidatingPolicy", "name": "p"}]}});
    let document = request(&exception, &Value::Null);
    let within = |namespaces: &str| {
        let request = Request::parse(&document).unwrap();
        judge(&request, PolicyStatus::Pharos, &namespaces.parse().unwrap())
    };
    assert_eq!(within("*"), Verdict::default());
    assert_eq!(within("shop"), Verdict::default());
    let elsewhere = within("kyverno");
    assert!(warning(&elsewhere).contains("in the namespace kyverno only"), "{elsewhere:?}");
}

fn policy_with(spec: Value) -> Value {
    serde_json::to_value(policy("p", spec)).unwrap()
}

fn broken() -> Value {
    policy_with(json!({"validations": [{"expression": "object."}]}))
}

/// What is said about an object that is stored all the same.
fn warning(verdict: &Verdict) -> &str {
    assert_eq!(verdict.decision, Decision::Allow);
    let [warning] = &verdict.warnings[..] else { panic!("one warning: {verdict:?}") };
    warning
}

#[test]
fn a_policy_that_does_not_compile_is_stored_with_a_warning_that_names_the_expression() {
    let verdict = judged(&broken(), &Value::Null, PolicyStatus::Pharos);
    let message = warning(&verdict);
    assert!(message.contains("spec.validations[0].expression"), "{message}");
    assert!(message.contains("in: object."), "{message}");
    let undecodable = json!({"apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy",
        "metadata": {"name": "p"}, "spec": {"validations": 1}});
    warning(&judged(&undecodable, &Value::Null, PolicyStatus::Pharos));
    assert_eq!(
        judged(&policy_with(json!({})), &Value::Null, PolicyStatus::Pharos),
        Verdict::default()
    );
}

#[test]
fn what_this_version_does_not_do_passes_with_a_warning() {
    let mutating = json!({"apiVersion": "policies.kyverno.io/v1", "kind": "MutatingPolicy",
        "metadata": {"name": "p"}, "spec": {}});
    let verdict = judged(&mutating, &Value::Null, PolicyStatus::Pharos);
    assert_eq!(verdict.decision, Decision::Allow);
    assert!(verdict.warnings[0].contains("MutatingPolicy"), "{verdict:?}");
    let beside_kyverno = judged(&mutating, &Value::Null, PolicyStatus::Kyverno);
    assert_eq!(beside_kyverno, Verdict::default());
    let foreign = json!({"apiVersion": "g/v1", "kind": "X", "metadata": {}});
    assert_eq!(judged(&foreign, &Value::Null, PolicyStatus::Pharos), Verdict::default());
}

#[test]
fn beside_kyverno_what_does_not_compile_is_told_too() {
    let verdict = judged(&broken(), &Value::Null, PolicyStatus::Kyverno);
    assert_eq!(verdict.decision, Decision::Allow);
    assert_eq!(verdict.warnings.len(), 1);
}

#[test]
fn a_policy_whose_name_is_generated_is_as_good_as_another() {
    let mut nameless = policy_with(json!({}));
    nameless["metadata"] = json!({"generateName": "p-"});
    assert_eq!(judged(&nameless, &Value::Null, PolicyStatus::Pharos), Verdict::default());
}

#[test]
fn what_compiling_copies_is_taken_before() {
    let nested = |depth: usize| (0..depth).fold(json!(0), |inner, _| json!({"": inner}));
    let (many, text) = (vec![json!({"a": [0]}); 5000], "x".repeat(1 << 20));
    let mut object = policy_with(json!({}));
    for (field, value) in [
        ("spec", json!(many)),
        ("data", json!({"x": many})),
        ("y", json!(text)),
        ("z", json!(vec![nested(100); 100])),
    ] {
        object[field] = value;
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": serde_json::to_value(request(&object, &Value::Null)).unwrap(),
        });
        let body = review.to_string();
        let document = Document::parse(body.as_bytes(), Memory::new(0).share()).ok().unwrap();
        let request = review::request(&document.json).unwrap();
        let judged = || drop(judge(&request, PolicyStatus::Pharos, &ExceptionNamespaces::Every));
        let (held, taken) = (measure(judged).bytes_max, document.taken.taken() as u64);
        println!("{field}: {held} bytes of {taken}");
        assert!(held < taken, "{held} bytes of {taken}");
    }
}

#[derive(Default)]
struct Noted(Mutex<Vec<bool>>);

impl Facts for Noted {
    fn review(&self, _: &Subject, facts: &AdmissionReviewFacts<'_>) {
        self.0.lock().unwrap().push(facts.answer == Answer::Allowed);
    }
    fn refusal(&self, _: &'static str) {}
}

#[tokio::test]
async fn it_answers_reviews_and_counts_them() {
    let noted = Arc::new(Noted::default());
    let (_, serving) = watch::channel(None);
    let (_, known) = watch::channel(Known::default());
    let namespaces = Namespaces::new(Api::all(Client::new(Router::new(), "default")), known);
    let events = Events::untold(noted.clone());
    let webhook = Webhook::new(
        Knowledge::of(serving),
        namespaces,
        noted.clone(),
        events,
        Reports::Untold,
        Memory::new(0),
    );
    let router = router(webhook, noted.clone(), PolicyStatus::Pharos, ExceptionNamespaces::Every);
    for (object, warnings) in [(policy_with(json!({})), 0), (broken(), 1)] {
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": request(&object, &Value::Null),
        });
        let http = HttpRequest::post(PATH).header(CONTENT_TYPE, "application/json");
        let http = http.body(Body::from(review.to_string())).unwrap();
        let answer = router.clone().oneshot(http).await.unwrap();
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        let body: BTreeMap<String, Value> = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["response"]["allowed"], true);
        let told = body["response"]["warnings"].as_array().map_or(0, Vec::len);
        assert_eq!(told, warnings, "{body:?}");
        assert_eq!(body["response"]["uid"], "1");
    }
    assert_eq!(*noted.0.lock().unwrap(), [true, true]);
}
