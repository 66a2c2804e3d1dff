//! The catalogue against what is recorded, and against what a real Kyverno sent over OTLP.

use opentelemetry::Value;
use pharos_telemetry::Declaration;

use super::*;
use crate::catalogue::metrics::{ATTRIBUTES, BREAKER_DROPS, BREAKER_TOTAL};
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
    let operations = [Operation::Create, Operation::Update, Operation::Delete, Operation::Connect];
    let requests = operations.map(ExecutionCause::AdmissionRequest);
    let kinds = [PolicyKind::ValidatingPolicy, PolicyKind::ClusterPolicy];
    for cause in requests.into_iter().chain([ExecutionCause::BackgroundScan]) {
        let subject = Subject::new(cause, "Pod", None);
        for (result, kind) in [
            PolicyResult::Pass,
            PolicyResult::Fail,
            PolicyResult::Warning,
            PolicyResult::Error,
            PolicyResult::Skip,
        ]
        .into_iter()
        .flat_map(|result| kinds.map(|kind| (result, kind)))
        {
            assert_rule_as_declared(&subject, &rule(policy(kind, "a"), "r", result));
        }
        for webhook in [Webhook::Mutating, Webhook::Validating] {
            let facts = AdmissionReviewFacts { webhook, ..review() };
            assert_as_declared(&attributes::review(&subject, &facts), &ADMISSION_REQUESTS);
        }
    }
    for kind in [PolicyKind::NamespacedValidatingPolicy, PolicyKind::Policy] {
        let other = PolicyFacts {
            namespace: Some("shop"),
            validation_mode: ValidationMode::Audit,
            background_mode: BackgroundMode::Disabled,
            ..policy(kind, "a")
        };
        assert_rule_as_declared(&subject(), &rule(other, "r", PolicyResult::Pass));
        for change in [ChangeType::Created, ChangeType::Updated, ChangeType::Deleted] {
            let recorded = policies::change_attributes(&other, change);
            assert_as_declared(&recorded, &metrics::POLICY_CHANGES);
        }
    }
}

fn assert_rule_as_declared(subject: &Subject, facts: &RuleFacts<'_>) {
    if facts.policy.kind.is_of_rules() {
        assert_as_declared(&attributes::rule(subject, facts), &POLICY_RESULTS);
    } else {
        assert_as_declared(
            &attributes::validating_policy(subject, facts),
            &VALIDATING_POLICY_RESULTS,
        );
    }
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
        // What failed in none of its runs, and reports, which it did not keep.
        const UNSENT: [&Declaration; 5] =
            [&REQUEUES, &DROPS, &DROPPED_EVENTS, &BREAKER_TOTAL, &BREAKER_DROPS];
        if UNSENT.iter().any(|it| it.name == metric.name) {
            assert!(sent.is_null(), "{}", metric.name);
            continue;
        }
        let kind = match metric.kind {
            InstrumentKind::Counter => "sum",
            InstrumentKind::Histogram => "histogram",
            InstrumentKind::ObservableGauge => "gauge",
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
