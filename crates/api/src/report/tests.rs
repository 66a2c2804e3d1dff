use serde_json::json;

use super::*;

/// What Kyverno 1.19 wrote about a Pod.
fn written() -> serde_json::Value {
    json!({
        "apiVersion": "wgpolicyk8s.io/v1alpha2", "kind": "PolicyReport",
        "metadata": {
            "name": "2e8b0e9c-0cbd-4f6c-a1a3-5a4d41ba3a37", "namespace": "shop",
            "labels": {"app.kubernetes.io/managed-by": "kyverno"},
        },
        "scope": {
            "apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "web",
            "uid": "2e8b0e9c-0cbd-4f6c-a1a3-5a4d41ba3a37",
        },
        "summary": {"pass": 0, "fail": 1, "warn": 0, "error": 0, "skip": 0},
        "results": [{
            "source": "KyvernoValidatingPolicy", "policy": "no-latest", "category": "Best Practices",
            "severity": "medium", "timestamp": {"seconds": 1_700_000_000, "nanos": 0},
            "result": "fail", "scored": true, "message": "an image without a tag",
            "properties": {"process": "background scan"},
        }],
    })
}

#[test]
fn a_report_is_read_and_written_as_kyverno_writes_it() {
    let report: Report = serde_json::from_value(written()).unwrap();
    assert_eq!(report.types, Some(ReportKind::PolicyReport.types()));
    assert_eq!(report.results[0].severity, Some(Severity::Medium));
    assert_eq!(serde_json::to_value(&report).unwrap(), written());
}

#[test]
fn a_report_of_others_is_read_whatever_it_leaves_out() {
    let sparse = json!({"metadata": {"name": "x"}, "results": [{"policy": "p"}]});
    let report: Report = serde_json::from_value(sparse).unwrap();
    assert_eq!((report.summary, report.results[0].result), (Summary::default(), None));
}

#[test]
fn every_outcome_is_counted() {
    let outcomes = [
        Outcome::Pass,
        Outcome::Fail,
        Outcome::Fail,
        Outcome::Warn,
        Outcome::Error,
        Outcome::Skip,
        Outcome::Skip,
        Outcome::Skip,
    ];
    let result = |outcome| ReportResult { result: Some(outcome), ..ReportResult::default() };
    let results = outcomes.map(result);
    let expected = Summary { pass: 1, fail: 2, warn: 1, error: 1, skip: 3 };
    assert_eq!(Summary::of(&results), expected);
}

#[test]
fn every_severity_is_read_by_its_name_and_no_other() {
    let severities =
        [Severity::Critical, Severity::High, Severity::Low, Severity::Medium, Severity::Info];
    for severity in severities {
        let name = serde_json::to_value(severity).unwrap();
        assert_eq!(Severity::parse(name.as_str().unwrap()), Some(severity));
    }
    assert_eq!(Severity::parse("High"), None, "Kyverno takes no other case either");
}

/// The kinds, their names and where they live, as the two APIs publish them.
#[test]
fn every_kind_is_defined_under_its_published_names() {
    let told = ReportKind::ALL.map(|kind| {
        let crd = kind.crd();
        let (spec, names) = (&crd.spec, &crd.spec.names);
        assert_eq!(crd.metadata.name, Some(format!("{}.{}", names.plural, spec.group)));
        let short = names.short_names.as_ref().unwrap().join(",");
        let [version] = &spec.versions[..] else { panic!("{} versions", spec.versions.len()) };
        assert!(version.served && version.storage && version.subresources.is_none());
        format!("{}/{} {} {short} {}", spec.group, version.name, names.kind, spec.scope)
    });
    assert_eq!(
        told,
        [
            "wgpolicyk8s.io/v1alpha2 PolicyReport polr Namespaced",
            "wgpolicyk8s.io/v1alpha2 ClusterPolicyReport cpolr Cluster",
            "openreports.io/v1alpha1 Report reps Namespaced",
            "openreports.io/v1alpha1 ClusterReport creps Cluster",
        ]
    );
}

/// What the definition leaves out, an API server drops.
#[test]
fn no_field_that_kyverno_writes_is_missing_in_the_definition() {
    let crd = serde_json::to_value(ReportKind::PolicyReport.crd()).unwrap();
    let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    let written = written();
    for (at, value) in [
        ("/scope/properties", &written["scope"]),
        ("/summary/properties", &written["summary"]),
        ("/results/items/properties", &written["results"][0]),
    ] {
        for field in value.as_object().unwrap().keys() {
            assert!(schema.pointer(at).unwrap().get(field).is_some(), "{at}/{field}");
        }
    }
}
