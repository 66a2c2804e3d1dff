use super::*;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pharos_telemetry::{Config, Identity, InstrumentKind, Pipeline, Scrape};
use pharos_testkit::prometheus::{Sample, parse};

use crate::catalogue::metrics;
use crate::testing::{passed, policy, review, rule, subject, tell};

mod allocations;
mod declarations;

const CREATE: Operation = Operation::Create;

/// The labels that a Kyverno 1.19 has for [`review`]. Dashboards and alert rules are made of all
/// that follows: a change here breaks them.
const REVIEW_LABELS: [(&str, &str); 8] = [
    ("otel_scope_name", "kyverno"),
    ("otel_scope_schema_url", ""),
    ("otel_scope_version", ""),
    ("request_allowed", "true"),
    ("request_webhook", "ValidatingWebhookConfiguration"),
    ("resource_kind", "Pod"),
    ("resource_namespace", "t1"),
    ("resource_request_operation", "create"),
];

/// The labels that it has for [`passed`].
const POLICY_LABELS: [(&str, &str); 12] = [
    ("execution_cause", "admission_request"),
    ("otel_scope_name", "kyverno"),
    ("otel_scope_schema_url", ""),
    ("otel_scope_version", ""),
    ("policy_background_mode", "true"),
    ("policy_name", "require-labels"),
    ("policy_namespace", ""),
    ("policy_validation_mode", "Deny"),
    ("resource_kind", "Pod"),
    ("resource_namespace", "t1"),
    ("resource_request_operation", "create"),
    ("result", "pass"),
];

type Labels = [(&'static str, &'static str)];

/// Its families, with their types and the labels of their series.
const FAMILIES: [(&str, &str, &Labels); 4] = [
    ("kyverno_admission_requests_total", "counter", &REVIEW_LABELS),
    ("kyverno_admission_review_duration_seconds", "histogram", &REVIEW_LABELS),
    ("kyverno_validating_policy_execution_duration_seconds", "histogram", &POLICY_LABELS),
    ("kyverno_validating_policy_results_total", "counter", &POLICY_LABELS),
];

/// Its buckets, whatever is measured.
const BUCKETS: [&str; 16] = [
    "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "15", "20",
    "25", "30", "+Inf",
];

async fn exposition(record: impl FnOnce(&Instruments)) -> String {
    let identity = Identity::from_environment("1.0.0", &|_| None);
    let mut catalogue = Catalogue::new();
    let instruments = Instruments::declare(&mut catalogue);
    let (pipeline, mut reloader) = Pipeline::start(identity, catalogue).unwrap();
    record(&instruments);
    let prepared = reloader.prepare(Config::prometheus()).await.unwrap();
    prepared.commit().drain(Duration::ZERO).await;
    match pipeline.scrape() {
        Scrape::Text(page) => page,
        Scrape::Off => panic!("nothing to scrape"),
    }
}

/// The families of a page, with their types.
fn types_of(page: &str, wanted: impl Fn(&str) -> bool) -> BTreeMap<&str, &str> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    types.filter(|(family, _)| wanted(family)).collect()
}

/// Every series of a page, without its value.
fn series_of(
    page: &str,
    wanted: impl Fn(&str) -> bool,
) -> BTreeSet<(String, BTreeMap<String, String>)> {
    let samples: Vec<Sample> = parse(page).unwrap();
    let samples = samples.into_iter().filter(|sample| wanted(&sample.name));
    samples.map(|sample| (sample.name, sample.labels)).collect()
}

#[tokio::test]
async fn dashboards_made_for_kyverno_find_every_series_under_its_name() {
    let page = exposition(|instruments| {
        tell(instruments, &subject(), &passed("require-labels"));
        instruments.record_review(&subject(), &review());
    })
    .await;
    let is_named = |name: &str| FAMILIES.iter().any(|(family, ..)| name.starts_with(family));
    assert_eq!(types_of(&page, is_named), FAMILIES.map(|(family, kind, _)| (family, kind)).into());
    let mut expected = BTreeSet::new();
    for (family, kind, labels) in FAMILIES {
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let labels: BTreeMap<_, _> = labels.iter().copied().map(owned).collect();
        if kind == "counter" {
            expected.insert((family.to_owned(), labels));
            continue;
        }
        for bucket in BUCKETS {
            let mut labels = labels.clone();
            labels.extend([owned(("le", bucket))]);
            expected.insert((format!("{family}_bucket"), labels));
        }
        for suffix in ["sum", "count"] {
            expected.insert((format!("{family}_{suffix}"), labels.clone()));
        }
    }
    assert_eq!(series_of(&page, is_named), expected);
}

/// What Kyverno has and Pharos has not. The guide says why.
const NOT_HAD: [&str; 1] = ["kyverno_updaterequest_total"];
/// What both have, of their own: who calls what, which steps there are, and the version.
const OF_ITS_OWN: [&str; 3] =
    ["kyverno_client_queries_total", "kyverno_controller_reconcile_total", "kyverno_info"];

/// Records what the Kyverno of the golden file had done when it was scraped.
fn relive(instruments: &Instruments) {
    let (pod, of_cluster) = (dry_run(), |kind| Subject::of_request(CREATE, kind, None));
    let denied = Answer::Denied { code: 422, reason: "Invalid", message: "" };
    let mutating = AdmissionReviewFacts { webhook: Webhook::Mutating, ..review() };
    instruments.record_review(&pod, &review());
    instruments.record_review(&pod, &AdmissionReviewFacts { answer: denied, ..review() });
    instruments.record_review(&of_cluster("ClusterPolicy"), &review());
    instruments.record_review(&of_cluster("ClusterPolicy"), &mutating);
    instruments.record_review(&of_cluster("ValidatingPolicy"), &review());
    let tag = policy(PolicyKind::ClusterPolicy, "disallow-latest-tag");
    for result in [PolicyResult::Pass, PolicyResult::Fail] {
        tell(instruments, &pod, &RuleFacts { result, ..passed("require-labels") });
        tell(instruments, &pod, &rule(tag, "validate-image-tag", result));
    }
    instruments.record_policy_change(&tag, ChangeType::Created);
    let rules = ["", "autogen-", "autogen-cronjob-"];
    instruments.set_policies([PolicyInfo {
        kind: tag.kind,
        namespace: None,
        name: tag.name.into(),
        validation_mode: tag.validation_mode,
        background_mode: tag.background_mode,
        is_ready: true,
        rules: rules.map(|prefix| format!("{prefix}validate-image-tag").into()).into(),
    }]);
    instruments.record_deprecated_request("v1", PolicyKind::ClusterPolicy, "");
    let called = [
        ("/policymutate", Some("timeout=10s")),
        ("/policyvalidate", Some("timeout=10s")),
        ("/validate/fail", None),
        ("/validate/fail", Some("timeout=10s")),
        ("/verifymutate", Some("timeout=10s")),
        ("/vpol/require-labels", None),
        ("/vpol/require-labels", Some("timeout=10s")),
    ];
    called.into_iter().for_each(|(route, query)| call(instruments, route, query));
    instruments.record_reconcile("webhook-controller");
}

/// The creation of a Pod that stores nothing.
fn dry_run() -> Subject {
    let known = crate::known::KnownSubject::new(
        ExecutionCause::AdmissionRequest(CREATE),
        true,
        "Pod",
        Some("t1"),
        &std::sync::Arc::default(),
    );
    Subject { known: known.into(), span: None }
}

/// A request to a route, and its answer.
fn call(instruments: &Instruments, route: &'static str, query: Option<&str>) {
    let called = [route, query.map_or("", |_| "?"), query.unwrap_or_default()].concat();
    let facts = CallFacts {
        method: &http::Method::POST,
        uri: &called.parse().unwrap(),
        version: http::Version::HTTP_2,
        headers: &[(http::header::CONTENT_LENGTH, "2052".parse().unwrap())].into_iter().collect(),
        route: Some(route),
        peer: ([127, 0, 0, 1], 1).into(),
    };
    instruments.begin_call(&facts).end(http::StatusCode::OK, Some(2438));
}

#[tokio::test]
async fn every_series_of_a_real_kyverno_is_recorded_with_the_same_name_type_and_labels() {
    let Some(kyverno) = pharos_testkit::golden::kyverno_scrape() else { return };
    let page = exposition(relive).await;
    let of_kyverno = |name: &str| name.starts_with("kyverno_");
    let families = types_of(&kyverno, |name| of_kyverno(name) && !NOT_HAD.contains(&name));
    let ours = types_of(&page, of_kyverno);
    for (family, kind) in families {
        let counted = !["kyverno_client_queries_total"].contains(&family);
        assert_eq!(ours.get(family).copied(), counted.then_some(kind), "{family}");
    }
    let compared = |name: &str| {
        let known = NOT_HAD.iter().chain(&OF_ITS_OWN).any(|it| name.starts_with(it));
        of_kyverno(name) && !known
    };
    assert_eq!(series_of(&page, compared), series_of(&kyverno, compared));
    let keys = |page: &str, name: &str| {
        let samples = parse(page).unwrap();
        let of = samples.into_iter().find(|sample| sample.name == name).unwrap();
        of.labels.into_keys().collect::<Vec<_>>()
    };
    for name in ["kyverno_info", "kyverno_controller_reconcile_total"] {
        assert_eq!(keys(&page, name), keys(&kyverno, name), "{name}");
    }
}

#[tokio::test]
async fn what_is_recorded_has_the_attributes_that_are_declared() {
    let page = exposition(|instruments| {
        relive(instruments);
        instruments.record_refusal("BadRequest");
        instruments.record_requeue("webhook-controller", 3);
        instruments.record_drop("webhook-controller");
        instruments.record_dropped_events(2);
        instruments.record_report(ReportCircuit::Admission, ReportFate::Dropped);
        instruments.set_scan_progress(ScanProgress::default());
        instruments.record_lost_admission_results("QueueFull", 2);
    })
    .await;
    let samples = parse(&page).unwrap();
    for declaration in metrics::ALL.into_iter().filter(|it| **it != CLIENT_QUERIES) {
        let suffix = match declaration.kind {
            InstrumentKind::Histogram => "_count",
            _ => "",
        };
        let name = catalogue::prometheus_name(declaration) + suffix;
        let sample = samples.iter().find(|sample| sample.name == name).expect(&name);
        let keys = sample.labels.keys().filter(|key| !key.starts_with("otel_scope_"));
        let declared = declaration.attributes.iter().map(|key| key.replace('.', "_"));
        assert_eq!(keys.cloned().collect::<Vec<_>>(), declared.collect::<Vec<_>>(), "{name}");
        assert!(page.contains(declaration.description), "{name}");
    }
}

#[tokio::test]
async fn how_far_a_scan_is_and_what_becomes_of_its_reports_is_told() {
    let nothing = exposition(|_| {}).await;
    assert!(!nothing.contains("pharos_scan_"), "a process that does not scan says nothing");
    let page = exposition(|instruments| {
        instruments.set_scan_progress(ScanProgress { objects: 9, left: 9, waiting: 9, unread: 9 });
        instruments.set_scan_progress(ScanProgress { objects: 4, left: 3, waiting: 2, unread: 1 });
        for fate in [ReportFate::Kept, ReportFate::Dropped, ReportFate::Kept] {
            instruments.record_report(ReportCircuit::BackgroundScan, fate);
        }
        instruments.record_report(ReportCircuit::Admission, ReportFate::Kept);
    })
    .await;
    let samples = parse(&page).unwrap();
    let value = |name: &str, circuit: Option<&str>| {
        let of = samples.iter().find(|sample| {
            sample.name == name && sample.labels.get("circuit_name").map(String::as_str) == circuit
        });
        of.map(|sample| sample.value)
    };
    let names = ["objects", "objects_left", "reports_waiting", "resources_unread"];
    let gauges = names.map(|name| value(&format!("pharos_scan_{name}"), None));
    assert_eq!(gauges, [4.0, 3.0, 2.0, 1.0].map(Some));
    let (scans, admission) = (Some("background scan reports"), Some("admission reports"));
    assert_eq!(value("kyverno_breaker_total", scans), Some(3.0));
    assert_eq!(value("kyverno_breaker_drops_total", scans), Some(1.0));
    assert_eq!(value("kyverno_breaker_total", admission), Some(1.0));
    assert_eq!(value("kyverno_breaker_drops_total", admission), None);
}

#[tokio::test]
async fn what_anybody_can_call_makes_no_series_of_its_own() {
    let page = exposition(|instruments| {
        for index in 0..100 {
            call(instruments, "/validate/fail", Some(&format!("a={index}")));
            let facts = CallFacts {
                method: &http::Method::from_bytes(format!("M{index}").as_bytes()).unwrap(),
                uri: &format!("/{index}?timeout=10s").parse().unwrap(),
                version: http::Version::HTTP_11,
                headers: &http::HeaderMap::new(),
                route: None,
                peer: ([127, 0, 0, 1], 1).into(),
            };
            instruments.begin_call(&facts).end(http::StatusCode::NOT_FOUND, None);
        }
    })
    .await;
    let requests = series_of(&page, |name| name == "kyverno_http_requests_total");
    let urls: Vec<_> = requests.iter().map(|(_, labels)| &*labels["http_url"]).collect();
    assert_eq!(urls, ["/validate/fail", "other"]);
}

#[tokio::test]
async fn what_is_known_is_counted_as_what_is_not_and_forgotten_with_the_policies() {
    let page = exposition(|instruments| {
        let details = || RequestDetails::default();
        for _ in 0..3 {
            let known = instruments.begin_review(CREATE, false, "Pod", Some("t1"), &details);
            for subject in [known, subject()] {
                tell(instruments, &subject, &passed("require-labels"));
            }
            instruments.set_policies([]);
        }
    })
    .await;
    let samples = parse(&page).unwrap();
    let name = "kyverno_validating_policy_results_total";
    let counts: Vec<_> = samples.iter().filter(|it| it.name == name).map(|it| it.value).collect();
    assert_eq!(counts, [6.0]);
}

#[tokio::test]
async fn a_background_scan_is_told_from_a_request() {
    let page = exposition(|instruments| {
        let scanned = Subject::new(ExecutionCause::BackgroundScan, "Pod", Some("t1"));
        tell(instruments, &scanned, &passed("require-labels"));
    })
    .await;
    let samples = parse(&page).unwrap();
    let labels = [("execution_cause", "background_scan"), ("resource_request_operation", "")];
    let results = |sample: &&Sample| sample.name.starts_with("kyverno_validating");
    assert!(samples.iter().filter(results).all(|sample| sample.has(&labels)), "{page}");
}
