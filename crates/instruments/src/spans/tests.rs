use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use opentelemetry::context::FutureExt as _;
use opentelemetry::trace::{SpanId, Status};
use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_sdk::trace::{Sampler, SpanData};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::*;
use crate::catalogue::{Presence, SpanDeclaration, Values, spans as declared};
use crate::testing::{Kept, kept_spans, passed, policy, review, rule, tell};
use crate::*;

mod kube;
mod scan;

/// Spans, what became of them, and instruments that go nowhere else.
fn scene() -> (Instruments, Kept) {
    let (spans, kept) = kept_spans(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)));
    (Instruments::default().with_spans(spans), kept)
}

fn start(spans: &Spans, headers: &[(&str, &str)], path: &str) -> Option<CallSpan> {
    let parse = |(name, value): &(&str, &str)| {
        (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())
    };
    let headers: HeaderMap = headers.iter().map(parse).collect();
    let uri: Uri = path.parse().unwrap();
    spans.start_call(&CallFacts {
        method: &Method::POST,
        uri: &uri,
        version: Version::HTTP_2,
        headers: &headers,
        route: (uri.path() == "/validate/fail").then_some("/validate/fail"),
        peer: ([127, 0, 0, 1], 55758).into(),
    })
}

/// What API servers send.
const HEADERS: &[(&str, &str)] =
    &[("user-agent", "kube-apiserver-admission"), ("content-length", "2052")];
const CALLED: &str = "https://webhook.pharos.svc:443/validate/fail?timeout=10s";

fn details() -> RequestDetails<'static> {
    let target = Target {
        kind_group: "",
        kind_version: "v1",
        kind: "Pod",
        resource_group: "",
        resource_version: "v1",
        resource: "pods",
        sub_resource: "",
    };
    RequestDetails {
        uid: "705ab4f5",
        name: "web",
        namespace: "t1",
        dry_run: true,
        target,
        original: Some(target),
        user_name: "jane",
        user_uid: "1",
        user_groups: vec!["system:authenticated"],
    }
}

async fn within<F: Future>(call: &CallSpan, work: F) -> F::Output {
    work.with_context(call.context().clone()).await
}

/// A call with a review of `details`, to its end.
async fn reviewed(
    instruments: &Instruments,
    details: RequestDetails<'static>,
    policies: &[RuleFacts<'_>],
    answer: AdmissionReviewFacts<'_>,
) {
    let call = start(instruments.spans(), HEADERS, CALLED).expect("the call is sampled");
    let work = async {
        let (kind, namespace) = (details.target.kind, Some(details.namespace));
        let subject =
            instruments.begin_review(Operation::Create, true, kind, namespace, &|| details.clone());
        for policy in policies {
            tell(instruments, &subject, policy);
        }
        instruments.record_review(&subject, &answer);
    };
    within(&call, work).await;
    call.end(StatusCode::OK, Some(2438));
}

fn named<'a>(spans: &'a [SpanData], name: &str) -> &'a SpanData {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name} in {spans:?}"))
}

fn value<'a>(span: &'a SpanData, key: &str) -> Option<&'a Value> {
    span.attributes.iter().find(|it| it.key.as_str() == key).map(|it| &it.value)
}

fn text<'a>(span: &'a SpanData, key: &str) -> std::borrow::Cow<'a, str> {
    value(span, key).unwrap_or_else(|| panic!("{key} in {span:?}")).as_str()
}

/// Everything that is declared to be always there is, and nothing else but what is declared.
fn assert_as_declared(span: &SpanData, declaration: &SpanDeclaration) {
    assert_eq!(span.span_kind, declaration.kind);
    assert_eq!(span.instrumentation_scope.name(), crate::catalogue::PHAROS);
    let find =
        |key: &str| declaration.attributes.iter().find(|it| it.key == key).expect("declared");
    let mut seen = BTreeSet::new();
    for KeyValue { key, value, .. } in &span.attributes {
        assert!(seen.insert(key.as_str()), "{key} twice");
        match (find(key.as_str()).values, value) {
            (Values::Text, Value::String(_))
            | (Values::Texts, Value::Array(Array::String(_)))
            | (Values::Integer, Value::I64(_))
            | (Values::Boolean, Value::Bool(_)) => {}
            (Values::OneOf(words), Value::String(word)) => {
                assert!(words.contains(&word.as_str()), "{key}: {word}");
            }
            (values, value) => panic!("{key} is {value:?}, declared as {values:?}"),
        }
    }
    let always = declaration.attributes.iter().filter(|it| it.presence == Presence::Always);
    for attribute in always {
        assert!(seen.contains(attribute.key), "{} in {span:?}", attribute.key);
    }
}

#[tokio::test]
async fn a_review_is_told_as_call_review_and_policies_each_within_the_other() {
    let (instruments, kept) = scene();
    let because = Some(Because { message: "a label is needed", validation: Some(1) });
    let failed = RuleFacts { result: PolicyResult::Fail, because, ..passed("other") };
    let denied = Answer::Denied { code: 422, reason: "Invalid", message: "policy other: no" };
    let answer = AdmissionReviewFacts { answer: denied, warnings: &["hm".to_owned()], ..review() };
    reviewed(&instruments, details(), &[passed("require-labels"), failed], answer).await;

    let spans = kept.take();
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    let review = "VALIDATE CREATE /v1, Kind=Pod";
    assert_eq!(names, ["POLICY /require-labels", "POLICY /other", review, "POST /validate/fail"]);
    let call = named(&spans, "POST /validate/fail");
    let review = named(&spans, review);
    assert_eq!(call.parent_span_id, SpanId::INVALID);
    assert_eq!(review.parent_span_id, call.span_context.span_id());
    assert!(call.start_time <= review.start_time && review.end_time <= call.end_time);
    for policy in &spans[..2] {
        assert_eq!(policy.parent_span_id, review.span_context.span_id());
        assert_as_declared(policy, &declared::POLICY);
        assert_eq!(policy.status, Status::Unset);
        let took = policy.end_time.duration_since(policy.start_time).unwrap();
        assert_eq!(took, Duration::from_micros(400), "as it was measured");
    }
    assert_as_declared(call, &declared::CALL);
    assert_as_declared(review, &declared::REVIEW);
    assert_eq!(text(&spans[1], "pharos.policy.message"), "a label is needed");
    assert_eq!(value(&spans[1], "pharos.policy.validation"), Some(&Value::I64(1)));
    assert_eq!(text(review, "admission.response.result.message"), "policy other: no");
    assert_eq!(value(review, "admission.response.allowed"), Some(&Value::Bool(false)));
    assert_eq!(text(review, "admission.request.user.groups"), r#"["system:authenticated"]"#);
    assert_eq!(text(call, "server.address"), "webhook.pharos.svc");
    assert_eq!(value(call, "server.port"), Some(&Value::I64(443)));
}

#[tokio::test]
async fn a_policy_that_cannot_be_evaluated_is_an_error_and_a_denial_is_none() {
    let (instruments, kept) = scene();
    let because = Some(Because { message: "no such key", validation: None });
    let broken = RuleFacts { result: PolicyResult::Error, because, ..passed("broken") };
    let denied = Answer::Denied { code: 422, reason: "Invalid", message: "no such key" };
    reviewed(
        &instruments,
        details(),
        &[broken],
        AdmissionReviewFacts { answer: denied, ..review() },
    )
    .await;
    let spans = kept.take();
    assert_eq!(spans[0].status, Status::error("no such key"));
    assert_as_declared(&spans[0], &declared::POLICY);
    assert_eq!([&spans[1].status, &spans[2].status], [&Status::Unset; 2]);
}

#[tokio::test]
async fn what_policies_say_about_a_secret_is_not_told() {
    let (instruments, kept) = scene();
    let secret = Target { kind: "Secret", resource: "secrets", ..details().target };
    let because = Some(Because { message: "hunter2", validation: Some(0) });
    let outcomes = [PolicyResult::Fail, PolicyResult::Error].map(|result| RuleFacts {
        result,
        because,
        ..passed("require-labels")
    });
    let answer = Answer::Denied { code: 422, reason: "Invalid", message: "hunter2" };
    let warnings = &["hunter2".to_owned()];
    let review = AdmissionReviewFacts { answer, warnings, ..review() };
    reviewed(&instruments, RequestDetails { target: secret, ..details() }, &outcomes, review).await;
    let spans = kept.take();
    assert_eq!(spans.len(), 4);
    assert!(!format!("{spans:?}").contains("hunter2"), "{spans:?}");
}

#[tokio::test]
async fn each_rule_of_a_cluster_policy_is_a_part_of_its_policy() {
    let (instruments, kept) = scene();
    let call = start(instruments.spans(), HEADERS, CALLED).unwrap();
    let tag = PolicyFacts { namespace: Some("shop"), ..policy(PolicyKind::Policy, "no-latest") };
    let because = Some(Because { message: "no such key", validation: Some(0) });
    let error = RuleFacts { because, ..rule(tag, "autogen-tag", PolicyResult::Error) };
    let work = async {
        let subject =
            instruments.begin_review(Operation::Create, false, "Pod", Some("shop"), &details);
        let run = PolicyRun { policy: tag, started: error.started, duration: error.duration };
        let mut rules = [rule(tag, "tag", PolicyResult::Pass), error].into_iter();
        instruments.record_policy(&subject, &run, &mut rules);
        instruments.record_review(&subject, &review());
    };
    within(&call, work).await;
    call.end(StatusCode::OK, None);
    let spans = kept.take();
    let [passed, failed, policy, ..] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!([&*passed.name, &*failed.name], ["RULE tag", "RULE autogen-tag"]);
    assert_eq!(policy.name, "POLICY shop/no-latest");
    for rule in [passed, failed] {
        assert_eq!(rule.parent_span_id, policy.span_context.span_id());
        assert_as_declared(rule, &declared::RULE);
    }
    assert_as_declared(policy, &declared::POLICY);
    assert_eq!([&policy.status, &passed.status], [&Status::Unset; 2]);
    assert_eq!(failed.status, Status::error("no such key"));
    assert_eq!(text(failed, "kyverno.rule.name"), "autogen-tag");
    assert_eq!(text(passed, "pharos.policy.result"), "pass");
    assert_eq!(text(policy, "kyverno.policy.namespace"), "shop");
}

#[test]
fn a_call_continues_the_trace_of_its_client_and_follows_its_decision() {
    let (instruments, kept) = scene();
    let parent =
        |flags: &str| format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}");
    let unsampled = parent("00");
    assert!(start(instruments.spans(), &[("traceparent", &unsampled)], CALLED).is_none());
    let sampled = parent("01");
    let call = start(instruments.spans(), &[("traceparent", &sampled)], CALLED).unwrap();
    call.end(StatusCode::OK, None);
    let [span] = &kept.take()[..] else { panic!("there is one span") };
    let trace = span.span_context.trace_id().to_string();
    assert_eq!(trace, "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(span.parent_span_id.to_string(), "b7ad6b7169203331");
}

#[test]
fn a_path_that_is_no_route_is_no_name_and_a_failure_of_ours_is_an_error() {
    let (instruments, kept) = scene();
    let call = |path, status| start(instruments.spans(), &[], path).unwrap().end(status, None);
    call("/secret/admin", StatusCode::NOT_FOUND);
    call("/validate/fail", StatusCode::SERVICE_UNAVAILABLE);
    drop(start(instruments.spans(), &[], "/validate/fail"));
    let [unknown, failed, left] = &kept.take()[..] else { panic!("there are three spans") };
    assert_eq!((&*unknown.name, &unknown.status), ("POST", &Status::Unset));
    assert_eq!(failed.status, Status::error(""));
    assert_eq!(text(failed, "error.type"), "503");
    assert_eq!(text(left, "error.type"), "Cancelled");
}

#[tokio::test]
async fn without_a_recorded_call_there_is_no_span_and_nobody_asks_for_details() {
    let (instruments, kept) = scene();
    let nobody = || panic!("nobody asks");
    let subject = instruments.begin_review(Operation::Create, false, "Pod", None, &nobody);
    instruments.record_review(&subject, &review());
    assert_eq!(subject.within(async { 1 }).await, 1);
    assert!(kept.take().is_empty());
}

#[tokio::test]
async fn the_span_of_a_review_is_current_within_it_and_within_no_other_work() {
    let (instruments, kept) = scene();
    let call = start(instruments.spans(), HEADERS, CALLED).unwrap();
    let current = || Context::map_current(|now| now.span().span_context().span_id());
    let work = async {
        let subject = instruments.begin_review(Operation::Create, false, "Pod", None, &details);
        let of_review = subject.within(async { current() }).await;
        instruments.record_review(&subject, &review());
        [of_review, current()]
    };
    let seen = within(&call, work).await;
    call.end(StatusCode::OK, None);
    assert_eq!(kept.take().iter().map(|it| it.span_context.span_id()).collect::<Vec<_>>(), seen);
    assert_eq!(current(), SpanId::INVALID);
}

/// The first span of a tree that `matches`.
fn find<'a>(
    spans: &'a serde_json::Value,
    matches: &dyn Fn(&str) -> bool,
) -> Option<&'a serde_json::Value> {
    spans.as_array()?.iter().find_map(|span| {
        let found = matches(span["name"].as_str().unwrap()).then_some(span);
        found.or_else(|| find(&span["children"], matches))
    })
}

/// What Kyverno tells and we do not know, or tell once for all that is refused.
const NOT_TOLD: [&str; 2] = ["admission.request.roles", "admission.request.clusterroles"];

#[test]
fn each_span_has_the_attributes_that_a_real_kyverno_sent() {
    let Some(kyverno) = pharos_testkit::golden::kyverno_otlp() else { return };
    for (declaration, name) in
        [(&declared::CALL, "POST"), (&declared::REVIEW, "VALIDATE CREATE /v1, Kind=Pod")]
    {
        let sent = find(&kyverno["trace"], &|it| it == name).unwrap();
        let sent: BTreeMap<String, serde_json::Value> =
            serde_json::from_value(sent["attributes"].clone()).unwrap();
        for key in sent.keys().filter(|key| !NOT_TOLD.contains(&key.as_str())) {
            assert!(declaration.attributes.iter().any(|it| it.key == key), "{name}: {key}");
        }
    }
}
