//! What evaluation costs in memory: nothing without a policy, and never a copy of the object.
#![expect(clippy::panic, reason = "a clock that nobody may read")]

use std::hint::black_box;
use std::time::Instant;

use allocation_counter::measure;
use jiff::Timestamp;
use pharos_policy::{Clock, Json, Origin, PolicySet, Request, SystemClock, evaluate};
use serde_json::{Value, json};

use crate::support::{compiled, request};

/// Nobody needs the time.
struct Untimed;

impl Clock for Untimed {
    fn instant(&self) -> Instant {
        panic!("nobody needs the time")
    }

    fn now(&self) -> Timestamp {
        panic!("nobody needs the time")
    }
}

/// A Pod of more than a megabyte: in one string, in many labels, and in many containers.
fn megabyte_pod() -> Value {
    let containers: Vec<_> = (0..200)
        .map(|index| json!({"name": format!("c{index}"), "image": "x".repeat(1 << 10)}))
        .collect();
    let labels: serde_json::Map<_, _> =
        (0..2000).map(|index| (format!("label-{index}"), json!("v".repeat(100)))).collect();
    request(json!({"object": {
        "metadata": {"name": "web", "labels": labels, "annotations": {"a": "x".repeat(1 << 20)}},
        "spec": {"containers": containers},
    }}))
}

fn bytes_allocated(set: &PolicySet, raw: &Value) -> u64 {
    let raw = Json::from(raw.clone());
    let request = Request::parse(&raw).expect("the request is well-formed");
    // Once before, for what is only made once.
    black_box(evaluate(set, &request, &SystemClock));
    let mut outcomes = 0;
    let measured = measure(|| outcomes = evaluate(set, &request, &SystemClock).outcomes.len());
    assert_eq!(outcomes, set.len());
    measured.bytes_total
}

#[test]
fn without_a_policy_about_the_resource_nothing_is_allocated() {
    let raw = megabyte_pod();
    let raw = Json::from(raw);
    let request = Request::parse(&raw).expect("the request is well-formed");
    let rules = json!({"resourceRules": [{
        "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["*"],
    }]});
    let others =
        (0..100).map(|index| compiled(&format!("p{index}"), json!({"matchConstraints": rules})));
    for set in [PolicySet::default(), PolicySet::new(Origin::Admission, others, [])] {
        let measured = measure(|| {
            black_box(evaluate(&set, &request, &Untimed));
        });
        assert_eq!(measured.count_total, 0);
    }
}

#[test]
fn a_megabyte_object_is_evaluated_in_a_few_kilobytes() {
    let raw = megabyte_pod();
    let set = crate::support::set(json!({
        "matchConditions": [{"name": "named", "expression": "object.metadata.name != ''"}],
        "variables": [
            {"name": "metadata", "expression": "object.metadata"},
            {"name": "huge", "expression": "object.metadata.annotations.a"},
        ],
        "validations": [
            {"expression": "variables.metadata.labels['label-7'].startsWith('v')"},
            {"expression": "variables.huge.endsWith('x') && variables.huge == object.metadata.annotations.a"},
            {"expression": "object.metadata == object.metadata.?labels.orValue({}) || true"},
            {"expression": "request.userInfo.username == 'alice' && oldObject == null"},
            {"expression": "object.spec.containers[199].image.matches('^x+$')"},
        ],
    }));
    let bytes = bytes_allocated(&set, &raw);
    assert!(bytes < 8 << 10, "{bytes} bytes");
}

#[test]
fn a_loop_allocates_for_its_steps_and_not_for_what_it_steps_over() {
    let raw = megabyte_pod();
    let set = crate::support::set(json!({"validations": [
        {"expression": "object.spec.containers.all(c, c.image != '')"},
    ]}));
    let per_step = bytes_allocated(&set, &raw) / 200;
    assert!(per_step < 512, "{per_step} bytes a step");
}

#[test]
fn ten_policies_cost_ten_times_as_little() {
    let raw = megabyte_pod();
    let spec = json!({"validations": [{"expression": "object.metadata.name == 'web'"}]});
    let set = |count| {
        let policies = (0..count).map(|index| compiled(&format!("p{index}"), spec.clone()));
        PolicySet::new(Origin::Admission, policies, [])
    };
    let (one, ten) = (bytes_allocated(&set(1), &raw), bytes_allocated(&set(10), &raw));
    assert!(ten - one < 9 << 10, "{one} bytes for one, {ten} for ten");
}
