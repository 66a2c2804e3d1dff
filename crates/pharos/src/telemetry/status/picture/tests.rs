use super::*;
use pharos_api::telemetryconfig::ExporterState;
use serde_json::{Value, json};
use std::sync::Arc;

pub(in super::super) const NOW: i64 = 1_790_000_000;

pub(in super::super) fn at(seconds_ago: i64) -> Timestamp {
    Timestamp::from_second(NOW - seconds_ago).unwrap()
}

/// A TelemetryConfig `default` with this status.
pub(in super::super) fn observed(generation: i64, status: Value) -> Observed<TelemetryConfig> {
    let object: TelemetryConfig = serde_json::from_value(json!({
        "apiVersion": "telemetry.pharos.dev/v1alpha1", "kind": "TelemetryConfig",
        "metadata": {"name": "default", "uid": "u", "generation": generation},
        "spec": {}, "status": status,
    }))
    .unwrap();
    Observed { metadata: object.metadata.clone(), object: Ok(Arc::new(object)) }
}

/// What a replica reports that obeys the object `u`.
pub(in super::super) fn report(state: Value, exporters: Value) -> Value {
    let mut config = json!({
        "uid": "u", "generation": 7, "configHash": "c0ffee", "since": at(300).to_string(),
        "state": state,
        "spec": {"reason": "Accepted", "message": ""},
        "references": {"reason": "ResolvedRefs", "message": "", "nextCertificateExpiry": null},
        "restarts": "", "exporters": exporters,
    });
    config["state"] = state;
    json!({"components": ["Admission"], "config": config})
}

pub(in super::super) fn programmed(health: Value) -> Value {
    let exporter = json!({
        "name": "gateway", "signal": "Metrics", "health": health, "since": at(240).to_string(),
    });
    report(json!({"state": "programmed"}), json!([exporter]))
}

pub(in super::super) fn counted(success: i64, sent: u64, failed: u64) -> Value {
    json!({"exporters": [{
        "name": "gateway", "signal": "Metrics", "lastSuccess": at(success).to_string(),
        "lastExportMilliseconds": 12, "sent": sent, "failed": failed, "dropped": 0,
    }]})
}

pub(in super::super) fn lease(name: &str, renewed: i64, report: &Value, counted: &Value) -> Lease {
    let renewed = at(renewed);
    serde_json::from_value(json!({
        "metadata": {"name": format!("pharos-replica-{name}"), "annotations": {
            "telemetry.pharos.dev/report": report.to_string(),
            "telemetry.pharos.dev/statistics": counted.to_string(),
        }},
        "spec": {"holderIdentity": name, "renewTime": format!("{renewed:.6}")},
    }))
    .unwrap()
}

fn picture(leases: Vec<Lease>) -> Picture {
    let gathered = Gathered { objects: vec![observed(7, json!(null))], leases, leader: None };
    Picture::of("engine", &gathered, at(0))
}

#[test]
fn those_that_need_a_look_come_first() {
    let healthy = programmed(json!({"state": "healthy"}));
    let failing = json!({"state": "failing", "reason": "Throttled", "message": "m"});
    let failed = json!({"state": "failed", "running": "Defaults", "message": "the port is taken"});
    let mut behind = healthy.clone();
    behind["config"]["generation"] = json!(6);
    let nothing = json!({});
    let replicas = [
        ("a-good", 3, healthy.clone()),
        ("b-failing", 3, programmed(failing)),
        ("c-defaults", 3, json!({"components": ["Admission"], "config": null})),
        ("d-applying", 3, report(json!({"state": "applying"}), json!([]))),
        ("e-failed", 3, report(failed, json!([]))),
        ("f-silent", 41, healthy),
        ("g-behind", 3, behind),
        ("h-other", 3, json!({"what": "is this"})),
    ];
    let leases = replicas.iter().map(|(name, age, report)| lease(name, *age, report, &nothing));
    let picture = picture(leases.collect());
    let order: Vec<_> = picture.replicas.iter().map(|it| (it.name.as_str(), it.state)).collect();
    let expected = [
        ("f-silent", ReplicaState::Silent),
        ("h-other", ReplicaState::Unreadable),
        ("e-failed", ReplicaState::Failed),
        ("d-applying", ReplicaState::Applying),
        ("g-behind", ReplicaState::Behind),
        ("b-failing", ReplicaState::Programmed),
        ("a-good", ReplicaState::Programmed),
        ("c-defaults", ReplicaState::Defaults),
    ];
    assert_eq!(order, expected);
    assert_eq!(picture.replicas.iter().filter(|it| it.needs_a_look()).count(), 6);
    let failed = &picture.replicas[2];
    assert_eq!(failed.message, "runs the command line's defaults: the port is taken");
    assert_eq!(failed.config.as_deref(), Some("default"));
}

#[test]
fn report_and_statistics_meet_by_exporter_and_signal() {
    let report = programmed(json!({"state": "healthy"}));
    let counted = counted(2, 120, 3);
    let picture = picture(vec![lease("a", 3, &report, &counted)]);
    let exporter = &picture.replicas[0].exporters[0];
    assert_eq!(exporter.state, Some(ExporterState::Healthy));
    assert_eq!((exporter.sent, exporter.failed, exporter.dropped), (120, 3, 0));
    assert_eq!((exporter.last_success, exporter.last_export_milliseconds), (Some(at(2)), Some(12)));
}

#[test]
fn a_lease_speaks_for_the_replica_that_it_is_named_after_and_for_no_other() {
    let report = programmed(json!({"state": "healthy"}));
    let with_holder = |holder: Option<&str>| {
        let mut lease = lease("b", 3, &report, &json!({}));
        lease.spec.as_mut().unwrap().holder_identity = holder.map(str::to_owned);
        lease
    };
    let mut prefixless = with_holder(Some("b"));
    prefixless.metadata.name = Some("b".to_owned());
    for impostor in [with_holder(Some("a")), with_holder(None), prefixless] {
        let picture = picture(vec![impostor, lease("a", 3, &report, &json!({}))]);
        let told: Vec<_> = picture.replicas.iter().map(|it| (it.name.as_str(), it.state)).collect();
        let expected = [("b", ReplicaState::Unreadable), ("a", ReplicaState::Programmed)];
        assert_eq!(told, expected);
        let [impostor, _] = &picture.replicas[..] else { panic!("two Leases") };
        assert!(impostor.exporters.is_empty() && impostor.config.is_none(), "{impostor:?}");
    }
}

#[test]
fn a_replica_of_a_clock_that_is_ahead_is_not_silent() {
    let report = programmed(json!({"state": "healthy"}));
    let ahead = lease("a", -600, &report, &json!({}));
    assert_eq!(picture(vec![ahead]).replicas[0].state, ReplicaState::Programmed);
}

#[test]
fn one_object_is_shown_with_those_that_obey_it() {
    let obeys = programmed(json!({"state": "healthy"}));
    let nothing = json!({});
    let defaults = json!({"components": [], "config": null});
    let mut picture =
        picture(vec![lease("a", 3, &obeys, &nothing), lease("b", 3, &defaults, &nothing)]);
    assert!(!picture.restrict("other"));
    assert_eq!(picture.replicas.len(), 2);
    assert!(picture.restrict("default"));
    assert_eq!((picture.replicas.len(), picture.objects.len()), (1, 1));
}
