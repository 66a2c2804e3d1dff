//! The catalogue against what is recorded, and against what a real Kyverno sent over OTLP.

use std::sync::Arc;

use opentelemetry::Value;
use pharos_telemetry::Declaration;

use super::*;
use crate::catalogue::metrics::ATTRIBUTES;
use crate::catalogue::{AttributeDeclaration, Values};

fn attribute(key: &str) -> &'static AttributeDeclaration {
    ATTRIBUTES.iter().find(|attribute| attribute.key == key).expect(key)
}

fn assert_as_declared(recorded: &[KeyValue], declaration: &Declaration) {
    let keys: Vec<_> = recorded.iter().map(|attribute| attribute.key.as_str()).collect();
    assert_eq!(keys, declaration.attributes, "{}", declaration.name);
    for KeyValue { key, value, .. } in recorded {
        match (attribute(key.as_str()).values, value) {
            (Values::Text, Value::String(_)) | (Values::Boolean, Value::Bool(_)) => {}
            (Values::OneOf(words), Value::String(word)) => {
                assert!(words.contains(&word.as_str()), "{key}: {word}");
            }
            (values, value) => panic!("{key} is {value:?}, declared as {values:?}"),
        }
    }
}

#[test]
fn every_word_that_is_recorded_is_declared() {
    let (name, namespace) = (name(), Arc::from("shop"));
    let operations = [Operation::Create, Operation::Update, Operation::Delete, Operation::Connect];
    let requests = operations.map(ExecutionCause::AdmissionRequest);
    for cause in requests.into_iter().chain([ExecutionCause::BackgroundScan]) {
        let subject = Subject::new(cause, "Pod", None);
        for result in [
            PolicyResult::Pass,
            PolicyResult::Fail,
            PolicyResult::Warning,
            PolicyResult::Error,
            PolicyResult::Skip,
        ] {
            let facts = ValidatingPolicyFacts { result, ..policy(&name) };
            assert_as_declared(&policy_attributes(&subject, &facts), &VALIDATING_POLICY_RESULTS);
        }
        for webhook in [Webhook::Mutating, Webhook::Validating] {
            let facts = AdmissionReviewFacts { webhook, ..review() };
            assert_as_declared(&review_attributes(&subject, &facts), &ADMISSION_REQUESTS);
        }
    }
    let other = ValidatingPolicyFacts {
        policy_namespace: Some(&namespace),
        validation_mode: ValidationMode::Audit,
        background_mode: BackgroundMode::Disabled,
        ..policy(&name)
    };
    assert_as_declared(&policy_attributes(&subject(), &other), &VALIDATING_POLICY_DURATION);
}

#[test]
fn every_attribute_of_a_metric_is_described_once_and_none_in_vain() {
    let used: BTreeSet<_> = metrics::all().flat_map(|metric| metric.attributes).collect();
    let described: Vec<_> = ATTRIBUTES.iter().map(|attribute| &attribute.key).collect();
    assert_eq!(described.len(), used.len());
    assert_eq!(described.into_iter().collect::<BTreeSet<_>>(), used);
}

/// The type of a value in OTLP's JSON.
fn otlp_type(values: Values) -> &'static str {
    match values {
        Values::Text | Values::OneOf(_) => "stringValue",
        Values::Texts => "arrayValue",
        Values::Integer => "intValue",
        Values::Boolean => "boolValue",
    }
}

#[test]
fn over_otlp_each_metric_is_what_a_real_kyverno_sent_under_its_name() {
    let Some(kyverno) = pharos_testkit::golden::kyverno_otlp() else { return };
    for metric in metrics::ALL.into_iter().filter(|metric| metric.scope == catalogue::KYVERNO) {
        let sent = &kyverno["metrics"][metric.name];
        let kind = match metric.kind {
            InstrumentKind::Counter => "sum",
            InstrumentKind::Histogram => "histogram",
            other => panic!("Kyverno has no {other:?}"),
        };
        assert_eq!((&sent["scope"], &sent["type"]), (&metric.scope.into(), &kind.into()));
        assert_eq!(sent["unit"], metric.unit);
        let attributes = metric.attributes.iter().copied();
        let attributes: BTreeMap<_, _> =
            attributes.map(|key| (key, otlp_type(attribute(key).values))).collect();
        assert_eq!(sent["attributes"], serde_json::json!(attributes), "{}", metric.name);
        if metric.kind == InstrumentKind::Histogram {
            let bounds = sent["explicitBounds"].as_array().unwrap().iter();
            let bounds: Vec<_> = bounds.map(|bound| bound.as_f64().unwrap()).collect();
            assert_eq!(bounds, metric.boundaries, "{}", metric.name);
        }
    }
}
