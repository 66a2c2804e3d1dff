//! What replicas found in an object, and where it refers to.

use super::*;

/// An object that refers to a Secret.
fn referring() -> Value {
    let mut spec = prometheus();
    let tls = json!({"certificateRef": {"name": "c"}});
    spec["exporters"][0]["prometheus"] = json!({"tls": tls});
    spec
}

fn found(reason: &str, state: State, expires: Option<i64>) -> Option<ConfigReport> {
    let mut report = about("a", 1, state)?;
    report.references = ReferencesReport {
        reason: reason.to_owned(),
        message: format!("spec: {reason}"),
        next_certificate_expiry: expires.and_then(|second| Timestamp::from_second(second).ok()),
        certificates: Vec::new(),
    };
    Some(report)
}

#[test]
fn references_are_judged_by_what_the_replicas_found() {
    let failed = || State::Failed { running: Running::PreviousConfig, message: "no".into() };
    for (first, second, expected) in [
        (found("Pending", State::Applying, None), None, ["Unknown Pending", "Unknown Progressing"]),
        (
            found("ResolvedRefs", State::Programmed, Some(9)),
            found("ResolvedRefs", State::Programmed, Some(8)),
            ["True ResolvedRefs", "True Ready"],
        ),
        (
            found("ResolvedRefs", State::Programmed, None),
            found("CertificateExpiringSoon", State::Programmed, Some(8)),
            ["True CertificateExpiringSoon", "True Ready"],
        ),
        (
            found("ResolvedRefs", State::Programmed, None),
            found("RefNotPermitted", failed(), None),
            ["False RefNotPermitted", "False RefNotPermitted"],
        ),
        // Its generation is in force, with what was read before.
        (
            found("CertificateExpired", State::Programmed, Some(8)),
            found("CertificateExpired", State::Programmed, Some(8)),
            ["False CertificateExpired", "False CertificateExpired"],
        ),
        (
            found("OfTheFuture", State::Programmed, None),
            None,
            ["Unknown Pending", "Unknown Progressing"],
        ),
    ] {
        let status = Namespace::default()
            .with("a", 1, referring())
            .replica("r1", &[Admission], first)
            .replica("r2", &[Admission], second)
            .judge("a");
        let conditions = conditions(&status);
        assert_eq!(conditions[2], format!("ResolvedRefs {}", expected[0]));
        assert_eq!(conditions[0], format!("Ready {}", expected[1]));
        assert_eq!(conditions[1], "Accepted True Accepted");
        let expires = status.next_certificate_expiry_time.map(|time| time.0.as_second());
        let programmed = conditions[3] == "Programmed True Programmed";
        assert!(expires.is_none_or(|second| second == 8), "{expires:?}");
        assert_eq!(expires.is_some(), programmed && expected[0] != "Unknown Pending");
    }
}

#[test]
fn what_nobody_reads_is_not_judged() {
    let namespace = Namespace::default().with("a", 1, prometheus()).with("b", 1, referring());
    let loser = conditions(&namespace.judge("b"));
    assert_eq!(loser[2], "ResolvedRefs Unknown Pending");
    assert_eq!(loser[0], "Ready False Conflicted");
    assert_eq!(conditions(&namespace.judge("a"))[2], "ResolvedRefs True ResolvedRefs");
    let alone = Namespace::default().with("a", 1, referring()).judge("a");
    assert_eq!(conditions(&alone)[2], "ResolvedRefs Unknown Pending");
}

fn saying(spec: SpecReport, state: State) -> Option<ConfigReport> {
    let mut report = about("a", 1, state)?;
    report.spec = spec;
    Some(report)
}

#[test]
fn a_view_that_a_replica_cannot_apply_is_unsupported_and_an_odd_one_is_named() {
    let message = "spec.metrics.views[v]: no".to_owned();
    let odd = SpecReport::accepted(message.clone());
    let accepted = Namespace::default()
        .with("a", 1, prometheus())
        .replica("r1", &[Admission], saying(odd, State::Programmed))
        .judge("a");
    assert_eq!(conditions(&accepted)[1], "Accepted True Accepted");
    assert_eq!(super::message(&accepted, "Accepted"), message);

    let unsupported =
        SpecReport { reason: "UnsupportedValue".to_owned(), message: message.clone() };
    let failed = State::Failed { running: Running::Defaults, message: message.clone() };
    let refused = Namespace::default()
        .with("a", 1, prometheus())
        .replica("r1", &[Admission], saying(unsupported, failed))
        .judge("a");
    assert_eq!(conditions(&refused)[1], "Accepted False UnsupportedValue");
    assert_eq!(conditions(&refused)[0], "Ready False UnsupportedValue");
    assert_eq!(super::message(&refused, "Accepted"), message);
}

#[test]
fn a_metric_that_started_again_is_named_while_it_is_programmed() {
    let mut report = about("a", 1, State::Programmed).unwrap();
    report.restarts = "a_metric: other buckets".to_owned();
    let status = Namespace::default()
        .with("a", 1, prometheus())
        .replica("r1", &[Admission], Some(report))
        .judge("a");
    assert_eq!(conditions(&status)[3], "Programmed True Programmed");
    assert_eq!(message(&status, "Programmed"), "a_metric: other buckets");
}
