use super::*;

fn results() -> Results {
    let check = |outcome: &str| serde_json::json!({"outcome": outcome, "reason": "Want pass, got fail", "message": ""});
    let suite = |folder: &str, kind: &str, checks: &[&str]| {
        serde_json::json!({
            "file": format!("{SUITES}/{folder}/.kyverno-test/kyverno-test.yaml"),
            "policies": [{"kind": kind}, {"kind": kind}],
            "checks": checks.iter().map(|it| check(it)).collect::<Vec<_>>(),
        })
    };
    let broken =
        serde_json::json!({"file": format!("{SUITES}/d/kyverno-test.yaml"), "broken": "no file"});
    let mut results: Results = serde_json::from_value(serde_json::json!({"suites": [
        suite("a", "ValidatingPolicy", &["pass", "excluded"]),
        suite("b", "ValidatingPolicy", &["pass", "fail"]),
        suite("c", "MutatingPolicy", &["unsupported"]),
        broken,
    ]}))
    .unwrap();
    results.suites.iter_mut().for_each(|suite| suite.name_after_its_folder(SUITES));
    results
}

#[test]
fn a_failure_that_nobody_explains_is_a_finding() {
    let expected = ["b does not hold: Want pass, got fail", "d does not hold: no file"];
    assert_eq!(unexplained(&results().suites), expected);
}

#[test]
fn an_explanation_of_what_holds_is_a_finding() {
    let mut results = results();
    let held = serde_json::json!({"file": "e", "policies": [{"kind": "MutatingPolicy"}],
        "checks": [{"outcome": "pass", "reason": "Ok"}]});
    results.suites = vec![serde_json::from_value(held).unwrap()];
    let found = unexplained(&results.suites);
    assert!(found[0].contains("e holds"), "{found:?}");
}

#[test]
fn the_page_has_a_rate_for_each_kind_and_a_sentence_for_each_failure() {
    let page = page::page(&results());
    for line in [
        "| MutatingPolicy | 1 | 0 | 0.0 % | 1 | 0 | 0 | 0 | 1 |",
        "| ValidatingPolicy | 2 | 1 | 50.0 % | 4 | 2 | 1 | 1 | 0 |",
        "| all | 4 | 1 | 25.0 % | 5 | 2 | 1 | 1 | 1 |",
        "- `c`: MutatingPolicies, which change resources, are not evaluated.",
        "- `d`: Nobody has said why.",
    ] {
        assert!(page.contains(&format!("{line}\n")), "{line} is not in {page}");
    }
}

#[test]
fn a_suite_that_holds_by_its_context_is_named_with_what_admission_says() {
    let mut results = results();
    assert!(!page::page(&results).contains("by a context"));
    let held = serde_json::json!({"file": "e", "policies": [{"kind": "ValidatingPolicy"}],
        "refusedByAdmission": [{"policy": {"name": "p"}, "message": "no resource.Get"}],
        "checks": [{"outcome": "pass", "reason": "Ok"}]});
    results.suites.push(serde_json::from_value(held).unwrap());
    let page = page::page(&results);
    assert!(page.contains("- `e`: no resource.Get\n"), "{page}");
}
