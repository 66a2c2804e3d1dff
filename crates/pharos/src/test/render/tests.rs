use super::*;
use crate::judge::{PolicyId, Refusal};

fn check(outcome: Outcome, reason: &str, message: &str) -> Check {
    Check {
        policy: "p".to_owned(),
        rule: String::new(),
        resource: "v1/Pod/default/a".to_owned(),
        outcome,
        reason: reason.to_owned(),
        message: message.to_owned(),
    }
}

fn report() -> Report {
    let suite = |name: &str, tested| SuiteReport {
        file: format!("{name}/kyverno-test.yaml"),
        name: name.to_owned(),
        tested,
    };
    let ran = |checks| Tested::Ran {
        policies: Vec::new(),
        refused: Vec::new(),
        repeated: Vec::new(),
        checks,
    };
    Report::of(vec![
        suite(
            "good",
            ran(vec![check(Outcome::Pass, "Ok", ""), check(Outcome::Excluded, "Excluded", "")]),
        ),
        suite(
            "bad",
            ran(vec![
                check(Outcome::Fail, "Want pass, got fail", "no <label>\n\u{1b}[2J"),
                check(Outcome::Unsupported, "Unsupported", "no mutation"),
                check(Outcome::Unsupported, "Unsupported", "no mutation"),
            ]),
        ),
        suite("broken", Tested::Broken("no file".to_owned())),
    ])
}

#[test]
fn in_detail_a_table_has_what_policies_said_where_all_is_as_it_was_to_be() {
    let checks = vec![check(Outcome::Pass, "Ok", "no label"), check(Outcome::Pass, "Ok", "")];
    let tested =
        Tested::Ran { policies: Vec::new(), refused: Vec::new(), repeated: Vec::new(), checks };
    let report =
        Report::of(vec![SuiteReport { file: "f".to_owned(), name: String::new(), tested }]);
    let said = |shown| {
        let text = rendered(&report, TestOutput::Table, shown).unwrap();
        text.lines().filter(|line| line.contains("no label")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(said(Shown::Detailed), ["  1: no label"]);
    assert!(said(Shown::All).is_empty());
}

#[test]
fn a_table_shows_every_check_and_the_sum_hides_nothing() {
    let text = rendered(&report(), TestOutput::Table, Shown::All).unwrap();
    let expected = "\
good (good/kyverno-test.yaml)

  ID   POLICY   RULE   RESOURCE           RESULT   REASON
  1    p        -      v1/Pod/default/a   Pass     Ok
  2    p        -      v1/Pod/default/a   Pass     Excluded

bad (bad/kyverno-test.yaml)

  ID   POLICY   RULE   RESOURCE           RESULT        REASON
  1    p        -      v1/Pod/default/a   Fail          Want pass, got fail
  2    p        -      v1/Pod/default/a   Unsupported   Unsupported
  3    p        -      v1/Pod/default/a   Unsupported   Unsupported
  1: no <label>  [2J
  2: no mutation

broken (broken/kyverno-test.yaml)

  cannot be run: no file

2 tests: 2 checks passed (1 of them because the policy is not about the resource), 1 failed, \
2 not checked: this version does not evaluate what they are about; 1 tests cannot be run
";
    assert_eq!(text, expected);
}

#[test]
fn failures_only_leaves_out_what_holds_and_counts_it() {
    let text = rendered(&report(), TestOutput::Table, Shown::Failures).unwrap();
    assert!(!text.contains("good"), "{text}");
    assert!(text.contains("bad") && text.contains("broken"), "{text}");
    assert!(text.contains("2 checks passed"), "{text}");
}

#[test]
fn json_has_every_check_and_the_sum() {
    let text = rendered(&report(), TestOutput::Json, Shown::Failures).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["suites"][0]["checks"][1]["outcome"], "excluded");
    assert_eq!(json["suites"][1]["checks"][0]["message"], "no <label>\n\u{1b}[2J");
    assert_eq!(json["suites"][2]["broken"], "no file");
    assert_eq!(json["summary"]["unsupported"], 2);
}

#[test]
fn junit_has_a_suite_for_each_test_and_a_case_for_each_check() {
    let text = rendered(&report(), TestOutput::Junit, Shown::All).unwrap();
    for part in [
        "<testsuites tests=\"6\" failures=\"1\" errors=\"1\" skipped=\"2\">",
        "<testsuite name=\"good\" file=\"good/kyverno-test.yaml\" tests=\"2\" failures=\"0\"",
        "<failure message=\"Want pass, got fail\">no &lt;label&gt; \u{fffd}[2J</failure>",
        "<skipped message=\"no mutation\"/>",
        "<error message=\"no file\"/>",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert_eq!(text.matches("<testcase").count(), 6);
}

#[test]
fn a_policy_that_admission_refuses_is_told_in_every_form() {
    let policy = PolicyId {
        kind: "ValidatingPolicy".to_owned(),
        namespace: String::new(),
        name: "p".to_owned(),
    };
    let tested = Tested::Ran {
        policies: vec![policy.clone()],
        refused: vec![Refusal { policy, message: "there is no <resource.Get>".to_owned() }],
        repeated: Vec::new(),
        checks: vec![check(Outcome::Pass, "Ok", "")],
    };
    let (file, name) = ("t/kyverno-test.yaml".to_owned(), "t".to_owned());
    let report = Report::of(vec![SuiteReport { file, name, tested }]);
    let text = rendered(&report, TestOutput::Table, Shown::All).unwrap();
    let line = "  ValidatingPolicy p needs the context; admission refuses it: there is no <resource.Get>\n";
    assert!(text.contains(line), "{text}");
    let sum = "1 policies need a context and are refused by admission";
    assert!(text.contains(sum), "{text}");
    let failures = rendered(&report, TestOutput::Table, Shown::Failures).unwrap();
    assert!(failures.contains(sum), "{failures}");
    let json = rendered(&report, TestOutput::Json, Shown::All).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["suites"][0]["refusedByAdmission"][0]["policy"]["name"], "p");
    assert_eq!(json["summary"]["refusedByAdmission"], 1);
    let junit = rendered(&report, TestOutput::Junit, Shown::All).unwrap();
    assert!(junit.contains("admission refuses it: there is no &lt;resource.Get&gt;"), "{junit}");
    assert_eq!(junit.matches("<system-out>").count(), 1);
}
