use pharos_api::report::Outcome;

use super::*;

const UID: &str = "2e8b0e9c-0cbd-4f6c-a1a3-5a4d41ba3a37";

fn subject(namespace: &str) -> Subject<'_> {
    Subject { api_version: "apps/v1", kind: "Deployment", namespace, name: "web", uid: UID }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanos: 0 }
}

fn result(policy: &str, outcome: Outcome, timestamp: Timestamp) -> ReportResult {
    ReportResult {
        policy: policy.to_owned(),
        result: Some(outcome),
        timestamp,
        ..ReportResult::default()
    }
}

fn desired(results: &[ReportResult]) -> Desired {
    let api = ReportApi::PolicyReports;
    Desired::of(&subject("shop"), api, results.to_vec()).unwrap()
}

#[test]
fn a_report_is_named_after_its_resource_and_belongs_to_it() {
    let desired = desired(&[result("a", Outcome::Fail, at(1))]);
    let report = desired.report();
    let owner = &report.metadata.owner_references.as_ref().unwrap()[0];
    assert_eq!(report.metadata.name.as_deref(), Some(UID));
    assert_eq!(report.metadata.namespace.as_deref(), Some("shop"));
    assert_eq!((&*owner.api_version, &*owner.kind, &*owner.uid), ("apps/v1", "Deployment", UID));
    assert_eq!(owner.controller, None);
    assert_eq!(report.scope.as_ref().unwrap().name, "web");
    assert_eq!(report.summary, Summary { fail: 1, ..Summary::default() });
    assert_eq!(report.types.as_ref().unwrap().kind, "PolicyReport");
}

#[test]
fn what_is_in_no_namespace_has_a_report_of_the_cluster_in_either_api() {
    for (api, kinds) in [
        (ReportApi::PolicyReports, [ReportKind::PolicyReport, ReportKind::ClusterPolicyReport]),
        (ReportApi::OpenReports, [ReportKind::Report, ReportKind::ClusterReport]),
    ] {
        let kind = |namespace: &str| {
            let results = vec![result("a", Outcome::Pass, at(1))];
            Desired::of(&subject(namespace), api, results).unwrap().kind
        };
        assert_eq!([kind("shop"), kind("")], kinds);
    }
}

#[test]
fn an_object_that_no_policy_is_about_has_no_report() {
    let api = ReportApi::PolicyReports;
    assert_eq!(Desired::of(&subject("shop"), api, Vec::new()), None);
}

#[test]
fn a_digest_is_of_what_a_report_says_and_not_of_when() {
    let fail = desired(&[result("a", Outcome::Fail, at(1))]);
    assert_eq!(fail.digest, desired(&[result("a", Outcome::Fail, at(2))]).digest);
    for other in [
        vec![result("a", Outcome::Pass, at(1))],
        vec![result("b", Outcome::Fail, at(1))],
        vec![result("a", Outcome::Fail, at(1)), result("b", Outcome::Pass, at(1))],
    ] {
        assert_ne!(fail.digest, desired(&other).digest, "{other:?}");
    }
    let digest = &fail.report().metadata.annotations.as_ref().unwrap()[DIGEST];
    assert_eq!(Digest::parse(digest), Some(fail.digest));
}

/// The report as the API server gives it back.
fn stored(desired: &Desired) -> Report {
    let mut report = desired.report().clone();
    report.metadata.resource_version = Some("7".to_owned());
    report.metadata.uid = Some("another".to_owned());
    report
}

#[test]
fn an_unchanged_verdict_makes_an_unchanged_report() {
    let before = stored(&desired(&[result("a", Outcome::Fail, at(1))]));
    let after = desired(&[result("a", Outcome::Fail, at(2))]);
    assert_eq!(after.over(&before, &Standing::default(), at(9)), Change::Nothing);
}

#[test]
fn only_results_that_changed_are_of_now() {
    let results = [result("a", Outcome::Fail, at(1)), result("b", Outcome::Pass, at(1))];
    let before = stored(&desired(&results));
    let after = desired(&[result("a", Outcome::Pass, at(2)), result("b", Outcome::Pass, at(2))]);
    let Change::Replace(report) = after.over(&before, &Standing::default(), at(9)) else {
        panic!("it changed")
    };
    let times: Vec<_> = report.results.iter().map(|it| it.timestamp.seconds).collect();
    assert_eq!(times, [2, 1]);
    assert_eq!(report.metadata.resource_version.as_deref(), Some("7"));
    assert_eq!(report.summary, Summary { pass: 2, ..Summary::default() });
}

#[test]
fn what_others_have_added_stays_and_what_they_have_changed_does_not() {
    let desired = desired(&[result("a", Outcome::Fail, at(1))]);
    let mut edited = stored(&desired);
    edited.metadata.labels.as_mut().unwrap().insert("team".to_owned(), "x".to_owned());
    assert_eq!(desired.over(&edited, &Standing::default(), at(9)), Change::Nothing);
    edited.results.clear();
    edited.metadata.owner_references = None;
    let Change::Replace(mended) = desired.over(&edited, &Standing::default(), at(9)) else {
        panic!("it changed")
    };
    assert_eq!(mended.metadata.labels.as_ref().unwrap()["team"], "x");
    assert_eq!((mended.results.len(), mended.summary.fail), (1, 1));
    assert!(mended.metadata.owner_references.is_some());
}

#[test]
fn a_report_holds_no_more_results_than_an_object_can_be_large() {
    let many = vec![result("a", Outcome::Pass, at(1)); MAX_RESULTS + 1];
    let report = desired(&many).report().clone();
    assert_eq!(report.results.len(), MAX_RESULTS);
    assert_eq!(usize::try_from(report.summary.pass).unwrap(), MAX_RESULTS);
}
