use std::time::{Duration, SystemTime};

use pharos_cluster::references::{Found, Reading};
use pharos_testkit::pki::{Authority, Leaf};
use serde_json::json;

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// An object whose scrape endpoint has a certificate.
fn target(generation: i64) -> Target {
    let tls = json!({"certificateRef": {"name": "serving"}});
    let exporter = json!({"name": "p", "type": "Prometheus", "prometheus": {"tls": tls}});
    let object: TelemetryConfig = serde_json::from_value(json!({
        "apiVersion": "telemetry.pharos.dev/v1alpha1",
        "kind": "TelemetryConfig",
        "metadata": {"name": "x"},
        "spec": {"exporters": [exporter], "metrics": {"exporters": ["p"]}},
    }))
    .unwrap();
    let (uid, name) = ("u".to_owned(), "x".to_owned());
    Target::Object { uid, name, generation, object: Ok(Arc::new(object)) }
}

/// The Secret with a certificate that is valid for so long from now.
fn serving(valid: Duration) -> References {
    let now = SystemTime::now();
    let leaf = Leaf::server(&["p"]).valid(now - DAY..now + valid);
    let pair = Authority::new("a").unwrap().issue(&leaf).unwrap();
    let value = |key: &str, pem: String| (key.to_owned(), Some(pem.into_bytes().into()));
    let values = [value("tls.crt", pair.certificate_pem), value("tls.key", pair.key_pem)];
    let found = Found::new("s", "1", values);
    [(DataObject::secret("serving"), Reading::Found(found))].into_iter().collect()
}

fn nothing_odd(_: &MetricShape) -> Vec<ViewRemark> {
    Vec::new()
}

fn at(
    target: &Target,
    references: &References,
    in_force: Option<&InForce>,
    now: Timestamp,
) -> ObjectAttempt {
    match attempt(target, references, in_force, &nothing_odd, now) {
        Attempt::Object(attempt) => *attempt,
        Attempt::Defaults => panic!("an object is the target"),
    }
}

fn in_force(attempt: &ObjectAttempt) -> InForce {
    let Step::Run(_, references) = &attempt.step else { panic!("{attempt:?}") };
    InForce {
        uid: attempt.uid.clone(),
        generation: attempt.generation,
        references: references.clone(),
        expires: attempt.references.next_certificate_expiry,
        restarts: String::new(),
    }
}

#[test]
fn a_certificate_that_expires_meanwhile_stays_and_is_told_and_a_renewed_one_is_taken() {
    let (target, read, now) = (target(1), serving(DAY), Timestamp::now());
    let first = at(&target, &read, None, now);
    assert!(first.references.is_resolved());
    let expires = first.references.next_certificate_expiry;
    let in_force = in_force(&first);

    let soon = at(&target, &read, Some(&in_force), now + DAY * 9 / 10);
    assert_eq!(soon.references.reason, "CertificateExpiringSoon");
    assert_eq!(soon.step, first.step, "there is nothing to reload");

    let later = now + DAY * 2;
    let expired = at(&target, &read, Some(&in_force), later);
    assert_eq!(expired.references.reason, "CertificateExpired");
    assert_eq!(expired.references.next_certificate_expiry, expires);
    assert_eq!((&expired.step, &expired.hash), (&first.step, &first.hash));
    // A process that starts now has nothing that could stay.
    let Step::Refuse(why) = at(&target, &read, None, later).step else { panic!("it was taken") };
    assert!(why.starts_with("spec.exporters[p].prometheus.tls.certificateRef: "), "{why}");

    let renewed = at(&target, &serving(DAY * 30), Some(&in_force), later);
    assert!(renewed.references.is_resolved());
    assert_ne!(renewed.step, first.step);
}

#[test]
fn equal_facts_give_an_equal_attempt() {
    let (target, read, now) = (target(1), serving(DAY), Timestamp::now());
    let first = at(&target, &read, None, now);
    let in_force = in_force(&first);
    assert_eq!(at(&target, &read, Some(&in_force), now + Duration::from_secs(60)), first);
    let nothing = References::default();
    let waits = at(&target, &nothing, None, now);
    assert_eq!(waits.step, Step::Wait);
    assert_eq!(at(&target, &nothing, None, now + DAY), waits);
}

#[test]
fn a_view_that_the_pipeline_refuses_keeps_a_generation_from_being_put_in_force() {
    let refuse = |_: &MetricShape| {
        let (view, message) = ("v".to_owned(), "no".to_owned());
        vec![ViewRemark { view, refuses: true, message }]
    };
    let now = Timestamp::now();
    let Attempt::Object(refused) = attempt(&target(1), &serving(DAY), None, &refuse, now) else {
        panic!("an object is the target")
    };
    assert_eq!(refused.step, Step::Refuse("spec.metrics.views[v]: no".to_owned()));
    assert_eq!(refused.spec.reason, "UnsupportedValue");
    assert!(refused.references.is_resolved(), "nothing is wrong with those");
}

#[test]
fn what_is_good_goes_on_rotating_beside_what_expired() {
    let header = json!({"name": "a", "valueFrom": {"secretKeyRef": {"name": "token", "key": "k"}}});
    let otlp = json!({"protocol": "GRPC", "endpoint": "http://c:4317", "headers": [header]});
    let mut target = target(1);
    let Target::Object { object: Ok(object), .. } = &mut target else { panic!("an object") };
    let mut spec = serde_json::to_value(&object.spec).unwrap();
    let exporters = spec["exporters"].as_array_mut().unwrap();
    exporters.push(json!({"name": "o", "type": "OTLP", "otlp": otlp}));
    spec["metrics"]["exporters"] = json!(["p", "o"]);
    Arc::make_mut(object).spec = serde_json::from_value(spec).unwrap();
    let token = |value: &'static str, version: &str| {
        let values = [("k".to_owned(), Some(value.as_bytes().to_vec().into()))];
        (DataObject::secret("token"), Reading::Found(Found::new("t", version, values)))
    };
    let serving = serving(DAY);
    let with = |token| -> References {
        let object = DataObject::secret("serving");
        [(object.clone(), serving.of(&object).clone()), token].into_iter().collect()
    };
    let now = Timestamp::now();
    let first = at(&target, &with(token("old", "1")), None, now);
    let in_force = in_force(&first);

    let rotated = at(&target, &with(token("new", "2")), Some(&in_force), now + DAY * 2);
    assert_eq!(rotated.references.reason, "CertificateExpired");
    let (Step::Run(before, _), Step::Run(after, _)) = (&first.step, &rotated.step) else {
        panic!("{:?}", rotated.step)
    };
    assert_ne!(before, after, "the new token is in use");
    assert_eq!(
        before.metrics.sinks["p"], after.metrics.sinks["p"],
        "and so is the last certificate that was good"
    );
}
