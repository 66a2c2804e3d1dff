use super::*;

fn object(kind: &str, namespace: &str, name: &str) -> ObjectId {
    let (kind, namespace, name) = (kind.to_owned(), namespace.to_owned(), name.to_owned());
    ObjectId { api_version: "v1".to_owned(), kind, namespace, name }
}

fn policy(kind: &str, name: &str) -> PolicyId {
    PolicyId { kind: kind.to_owned(), namespace: String::new(), name: name.to_owned() }
}

fn rules(rules: &[(&str, RuleResult)]) -> Verdict {
    let judgement = |(rule, result): &(&str, RuleResult)| Judgement {
        rule: (*rule).to_owned(),
        result: *result,
        message: "said".to_owned(),
        actions: Vec::new(),
    };
    Verdict::Judged(rules.iter().map(judgement).collect())
}

fn passes() -> Verdict {
    rules(&[("", RuleResult::Pass)])
}

/// One policy, and what it says about each object.
fn judged(policy: PolicyId, verdicts: Vec<(ObjectId, Verdict)>) -> Judged {
    let (objects, verdicts) = verdicts.into_iter().map(|(id, it)| (id, vec![it])).unzip();
    let runs = vec![Run { operation: None, verdicts }];
    Judged { policies: vec![policy], problems: vec![None], objects, runs }
}

fn expected(yaml: &str) -> Expectation {
    serde_saphyr::from_str(yaml).unwrap()
}

fn outcomes(checks: &[Check]) -> Vec<(&str, Outcome, &str)> {
    checks.iter().map(|it| (it.resource.as_str(), it.outcome, it.reason.as_str())).collect()
}

#[test]
fn resources_are_found_by_name_in_one_namespace_or_in_all() {
    let verdicts = vec![
        (object("Pod", "a", "x"), passes()),
        (object("Pod", "b", "x"), passes()),
        (object("Job", "a", "x"), passes()),
        (object("Pod", "a", "y"), passes()),
    ];
    let judged = judged(policy("ValidatingPolicy", "p"), verdicts);
    let found = |resources: &str| {
        let expected = expected(&format!("{{policy: p, result: pass, {resources}}}"));
        compare(&expected, &judged).into_iter().map(|it| it.resource).collect::<Vec<_>>()
    };
    assert_eq!(found("resources: [x]"), ["v1/Pod/a/x", "v1/Pod/b/x", "v1/Job/a/x"]);
    assert_eq!(found("resources: [b/x, y]"), ["v1/Pod/b/x", "v1/Pod/a/y"]);
    let spec = "resourceSpecs: [{version: v1, kind: Pod, namespace: b, name: x}]";
    assert_eq!(found(spec), ["v1/Pod/b/x"]);
    assert_eq!(found("resources: [nobody]").len(), 4, "no name that exists means all");
}

#[test]
fn a_check_holds_if_the_policy_says_what_is_expected() {
    let verdict = rules(&[("", RuleResult::Fail)]);
    let judged = judged(policy("ValidatingPolicy", "p"), vec![(object("Pod", "a", "x"), verdict)]);
    let outcome = |policy: &str, result: &str| {
        compare(&expected(&format!("{{policy: {policy}, result: {result}}}")), &judged)
    };
    let holds = outcome("n/p", "fail");
    assert_eq!(outcomes(&holds), [("v1/Pod/a/x", Outcome::Pass, "Ok")]);
    let fails = outcome("p", "pass");
    assert_eq!(outcomes(&fails), [("v1/Pod/a/x", Outcome::Fail, "Want pass, got fail")]);
    assert_eq!(fails[0].message, "said");
    let unknown = outcome("q", "fail");
    assert_eq!(outcomes(&unknown), [("v1/Pod/a/x", Outcome::Fail, "Not found")]);
}

#[test]
fn a_result_about_a_rule_is_about_those_that_are_generated_from_it_too() {
    let verdict = rules(&[
        ("r", RuleResult::Pass),
        ("autogen-r", RuleResult::Pass),
        ("autogen-cronjob-r", RuleResult::Pass),
        ("s", RuleResult::Fail),
    ]);
    let about = |kind: &str, rule: &str| {
        let verdicts = vec![(object("Pod", "a", "x"), verdict.clone())];
        let expected = expected(&format!("{{policy: p, rule: {rule}, result: pass}}"));
        let checks = compare(&expected, &judged(policy(kind, "p"), verdicts));
        checks.into_iter().map(|it| it.rule).collect::<Vec<_>>()
    };
    assert_eq!(about("ClusterPolicy", "r"), ["r", "autogen-r", "autogen-cronjob-r"]);
    assert_eq!(about("ClusterPolicy", "s"), ["s"]);
    assert_eq!(about("ClusterPolicy", "''").len(), 4);
    assert_eq!(about("ValidatingPolicy", "r").len(), 4, "its rule has no name");
}

#[test]
fn a_policy_that_is_not_about_the_resource_is_told_apart_from_one_that_holds() {
    let one = |verdict| {
        let verdicts = vec![(object("Pod", "a", "x"), verdict)];
        judged(policy("ClusterPolicy", "p"), verdicts)
    };
    let expected = expected("{policy: p, rule: r, result: fail}");
    let excluded = [("v1/Pod/a/x", Outcome::Excluded, "Excluded")];
    assert_eq!(outcomes(&compare(&expected, &one(Verdict::Excluded))), excluded);
    let other_rule = one(rules(&[("s", RuleResult::Pass)]));
    assert_eq!(outcomes(&compare(&expected, &other_rule)), excluded);
}

#[test]
fn what_is_not_evaluated_neither_holds_nor_fails_and_what_is_invalid_fails() {
    let outcome = |verdict, result: &str| {
        let verdicts = vec![(object("Pod", "a", "x"), verdict)];
        let expected = expected(&format!("{{policy: p, result: {result}}}"));
        compare(&expected, &judged(policy("MutatingPolicy", "p"), verdicts))[0].outcome
    };
    let (unsupported, invalid) =
        (Verdict::Unsupported(String::new()), Verdict::Invalid(String::new()));
    assert_eq!(outcome(unsupported.clone(), "pass"), Outcome::Unsupported);
    assert_eq!(outcome(unsupported, "skip"), Outcome::Unsupported);
    assert_eq!(outcome(invalid.clone(), "pass"), Outcome::Fail);
    assert_eq!(outcome(invalid, "skip"), Outcome::Pass);
}

#[test]
fn a_result_with_an_operation_is_about_the_run_of_that_operation() {
    let id = object("Pod", "a", "x");
    let mut judged = judged(policy("ValidatingPolicy", "p"), vec![(id, passes())]);
    let verdicts = vec![vec![rules(&[("", RuleResult::Fail)])]];
    judged.runs.push(Run { operation: Some(Operation::Delete), verdicts });
    let result = |yaml: &str| compare(&expected(yaml), &judged)[0].outcome;
    assert_eq!(result("{policy: p, result: fail, operation: DELETE}"), Outcome::Pass);
    assert_eq!(result("{policy: p, result: pass}"), Outcome::Pass);
}

#[test]
fn a_result_about_no_object_does_not_hold() {
    let mut judged = judged(policy("ValidatingPolicy", "p"), Vec::new());
    let outcome = |judged: &Judged, policy: &str| {
        let expected = expected(&format!("{{policy: {policy}, result: pass}}"));
        compare(&expected, judged).iter().map(|check| check.outcome).collect::<Vec<_>>()
    };
    assert_eq!(outcome(&judged, "p"), [Outcome::Fail]);
    judged.problems = vec![Some(Verdict::Unsupported("mode JSON".to_owned()))];
    assert_eq!(outcome(&judged, "p"), [Outcome::Unsupported]);
    assert_eq!(outcome(&judged, "q"), [Outcome::Fail]);
}
