use super::*;
use pharos_cluster::references::{Content, DataObject, Found, Reading};
use pharos_testkit::pki::{Authority, Leaf};
use serde_json::json;
use std::time::Duration;

fn subject(spec: Value) -> Subject {
    let value = json!({
        "apiVersion": "telemetry.pharos.dev/v1alpha1", "kind": "TelemetryConfig",
        "metadata": {"name": "default"}, "spec": spec,
    });
    Subject::of(Document { file: "f".to_owned(), value }, "engine")
}

/// Exporters with a certificate, with a header, and with neither.
fn three() -> Value {
    let otlp = |name: &str, more: Value| {
        let mut otlp = json!({"protocol": "GRPC", "endpoint": "https://c:1"});
        for (field, value) in more.as_object().unwrap() {
            otlp[field] = value.clone();
        }
        json!({"name": name, "type": "OTLP", "otlp": otlp})
    };
    let token = json!({"name": "a", "valueFrom": {"secretKeyRef": {"name": "token", "key": "k"}}});
    json!({
        "exporters": [
            otlp("certified", json!({"tls": {"clientCertificateRef": {"name": "client"}}})),
            otlp("headed", json!({"headers": [token]})),
            otlp("plain", json!({})),
        ],
        "metrics": {"exporters": ["certified", "headed", "plain"]},
    })
}

fn found<const N: usize>(values: [(&str, &str); N]) -> Reading {
    let values =
        values.map(|(key, value)| (key.to_owned(), Some(Content::from(value.as_bytes().to_vec()))));
    Reading::Found(Found::new("u", "1", values))
}

fn certificate(leaf: Leaf) -> Reading {
    let pair = Authority::new("a").unwrap().issue(&leaf).unwrap();
    found([("tls.crt", &pair.certificate_pem), ("tls.key", &pair.key_pem)])
}

fn judged(readings: Readings<'_>) -> (Subject, Judged) {
    let mut subject = subject(three());
    assert!(subject.findings.is_empty(), "{:?}", subject.findings);
    let judged = subject.judge(readings, &Inspector::start().unwrap(), Timestamp::now());
    (subject, judged)
}

fn sinks(judged: &Judged) -> usize {
    judged.config.as_ref().map_or(0, |config| config.receivers().count())
}

#[test]
fn offline_only_the_references_stay_open() {
    let (subject, judged) = judged(Readings::Offline);
    assert_eq!(subject.findings, []);
    assert_eq!((judged.resolved_refs, sinks(&judged)), (NOT_READ, 3));
    assert_eq!(judged.unresolved, ["certified", "headed"].map(str::to_owned).into());
}

#[test]
fn what_is_there_is_resolved_as_the_controller_does() {
    let references: References = [
        (
            DataObject::secret("client"),
            certificate(Leaf::client("c").valid_for(Duration::from_hours(8000))),
        ),
        (DataObject::secret("token"), found([("k", "hunter2")])),
    ]
    .into_iter()
    .collect();
    let (subject, judged) = judged(Readings::Read(&references));
    assert_eq!(subject.findings, []);
    assert_eq!((judged.resolved_refs, judged.unresolved.len()), ("ResolvedRefs", 0));
    assert!(!format!("{subject:?} {:?}", judged.config).contains("hunter2"));
}

#[test]
fn what_is_missing_and_what_expires_has_the_words_of_the_conditions() {
    let references: References = [
        (DataObject::secret("client"), certificate(Leaf::client("c").expired())),
        (DataObject::secret("token"), Reading::Missing),
    ]
    .into_iter()
    .collect();
    let (subject, judged) = judged(Readings::Read(&references));
    let reasons: Vec<_> = subject.findings.iter().map(|it| (it.severity, it.reason)).collect();
    let problem = |reason| (Severity::Problem, reason);
    assert_eq!(reasons, [problem("CertificateExpired"), problem("SecretNotFound")]);
    assert_eq!(judged.resolved_refs, "SecretNotFound");
    assert_eq!(subject.accepted(), AcceptedReason::Accepted);
}

#[test]
fn an_exporter_whose_references_are_there_does_not_suffer_from_those_of_others() {
    let references: References = [
        (DataObject::secret("client"), Reading::Missing),
        (DataObject::secret("token"), found([("k", "hunter2")])),
    ]
    .into_iter()
    .collect();
    let (subject, judged) = judged(Readings::Read(&references));
    assert_eq!(subject.findings.len(), 1, "{:?}", subject.findings);
    assert_eq!(judged.unresolved, ["certified".to_owned()].into());
    let config = judged.config.as_ref().unwrap();
    let headed = config.receivers().find(|(id, _)| id.name.as_str() == "headed").unwrap();
    assert_eq!(headed.1.headers.len(), 1, "it is probed with its token");
}

#[test]
fn a_certificate_that_ends_soon_is_a_warning() {
    let soon = Leaf::client("c").valid_for(Duration::from_secs(600));
    let references: References = [
        (DataObject::secret("client"), certificate(soon)),
        (DataObject::secret("token"), found([("k", "x")])),
    ]
    .into_iter()
    .collect();
    let (subject, judged) = judged(Readings::Read(&references));
    let Finding { severity, reason, field, .. } = &subject.findings[0];
    assert_eq!((*severity, *reason), (Severity::Warning, "CertificateExpiringSoon"));
    assert_eq!(field, "spec.exporters[certified].otlp.tls.clientCertificateRef");
    assert_eq!(judged.resolved_refs, "CertificateExpiringSoon");
}

#[test]
fn a_field_is_told_once() {
    let mut subject = subject(json!({"metrics": {"exportPeriodSeconds": 0, "mode": "Disabled"}}));
    subject.judge(Readings::Offline, &Inspector::start().unwrap(), Timestamp::now());
    assert_eq!(subject.findings.len(), 1, "{:?}", subject.findings);
    assert_eq!(subject.accepted(), AcceptedReason::Invalid);
}
