use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::*;

/// A status with these conditions, as in "Programmed False ReplicasFailed", of one generation that
/// is in force everywhere.
fn status(generation: i64, conditions: &[&str]) -> TelemetryConfigStatus {
    let condition = |words: &&str| {
        let words: Vec<_> = words.split(' ').collect();
        let [r#type, status, reason] = words[..] else { panic!("{words:?}") };
        Condition {
            type_: r#type.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: format!("why {reason}"),
            observed_generation: Some(generation),
            last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
        }
    };
    TelemetryConfigStatus {
        observed_generation: Some(generation),
        programmed_generation: Some(generation),
        replicas_live: 3,
        conditions: conditions.iter().map(condition).collect(),
        ..TelemetryConfigStatus::default()
    }
}

fn announced(before: Option<&TelemetryConfigStatus>, after: &TelemetryConfigStatus) -> Vec<String> {
    let announcements = transitions(before, after);
    announcements.iter().map(|it| format!("{}: {}", it.topic.reason(), it.note)).collect()
}

const NOTHING: [&str; 0] = [];
const HEALTHY: [&str; 4] = [
    "Accepted True Accepted",
    "ResolvedRefs True ResolvedRefs",
    "Programmed True Programmed",
    "ExportHealthy True Healthy",
];

#[test]
fn an_equal_status_announces_nothing_whoever_leads() {
    let healthy = status(1, &HEALTHY);
    assert_eq!(announced(Some(&healthy), &healthy), NOTHING);
}

#[test]
fn a_new_object_announces_what_became_of_it() {
    assert_eq!(
        announced(None, &status(1, &HEALTHY)),
        [
            "Accepted: accepted; why Accepted",
            "Programmed: generation 1 is in force on all 3 live replicas; why Programmed",
        ]
    );
    let lost = ["Accepted False Conflicted", "Programmed False Conflicted"];
    assert_eq!(announced(None, &status(1, &lost)), ["Conflicted: why Conflicted"]);
}

#[test]
fn each_transition_has_its_event_and_staying_has_none() {
    for (before, after, expected) in [
        ("Accepted True Accepted", "Accepted False Conflicted", Some("Conflicted")),
        ("Accepted False Conflicted", "Accepted False Conflicted", None),
        ("Accepted False Conflicted", "Accepted True Accepted", Some("Accepted")),
        ("Programmed Unknown Applying", "Programmed True Programmed", Some("Programmed")),
        ("Programmed True Programmed", "Programmed Unknown Applying", None),
        ("Programmed True Programmed", "Programmed False ReplicasFailed", Some("ReloadFailed")),
        ("Programmed True Programmed", "Programmed False RunningDefaults", Some("ReloadFailed")),
        ("Programmed False RunningDefaults", "Programmed False ReplicasFailed", None),
        ("Programmed True Programmed", "Programmed False Conflicted", None),
        (
            "ResolvedRefs True ResolvedRefs",
            "ResolvedRefs True CertificateExpiringSoon",
            Some("CertificateExpiringSoon"),
        ),
        (
            "ResolvedRefs True CertificateExpiringSoon",
            "ResolvedRefs True CertificateExpiringSoon",
            None,
        ),
        ("ExportHealthy True Healthy", "ExportHealthy False Throttled", Some("ExportFailing")),
        ("ExportHealthy False Throttled", "ExportHealthy False Unauthenticated", None),
        ("ExportHealthy False Throttled", "ExportHealthy True Healthy", Some("ExportRecovered")),
        ("ExportHealthy Unknown NotYetExported", "ExportHealthy True Healthy", None),
        (
            "ExportHealthy Unknown NotYetExported",
            "ExportHealthy False Throttled",
            Some("ExportFailing"),
        ),
    ] {
        let (before, after) = (status(1, &[before]), status(1, &[after]));
        let announcements = transitions(Some(&before), &after);
        let reasons: Vec<_> = announcements.iter().map(|it| it.topic.reason()).collect();
        assert_eq!(reasons, Vec::from_iter(expected), "{before:?} {after:?}");
    }
}

#[test]
fn another_generation_is_announced_though_its_condition_did_not_change() {
    let programmed = |generation| status(generation, &["Programmed True Programmed"]);
    assert_eq!(
        announced(Some(&programmed(1)), &programmed(2)),
        ["Programmed: generation 2 is in force on all 3 live replicas; why Programmed"]
    );
    let failed = |generation| status(generation, &["Programmed False RunningPreviousConfig"]);
    assert_eq!(
        announced(Some(&failed(1)), &failed(2)),
        ["ReloadFailed: why RunningPreviousConfig"]
    );
}

#[test]
fn a_note_is_as_long_as_the_api_server_takes() {
    let mut failed = status(1, &["Programmed False RunningDefaults"]);
    failed.conditions[0].message = "ä".repeat(5_000);
    let [announcement] = &transitions(None, &failed)[..] else { panic!() };
    assert_eq!(announcement.note.len(), 1024);
}
