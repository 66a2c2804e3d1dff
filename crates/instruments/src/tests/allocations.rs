//! What the telemetry of a review allocates: nothing, once there was one like it.

use allocation_counter::{AllocationInfo, measure};
use opentelemetry_sdk::trace::Sampler;

use super::*;
use crate::testing::kept_spans;

/// Instruments that run as long as what comes with them, and sample nothing.
fn instruments() -> (Instruments, impl Sized) {
    let (instruments, running) = Instruments::running();
    let (spans, kept) = kept_spans(Sampler::AlwaysOff);
    (instruments.with_spans(spans), (running, kept))
}

/// What one review under these policies allocates when each series is known.
fn of_one_review(instruments: &Instruments, names: &[String]) -> AllocationInfo {
    let review_once = || {
        let details = || panic!("nobody asks about a review without a span");
        let subject = instruments.begin_review(CREATE, false, "Pod", Some("t1"), &details);
        for name in names {
            tell(instruments, &subject, &passed(name));
            let legacy = policy(PolicyKind::ClusterPolicy, name);
            tell(instruments, &subject, &rule(legacy, "a-rule", PolicyResult::Fail));
        }
        instruments.record_review(&subject, &review());
    };
    review_once();
    measure(review_once)
}

#[test]
fn telemetry_of_a_review_like_one_before_allocates_nothing() {
    let (instruments, _running) = instruments();
    let names: Vec<_> = (0..16).map(|index| format!("policy-{index}")).collect();
    let counted = [0, 1, 4, 16].map(|count| of_one_review(&instruments, &names[..count]));
    for allocations in counted {
        assert_eq!(allocations.count_total, 0);
    }
}

#[test]
fn a_record_allocates_nothing() {
    let (instruments, _running) = instruments();
    let subject = subject();
    let record = || {
        tell(&instruments, &subject, &passed("require-labels"));
        instruments.record_review(&subject, &review());
        instruments.record_refusal("BadRequest");
    };
    record();
    assert_eq!(measure(record).count_total, 0);
}

#[test]
fn a_call_that_is_not_sampled_allocates_nothing() {
    let (instruments, _running) = instruments();
    let (method, uri) = (http::Method::POST, "/validate/fail?timeout=10s".parse().unwrap());
    let headers = [(http::header::HOST, "webhook.pharos.svc".parse().unwrap())].into_iter();
    let facts = CallFacts {
        method: &method,
        uri: &uri,
        version: http::Version::HTTP_2,
        headers: &headers.collect(),
        route: Some("/validate/fail"),
        peer: ([127, 0, 0, 1], 1).into(),
    };
    let call = || instruments.begin_call(&facts).end(http::StatusCode::OK, Some(1));
    call();
    assert_eq!(measure(call).count_total, 0);
}
