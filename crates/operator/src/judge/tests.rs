use pharos_api::telemetryconfig::{
    Component, ComponentState, ExporterState, OverriddenReason, ReplicaState, Signal,
};
use serde_json::{Value, json};

use super::*;
use crate::report::{ExporterHealth, ExporterReport, ReferencesReport, Running, SpecReport};
use Component::{Admission, BackgroundScan};
use namespace::{Namespace, about, for_components, prometheus};

mod findings;
pub(crate) mod namespace;
mod selection;
mod size;

fn exporting(health: ExporterHealth) -> Option<ConfigReport> {
    let mut report = about("a", 1, State::Programmed)?;
    let name = "gateway".to_owned();
    let (signal, since) = (Signal::Metrics, Timestamp::UNIX_EPOCH);
    report.exporters = vec![ExporterReport { name, signal, health, since }];
    Some(report)
}

/// Type, status and reason of every condition, in order.
fn conditions(status: &TelemetryConfigStatus) -> Vec<String> {
    let line = |c: &Condition| format!("{} {} {}", c.type_, c.status, c.reason);
    status.conditions.iter().map(line).collect()
}

fn message<'a>(status: &'a TelemetryConfigStatus, r#type: &str) -> &'a str {
    let condition = status.conditions.iter().find(|condition| condition.type_ == r#type);
    &condition.unwrap().message
}

#[test]
fn an_object_in_force_everywhere_is_ready() {
    let namespace = Namespace::default()
        .with("a", 2, prometheus())
        .replica("r1", &[Admission], about("a", 2, State::Programmed))
        .replica("r2", &[Admission], about("a", 2, State::Programmed));
    let status = namespace.judge("a");
    assert_eq!(
        conditions(&status),
        [
            "Ready True Ready",
            "Accepted True Accepted",
            "ResolvedRefs True ResolvedRefs",
            "Programmed True Programmed",
            "ExportHealthy True NoExporters",
        ]
    );
    assert_eq!(status.observed_generation, Some(2));
    assert_eq!(status.programmed_generation, Some(2));
    assert_eq!(status.programmed_replicas.as_deref(), Some("2/2"));
    assert_eq!(status.exporters.as_deref(), Some("prometheus"));
    assert!(status.conditions.iter().all(|condition| condition.observed_generation == Some(2)));
}

#[test]
fn a_replica_behind_keeps_it_from_being_programmed() {
    let namespace = Namespace::default()
        .with("a", 2, prometheus())
        .replica("r1", &[Admission], about("a", 2, State::Programmed))
        .replica("r2", &[Admission], about("a", 1, State::Programmed))
        .replica("r3", &[Admission], None);
    let before = TelemetryConfigStatus { programmed_generation: Some(1), ..Default::default() };
    let status = namespace.judge_after("a", Some(&before), Timestamp::UNIX_EPOCH);
    let conditions = conditions(&status);
    assert_eq!(conditions[0], "Ready Unknown Progressing");
    assert_eq!(conditions[3], "Programmed Unknown Applying");
    assert_eq!(status.programmed_generation, Some(1));
    assert_eq!(status.programmed_replicas.as_deref(), Some("1/3"));
    assert_eq!(status.replicas.last().unwrap().pod_name, "r1", "those behind come first");
}

#[test]
fn an_invalid_value_names_the_field_and_what_runs_instead() {
    let mut spec = prometheus();
    spec["resource"] = json!({"attributes": [{"name": "service.name", "value": "x"}]});
    let failed = |running| State::Failed { running, message: "spec.resource: no".into() };
    for (running, reason) in
        [(Running::PreviousConfig, "RunningPreviousConfig"), (Running::Defaults, "RunningDefaults")]
    {
        let status = Namespace::default()
            .with("a", 3, spec.clone())
            .replica("r1", &[Admission], about("a", 3, failed(running)))
            .judge("a");
        let conditions = conditions(&status);
        assert_eq!(conditions[0], "Ready False Invalid");
        assert_eq!(conditions[1], "Accepted False Invalid");
        assert_eq!(conditions[3], format!("Programmed False {reason}"));
        assert!(
            message(&status, "Accepted").starts_with("spec.resource.attributes[service.name]: ")
        );
        assert_eq!(message(&status, "Ready"), message(&status, "Accepted"));
        assert_eq!(status.replicas[0].state, ReplicaState::Failed);
    }
}

#[test]
fn an_object_that_cannot_be_decoded_is_invalid_and_keeps_its_slot() {
    let namespace = Namespace::default()
        .with("a", 1, prometheus())
        .with("b", 1, prometheus())
        .broken("a", "metrics: expected a map");
    let broken = namespace.judge("a");
    assert_eq!(conditions(&broken)[1], "Accepted False Invalid");
    assert!(message(&broken, "Accepted").contains("metrics: expected a map"));
    assert_eq!(conditions(&namespace.judge("b"))[1], "Accepted False Conflicted");
}

#[test]
fn a_loser_is_conflicted_and_names_the_winner() {
    let namespace = Namespace::default()
        .with("a", 1, prometheus())
        .with("b", 1, prometheus())
        .replica("r1", &[Admission], about("a", 1, State::Programmed));
    let status = namespace.judge("b");
    assert_eq!(
        conditions(&status),
        [
            "Ready False Conflicted",
            "Accepted False Conflicted",
            "ResolvedRefs True ResolvedRefs",
            "Programmed False Conflicted",
            "ExportHealthy Unknown NotYetExported",
        ]
    );
    assert!(message(&status, "Accepted").contains("Admission to \"a\""));
    assert!(status.components.iter().all(|entry| entry.state == ComponentState::Overridden));
    assert_eq!(status.components[0].by.as_deref(), Some("a"));
}

#[test]
fn a_partial_winner_is_accepted_and_says_what_it_lost() {
    let namespace = Namespace::default()
        .with("a", 1, prometheus())
        .with("b", 1, for_components(&["BackgroundScan"]))
        .replica("r1", &[Admission], about("a", 1, State::Programmed));
    let status = namespace.judge("a");
    assert_eq!(conditions(&status)[0], "Ready True Ready");
    assert!(message(&status, "Accepted").contains("BackgroundScan to \"b\""));
}

#[test]
fn in_a_shared_process_the_first_component_decides() {
    let namespace = Namespace::default()
        .with("a", 1, for_components(&["Admission"]))
        .with("b", 1, for_components(&["BackgroundScan"]))
        .replica("r1", &[Admission, BackgroundScan], about("a", 1, State::Programmed));
    let status = namespace.judge("b");
    let entry = &status.components[0];
    assert_eq!(entry.state, ComponentState::Overridden);
    assert_eq!(entry.reason, Some(OverriddenReason::SharedProcess));
    assert_eq!(entry.by.as_deref(), Some("a"));
    assert_eq!(conditions(&status)[3], "Programmed Unknown NoReplicas");
}

#[test]
fn a_component_that_nobody_runs_does_not_match() {
    let namespace = Namespace::default().with("a", 1, for_components(&["BackgroundScan"])).replica(
        "r1",
        &[Admission],
        None,
    );
    assert_eq!(conditions(&namespace.judge("a"))[1], "Accepted False NoMatchingComponent");
}

#[test]
fn without_replicas_nothing_is_claimed() {
    let status = Namespace::default().with("a", 1, prometheus()).judge("a");
    assert_eq!(conditions(&status)[0], "Ready Unknown Progressing");
    assert_eq!(conditions(&status)[3], "Programmed Unknown NoReplicas");
    assert_eq!(status.programmed_generation, None);
}

#[test]
fn a_collector_outage_shows_and_does_not_touch_ready() {
    let failing = ExporterHealth::Failing {
        reason: "EndpointUnreachable".to_owned(),
        message: "connection refused".to_owned(),
    };
    for (health, expected) in [
        (ExporterHealth::NotYetExported, "ExportHealthy Unknown NotYetExported"),
        (ExporterHealth::Healthy, "ExportHealthy True Healthy"),
        (ExporterHealth::Scraped, "ExportHealthy True NoExporters"),
        (failing, "ExportHealthy False EndpointUnreachable"),
    ] {
        let namespace = Namespace::default().with("a", 1, prometheus()).replica(
            "r1",
            &[Admission],
            exporting(health),
        );
        let conditions = conditions(&namespace.judge("a"));
        assert_eq!(conditions[0], "Ready True Ready");
        assert_eq!(conditions[4], expected);
    }
}

#[test]
fn a_failing_replica_comes_before_a_healthy_one() {
    let failing = ExporterHealth::Failing { reason: "Throttled".into(), message: "later".into() };
    let status = Namespace::default()
        .with("a", 1, prometheus())
        .replica("r1", &[Admission], exporting(ExporterHealth::Healthy))
        .replica("r2", &[Admission], exporting(failing))
        .judge("a");
    assert_eq!(status.replicas[0].pod_name, "r2");
    assert_eq!(status.replicas[0].exporters[0].state, ExporterState::Failing);
}

#[test]
fn at_most_64_replicas_are_shown_and_all_are_counted() {
    let namespace =
        (0..70).fold(Namespace::default().with("a", 1, prometheus()), |namespace, n| {
            namespace.replica(&format!("r{n:02}"), &[Admission], about("a", 1, State::Programmed))
        });
    let status = namespace.judge("a");
    assert_eq!(status.replicas.len(), 64);
    assert_eq!(status.programmed_replicas.as_deref(), Some("70/70"));
}

#[test]
fn equal_facts_later_give_an_equal_status() {
    let namespace = Namespace::default()
        .with("a", 1, prometheus())
        .replica("r1", &[Admission], about("a", 1, State::Programmed))
        .replica("r2", &[Admission], None);
    let first = namespace.judge("a");
    let later = namespace.judge_after("a", Some(&first), Timestamp::now());
    assert_eq!(first, later);
}

#[test]
fn a_transition_time_is_kept_until_the_status_changes() {
    let namespace = Namespace::default().with("a", 1, prometheus());
    let first = namespace.judge("a");
    let now = Timestamp::from_second(1_000).unwrap();
    let namespace = namespace.replica("r1", &[Admission], about("a", 1, State::Programmed));
    let second = namespace.judge_after("a", Some(&first), now);
    let times: Vec<_> =
        second.conditions.iter().map(|c| c.last_transition_time.0.as_second()).collect();
    assert_eq!(times, [1_000, 0, 0, 1_000, 1_000], "Ready, Programmed and ExportHealthy changed");
}
