//! What policies say about requests.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use pharos_api::policy::{FailurePolicy, ValidationAction};
use pharos_policy::{
    Actions, Clock, GroupVersionResource, Json, MalformedRequest, Operation, Origin, PolicySet,
    Request, RuleResult, Skipped, StatusReason, SystemClock, evaluate,
};
use serde_json::{Value, json};

use crate::support::{compiled, judge, request, set};

fn fail(message: &str, validation: usize) -> RuleResult {
    RuleResult::Fail { message: message.to_owned(), validation, reason: StatusReason::Invalid }
}

#[test]
fn the_first_validation_that_is_not_true_decides() {
    let of =
        |validations: Value| judge(&set(json!({"validations": validations})), &request(json!({})));
    let (yes, no) =
        (json!({"expression": "true"}), json!({"expression": "false", "message": "no"}));
    let broken = json!({"expression": "object.spec.x == 1"});
    assert_eq!(of(json!([yes, yes])), Some(RuleResult::Pass));
    assert_eq!(of(json!([yes, no, broken])), Some(fail("no", 1)));
    let Some(RuleResult::Error { message, validation: Some(1) }) = of(json!([yes, broken, no]))
    else {
        panic!("an error comes before a failure after it");
    };
    assert_eq!(message, "spec.validations[1].expression: no such key: spec");
}

#[test]
fn the_message_is_the_expressions_or_the_messages_or_the_expression() {
    let long = "'".to_owned() + &"x".repeat(6000) + "'";
    for (message, message_expression, expected) in [
        (None, None, "failed expression: object.metadata.name == 'x'"),
        (Some("plain"), None, "plain"),
        (Some("  "), None, "failed expression: object.metadata.name == 'x'"),
        (Some("plain"), Some("object.metadata.name + ' is wrong'"), "web is wrong"),
        (None, Some("' trimmed '"), "trimmed"),
        (Some("plain"), Some("string(object.nope)"), "plain"),
        (Some("plain"), Some("' '"), "plain"),
        (Some("plain"), Some("'two\\nlines'"), "plain"),
        (Some("plain"), Some(long.as_str()), "plain"),
        (None, Some("variables.text"), "from a variable"),
    ] {
        let set = set(json!({
            "variables": [{"name": "text", "expression": "'from a variable'"}],
            "validations": [{
                "expression": "object.metadata.name == 'x'",
                "message": message,
                "messageExpression": message_expression,
            }],
        }));
        let result = judge(&set, &request(json!({})));
        assert_eq!(result, Some(fail(expected, 0)), "{message:?} {message_expression:?}");
    }
}

#[test]
fn a_failure_carries_the_reason_to_answer_with() {
    let set = set(json!({"validations": [{"expression": "false", "reason": "Forbidden"}]}));
    let Some(RuleResult::Fail { reason, .. }) = judge(&set, &request(json!({}))) else {
        panic!("the validation is false");
    };
    assert_eq!((reason.as_str(), reason.code()), ("Forbidden", 403));
}

#[test]
fn a_false_match_condition_skips_the_policy_whatever_the_others_say() {
    let of = |failure_policy: &str, conditions: &[&str]| {
        let conditions: Vec<_> = conditions
            .iter()
            .enumerate()
            .map(|(index, expression)| json!({"name": format!("c{index}"), "expression": expression}))
            .collect();
        let spec = json!({
            "failurePolicy": failure_policy, "matchConditions": conditions,
            "validations": [{"expression": "false"}],
        });
        judge(&set(spec), &request(json!({}))).expect("the policy is about Pods")
    };
    for open_or_closed in ["Ignore", "Fail"] {
        let of = |conditions| of(open_or_closed, conditions);
        assert_eq!(of(&["true", "request.operation == 'CREATE'"]).as_str(), "fail");
        let unmet = RuleResult::Skip { because: Skipped::MatchCondition };
        assert_eq!(of(&["true", "false"]), unmet);
        assert_eq!(of(&["object.nope == 1", "false"]), unmet);
    }
    let unknown = ["object.nope == 1", "true"];
    assert_eq!(of("Ignore", &unknown), RuleResult::Skip { because: Skipped::Unjudged });
    let RuleResult::Error { message, validation: None } = of("Fail", &unknown) else {
        panic!("a policy that fails closed says what it could not judge");
    };
    assert!(message.starts_with("spec.matchConditions[c0].expression: "), "{message}");
}

#[test]
fn a_state_that_there_is_not_has_no_fields() {
    let creation = set(json!({"validations": [
        {"expression": "!has(oldObject.metadata) && object.metadata.name == 'web'"},
    ]}));
    assert_eq!(judge(&creation, &request(json!({}))), Some(RuleResult::Pass));
    let set = set(json!({"validations": [
        {"expression": "!has(object.metadata) && oldObject.metadata.name == 'web'"},
    ]}));
    let deletion = request(json!({
        "operation": "DELETE", "object": null, "oldObject": {"metadata": {"name": "web"}},
    }));
    assert_eq!(judge(&set, &deletion), Some(RuleResult::Pass));
}

#[test]
fn expressions_see_the_whole_request() {
    let set = set(json!({"validations": [{"expression":
        "request.userInfo.username == 'alice' && 'dev' in request.userInfo.groups \
         && request.namespace == 'default' && request.resource.resource == 'pods' \
         && !has(request.subResource) && request.kind.kind == 'Pod'"}]}));
    assert_eq!(judge(&set, &request(json!({}))), Some(RuleResult::Pass));
}

#[test]
fn an_unknown_namespace_is_an_error_for_a_policy_that_selects_by_it() {
    let set = set(json!({"matchConstraints": {
        "resourceRules": [{
            "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"],
        }],
        "namespaceSelector": {"matchLabels": {"team": "a"}},
    }}));
    let pods = GroupVersionResource { group: "", version: "v1", resource: "pods" };
    assert!(set.needs_namespace(pods));
    assert!(!set.needs_namespace(GroupVersionResource { resource: "services", ..pods }));
    let raw = request(json!({}));
    let Some(RuleResult::Error { message, .. }) = judge(&set, &raw) else {
        panic!("the namespace is not known");
    };
    assert!(message.contains("namespaceSelector"), "{message}");

    let (ours, theirs) = (
        json!({"metadata": {"labels": {"team": "a"}}}),
        json!({"metadata": {"labels": {"team": "b"}}}),
    );
    let raw = Json::from(raw);
    let mut known = Request::parse(&raw).expect("the request is well-formed");
    let ours = Json::from(ours);
    known.namespace_object = Some(&ours);
    let evaluation = evaluate(&set, &known, &SystemClock);
    assert_eq!(evaluation.outcomes[0].rules[0].result, RuleResult::Pass);
    let theirs = Json::from(theirs);
    known.namespace_object = Some(&theirs);
    assert!(evaluate(&set, &known, &SystemClock).outcomes.is_empty());
}

#[test]
fn a_namespace_is_in_no_namespace() {
    let set = set(json!({
        "matchConstraints": {"resourceRules": [{
            "apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"],
            "resources": ["namespaces", "namespaces/*"],
        }]},
        "validations": [{"expression": "namespaceObject == null"}],
    }));
    for (operation, sub_resource) in [("CREATE", ""), ("UPDATE", "finalize"), ("DELETE", "")] {
        let raw = request(json!({
            "kind": {"group": "", "version": "v1", "kind": "Namespace"},
            "resource": {"group": "", "version": "v1", "resource": "namespaces"},
            "operation": operation, "subResource": sub_resource, "name": "web", "namespace": "web",
        }));
        assert_eq!(judge(&set, &raw), Some(RuleResult::Pass), "{operation} {sub_resource}");
        let namespace = json!({"metadata": {"name": "web"}});
        let raw = Json::from(raw);
        let mut known = Request::parse(&raw).expect("the request is well-formed");
        let namespace = Json::from(namespace);
        known.namespace_object = Some(&namespace);
        assert_eq!(
            evaluate(&set, &known, &SystemClock).outcomes[0].rules[0].result,
            RuleResult::Pass
        );
    }
}

/// Later by ever more at every look.
struct Ticking {
    start: Instant,
    ticks: Cell<u64>,
}

impl Clock for Ticking {
    fn instant(&self) -> Instant {
        self.ticks.set(self.ticks.get() + 1);
        self.start + Duration::from_millis(self.ticks.get() * self.ticks.get())
    }

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

#[test]
fn outcomes_come_in_the_order_of_names_each_with_its_time() {
    let clock = Ticking { start: Instant::now(), ticks: Cell::new(0) };
    let policies = ["c", "a", "b"].map(|name| compiled(name, json!({})));
    let set = PolicySet::new(Origin::Admission, policies, []);
    let raw = request(json!({}));
    let raw = Json::from(raw);
    let request = Request::parse(&raw).expect("the request is well-formed");
    let evaluation = evaluate(&set, &request, &clock);
    let facts: Vec<_> = evaluation
        .outcomes
        .iter()
        .map(|outcome| (outcome.policy.name(), outcome.elapsed.as_millis()))
        .collect();
    assert_eq!(facts, [("a", 3), ("b", 7), ("c", 11)]);
}

#[test]
fn a_policy_is_evaluated_once_however_many_of_its_rules_match() {
    let rule = |group: &str, resource: &str| json!({"apiGroups": [group], "apiVersions": ["*"], "operations": ["*"], "resources": [resource]});
    let rules = json!([
        rule("", "pods"),
        rule("*", "pods"),
        rule("", "*"),
        rule("*", "*"),
        rule("*", "*/*"),
    ]);
    let many = compiled("many", json!({"matchConstraints": {"resourceRules": rules}}));
    let other = compiled("other", json!({"autogen": {"podControllers": {"controllers": []}}}));
    let set = PolicySet::new(Origin::Admission, [many, other], []);
    let raw = request(json!({}));
    let raw = Json::from(raw);
    let request = Request::parse(&raw).expect("the request is well-formed");
    let evaluation = evaluate(&set, &request, &SystemClock);
    let names: Vec<_> = evaluation.outcomes.iter().map(|outcome| outcome.policy.name()).collect();
    assert_eq!(names, ["many", "other"]);
}

#[test]
fn a_set_holds_what_its_origin_evaluates_and_the_latest_of_each_name() {
    let disabled = |field: &str| json!({"evaluation": {field: {"enabled": false}}});
    let policies = [
        compiled("both", json!({})),
        compiled("scan", disabled("admission")),
        compiled("admission", disabled("background")),
        compiled("both", json!({"failurePolicy": "Ignore"})),
    ];
    let names = |origin| {
        let set = PolicySet::new(origin, policies.iter().map(Arc::clone), []);
        set.iter().map(|policy| policy.name().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(Origin::Admission), ["admission", "both"]);
    assert_eq!(names(Origin::BackgroundScan), ["both", "scan"]);
    let set = PolicySet::new(Origin::Admission, policies, []);
    let last = set.iter().last().expect("there are two");
    assert_eq!(last.failure_policy(), FailurePolicy::Ignore);
    assert_eq!(last.actions(), Actions::from_iter([ValidationAction::Deny]));
}

#[test]
fn a_malformed_request_is_refused_by_field() {
    for (fields, error) in [
        (json!({"uid": 7}), MalformedRequest::NotAString("uid")),
        (json!({"operation": "PATCH"}), MalformedRequest::UnknownOperation),
        (json!({"kind": null}), MalformedRequest::NotAString("kind.group")),
        (
            json!({"resource": {"group": "", "version": "v1"}}),
            MalformedRequest::NotAString("resource.resource"),
        ),
    ] {
        assert_eq!(Request::parse(&request(fields).into()).err(), Some(error));
    }
    for nonsense in [json!(null), json!([]), json!("x"), json!({})] {
        assert!(Request::parse(&nonsense.into()).is_err());
    }
    let raw = request(json!({"subResource": "", "namespace": "", "operation": "CONNECT"}));
    let raw = Json::from(raw);
    let parsed = Request::parse(&raw).expect("empty is absent");
    assert_eq!((parsed.sub_resource, parsed.namespace), (None, None));
    assert_eq!(parsed.operation, Operation::Connect);
    assert_eq!(parsed.uid, "3c0bd9ca");
}

/// What the only policy about the request says, with its annotations.
fn annotated(spec: Value) -> (RuleResult, Vec<(String, String)>) {
    let set = set(spec);
    let raw = request(json!({}));
    let raw = Json::from(raw);
    let request = Request::parse(&raw).expect("the request is well-formed");
    let mut evaluation = evaluate(&set, &request, &SystemClock);
    let rule = evaluation.outcomes.remove(0).rules.remove(0);
    let owned = |(key, value): (&str, String)| (key.to_owned(), value);
    (rule.result, rule.audit_annotations.into_iter().map(owned).collect())
}

#[test]
fn annotations_are_made_of_what_was_judged_whether_it_passed_or_not() {
    let spec = |verdict: &str, value: &str| {
        json!({
            "matchConditions": [{"name": "c", "expression": "object.metadata.name == 'web'"}],
            "variables": [{"name": "who", "expression": "request.userInfo.username"}],
            "validations": [{"expression": verdict, "message": "no"}],
            "auditAnnotations": [
                {"key": "who", "valueExpression": "variables.who"},
                {"key": "what", "valueExpression": value},
            ],
        })
    };
    let who = || ("who".to_owned(), "alice".to_owned());
    for (verdict, expected) in [("true", RuleResult::Pass), ("false", fail("no", 0))] {
        let what = ("what".to_owned(), "web".to_owned());
        let judged = annotated(spec(verdict, "' ' + object.metadata.name + ' '"));
        assert_eq!(judged, (expected.clone(), vec![who(), what]));
        for nothing in ["null", "''", "'  '"] {
            assert_eq!(annotated(spec(verdict, nothing)), (expected.clone(), vec![who()]));
        }
    }
    for (verdict, validation) in [("true", None), ("false", Some(0))] {
        let (result, annotations) = annotated(spec(verdict, "object.nope + ''"));
        let RuleResult::Error { message, validation: of } = result else {
            panic!("an annotation has no value");
        };
        assert!(message.starts_with("spec.auditAnnotations[1].valueExpression: "), "{message}");
        assert_eq!((of, annotations.len()), (validation, 0));
    }
    let (_, annotations) = annotated(spec("true", "'ä'.lowerAscii() + object.metadata.name"));
    assert_eq!(annotations[1].1, "äweb");
}

#[test]
fn an_outcome_says_how_many_steps_it_took() {
    let steps = |expression: &str| {
        let set = set(json!({"validations": [{"expression": expression}]}));
        let raw = request(json!({}));
        let raw = Json::from(raw);
        let request = Request::parse(&raw).expect("the request is well-formed");
        evaluate(&set, &request, &SystemClock).outcomes[0].rules[0].steps
    };
    let (few, many) = (steps("true"), steps("[1, 2, 3, 4].all(x, x > 0)"));
    assert!(0 < few && few + 4 < many, "{few} and {many}");
}
