//! What exceptions change.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use pharos_policy::{
    Clock, CompiledException, Json, Origin, PolicySet, Request, RuleResult, Skipped, StatusReason,
    compile_exception, evaluate,
};
use serde_json::{Value, json};

use crate::support::{compiled, exception, raw_exception, request};

/// It is the second of January 2026.
struct Then;

impl Clock for Then {
    fn instant(&self) -> Instant {
        Instant::now()
    }

    fn now(&self) -> Timestamp {
        "2026-01-02T00:00:00Z".parse().expect("a time")
    }
}

const EXEMPT: RuleResult = RuleResult::Skip { because: Skipped::Exception };

/// What a policy that nothing passes says beside these exceptions, and those that it names.
fn judge(
    failure_policy: &str,
    exceptions: impl IntoIterator<Item = Arc<CompiledException>>,
) -> (RuleResult, Vec<String>) {
    let spec = json!({"failurePolicy": failure_policy, "validations": [{"expression": "false"}]});
    let set = PolicySet::new(Origin::Admission, [compiled("policy", spec)], exceptions);
    let raw = request(json!({}));
    let raw = Json::from(raw);
    let request = Request::parse(&raw).expect("the request is well-formed");
    let mut evaluation = evaluate(&set, &request, &Then);
    let rule = evaluation.outcomes.remove(0).rules.remove(0);
    (rule.result, rule.exceptions.iter().map(|it| it.name().to_string()).collect())
}

fn when(expression: &str) -> Value {
    json!({"matchConditions": [{"name": "c", "expression": expression}]})
}

#[test]
fn an_exception_applies_when_all_its_conditions_are_true() {
    for (spec, applies) in [
        (json!({}), true),
        (when("object.metadata.name == 'web'"), true),
        (when("object.metadata.name == 'other'"), false),
        (when("request.userInfo.username == 'alice'"), true),
        (
            json!({"matchConditions": [
                {"name": "a", "expression": "true"}, {"name": "b", "expression": "false"},
            ]}),
            false,
        ),
        (json!({"policyRefs": [{"name": "other", "kind": "ValidatingPolicy"}]}), false),
        (json!({"policyRefs": [{"name": "policy", "kind": "NamespacedValidatingPolicy"}]}), false),
        (
            json!({"policyRefs": [
                {"name": "policy", "kind": "MutatingPolicy"},
                {"name": "policy", "kind": "ValidatingPolicy"},
            ]}),
            true,
        ),
    ] {
        let (result, named) = judge("Ignore", [exception("e", spec.clone())]);
        assert_eq!(result == EXEMPT, applies, "{spec}");
        assert_eq!(named.is_empty(), !applies, "{spec}");
    }
}

#[test]
fn an_exception_ends() {
    for (expires_at, applies) in [
        ("2026-01-01T00:00:00Z", false),
        ("2026-01-02T00:00:00Z", true),
        ("2026-01-03T00:00:00Z", true),
    ] {
        let (result, _) = judge("Ignore", [exception("e", json!({"expiresAt": expires_at}))]);
        assert_eq!(result == EXEMPT, applies, "{expires_at}");
    }
}

#[test]
fn the_exception_of_the_highest_priority_says_what_is_reported() {
    let with = |name: &str, report: &str, priority: &str| {
        let mut exception = raw_exception(name, json!({"reportResult": report}));
        let labels = [("polex.kyverno.io/priority".to_owned(), priority.to_owned())];
        exception.metadata.labels = Some(labels.into());
        Arc::new(compile_exception(&exception).expect("the exception compiles"))
    };
    let of = |exceptions: [(&str, &str, &str); 2]| {
        judge("Ignore", exceptions.map(|(name, report, priority)| with(name, report, priority)))
    };
    let both = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(of([("a", "skip", ""), ("b", "pass", "")]), (EXEMPT, both.clone()));
    assert_eq!(of([("a", "pass", "-1"), ("b", "skip", "0")]), (RuleResult::Pass, both.clone()));
    assert_eq!(of([("a", "skip", "1"), ("b", "pass", "2")]), (RuleResult::Pass, both.clone()));
    assert_eq!(of([("b", "pass", "1"), ("a", "skip", "1")]), (EXEMPT, both));
}

#[test]
fn an_exception_that_cannot_be_judged_excepts_nothing() {
    let broken = || exception("b", when("object.nope == 1"));
    let (result, _) = judge("Ignore", [broken()]);
    assert_eq!(result.as_str(), "fail");
    let (RuleResult::Error { message, validation: None }, _) = judge("Fail", [broken()]) else {
        panic!("a policy that fails closed says what it could not judge");
    };
    assert!(
        message.starts_with("PolicyException exceptions/b: spec.matchConditions[c]"),
        "{message}"
    );
    // Another one has exempted the request before, or comes too late.
    assert_eq!(judge("Fail", [broken(), exception("a", json!({}))]).0, EXEMPT);
    assert_eq!(judge("Fail", [broken(), exception("z", json!({}))]).0.as_str(), "error");
}

#[test]
fn an_exception_with_allowances_leaves_the_policy_to_judge() {
    for spec in [json!({"images": ["nginx*"]}), json!({"allowedValues": ["x"]})] {
        let (result, named) = judge("Ignore", [exception("e", spec)]);
        assert_eq!((result.as_str(), named.len()), ("fail", 0));
    }
    // Beside one without, all that apply are named.
    let allowing = exception("a", json!({"images": ["nginx*"]}));
    let (result, named) = judge("Ignore", [allowing, exception("b", json!({}))]);
    assert_eq!((result, named), (EXEMPT, vec!["a".to_owned(), "b".to_owned()]));
}

#[test]
fn expressions_see_what_the_exceptions_that_apply_allow() {
    let spec = json!({"validations": [{
        "expression": "object.metadata.name in exceptions.allowedValues \
                       || exceptions.allowedImages.exists(i, i == 'nginx')",
        "messageExpression": "string(exceptions.allowedValues.size()) + ' values'",
    }]});
    let of = |exceptions: &[Value]| {
        let exceptions: Vec<_> = exceptions
            .iter()
            .enumerate()
            .map(|(index, spec)| exception(&format!("e{index}"), spec.clone()))
            .collect();
        let set = PolicySet::new(Origin::Admission, [compiled("policy", spec.clone())], exceptions);
        let raw = request(json!({}));
        let raw = Json::from(raw);
        let request = Request::parse(&raw).expect("the request is well-formed");
        evaluate(&set, &request, &Then).outcomes.remove(0).rules.remove(0).result
    };
    let fails = |values: usize| RuleResult::Fail {
        message: format!("{values} values"),
        validation: 0,
        reason: StatusReason::Invalid,
    };
    let values = |names: &[&str]| json!({"allowedValues": names});
    assert_eq!(of(&[]), fails(0));
    assert_eq!(of(&[values(&["a"]), values(&["b", "c"])]), fails(3));
    assert_eq!(of(&[values(&["a"]), values(&["b", "web"])]), RuleResult::Pass);
    assert_eq!(of(&[json!({"images": ["nginx"]})]), RuleResult::Pass);
    let mut elsewhere = when("request.namespace != 'default'");
    elsewhere["allowedValues"] = json!(["web"]);
    assert_eq!(of(&[elsewhere]), fails(0));
}

#[test]
fn an_exception_from_a_policy_for_pods_is_one_for_what_makes_them() {
    let spec = json!({"validations": [{"expression": "false"}]});
    let by_name = exception("e", when("object.metadata.name == 'web'"));
    let set = PolicySet::new(Origin::Admission, [compiled("policy", spec)], [by_name]);
    for (name, expected) in [("web", "skip"), ("other", "fail")] {
        let raw = request(json!({
            "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
            "object": {"metadata": {"name": name}},
        }));
        let raw = Json::from(raw);
        let request = Request::parse(&raw).expect("the request is well-formed");
        let evaluation = evaluate(&set, &request, &Then);
        assert_eq!(evaluation.outcomes[0].rules[0].result.as_str(), expected);
    }
}

#[test]
fn what_is_wrong_with_an_exception_is_said_by_field() {
    for (spec, path, reason) in [
        (json!({"policyRefs": []}), "spec.policyRefs", "Invalid"),
        (
            json!({"policyRefs": [{"name": "", "kind": "ValidatingPolicy"}]}),
            "spec.policyRefs[0].name",
            "Invalid",
        ),
        (json!({"evaluationMode": "Envoy"}), "spec.evaluationMode", "Unsupported"),
        (when("object."), "spec.matchConditions[0].expression", "CompileError"),
        (when("nope"), "spec.matchConditions[0].expression", "UnknownVariable"),
    ] {
        let errors = compile_exception(&raw_exception("e", spec)).expect_err("it has a problem");
        let found: Vec<_> = errors.iter().map(|error| (error.path(), error.reason())).collect();
        assert_eq!(found, [(path, reason)]);
    }
}
