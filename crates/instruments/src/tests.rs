use super::*;

use std::collections::{BTreeMap, BTreeSet};

use pharos_telemetry::{Config, Identity, InstrumentKind, Pipeline, Scrape};
use pharos_testkit::prometheus::{Sample, parse};

use crate::catalogue::metrics;
use crate::testing::{name, policy, review, subject};

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

/// The labels that it has for [`policy`].
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

/// The families of a page that this crate declares and Kyverno has, with their types.
fn types(page: &str) -> BTreeMap<&str, &str> {
    page.lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .filter(|(family, _)| declared(family))
        .collect()
}

fn declared(name: &str) -> bool {
    metrics::ALL.iter().any(|declaration| name.starts_with(declaration.name))
}

/// Every series of these families, without its value.
fn series(page: &str) -> BTreeSet<(String, BTreeMap<String, String>)> {
    let samples: Vec<Sample> = parse(page).unwrap();
    let declared = samples.into_iter().filter(|sample| declared(&sample.name));
    declared.map(|sample| (sample.name, sample.labels)).collect()
}

#[tokio::test]
async fn dashboards_made_for_kyverno_find_every_series_under_its_name() {
    let page = exposition(|instruments| {
        instruments.record_policy(&subject(), &policy(&name()));
        instruments.record_review(&subject(), &review());
    })
    .await;
    assert_eq!(types(&page), FAMILIES.map(|(family, kind, _)| (family, kind)).into());
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
    assert_eq!(series(&page), expected);
}

#[tokio::test]
async fn every_series_of_a_real_kyverno_is_recorded_with_the_same_name_type_and_labels() {
    let Some(kyverno) = pharos_testkit::golden::kyverno_scrape() else { return };
    let page = exposition(|instruments| {
        let (pod, of_cluster) = (subject(), |kind| Subject::of_request(CREATE, kind, None));
        let denied = Answer::Denied { code: 422, reason: "Invalid", message: "" };
        let mutating = AdmissionReviewFacts { webhook: Webhook::Mutating, ..review() };
        instruments.record_review(&pod, &review());
        instruments.record_review(&pod, &AdmissionReviewFacts { answer: denied, ..review() });
        instruments.record_review(&of_cluster("ClusterPolicy"), &review());
        instruments.record_review(&of_cluster("ClusterPolicy"), &mutating);
        instruments.record_review(&of_cluster("ValidatingPolicy"), &review());
        for result in [PolicyResult::Pass, PolicyResult::Fail] {
            instruments.record_policy(&pod, &ValidatingPolicyFacts { result, ..policy(&name()) });
        }
    })
    .await;
    assert_eq!(types(&page), types(&kyverno));
    assert_eq!(series(&page), series(&kyverno));
}

#[tokio::test]
async fn what_is_recorded_has_the_attributes_that_are_declared() {
    let page = exposition(|instruments| {
        instruments.record_policy(&subject(), &policy(&name()));
        instruments.record_review(&subject(), &review());
        instruments.record_refusal("BadRequest");
    })
    .await;
    let samples = parse(&page).unwrap();
    for declaration in metrics::ALL {
        let suffix = match declaration.kind {
            InstrumentKind::Histogram => "_count",
            _ => "",
        };
        let name = catalogue::prometheus_name(declaration) + suffix;
        let sample = samples.iter().find(|sample| sample.name == name).expect(&name);
        let keys = sample.labels.keys().filter(|key| !key.starts_with("otel_scope_"));
        assert_eq!(keys.collect::<Vec<_>>(), declaration.attributes, "{name}");
        assert!(page.contains(declaration.description), "{name}");
    }
}

#[tokio::test]
async fn a_background_scan_is_told_from_a_request() {
    let page = exposition(|instruments| {
        let scanned = Subject::new(ExecutionCause::BackgroundScan, "Pod", Some("t1"));
        instruments.record_policy(&scanned, &policy(&name()));
    })
    .await;
    let samples = parse(&page).unwrap();
    let labels = [("execution_cause", "background_scan"), ("resource_request_operation", "")];
    assert!(samples.iter().all(|sample| sample.has(&labels)), "{page}");
}
