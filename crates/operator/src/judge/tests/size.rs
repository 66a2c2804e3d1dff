//! However many replicas there are, and whatever they say, the API server can hold the status.

use super::*;
use crate::report::ConfigReport;

/// Half of what etcd takes: `managedFields` name every field once more.
const LARGEST: usize = 384 * 1024;

fn talkative(replica: usize) -> ConfigReport {
    let mut report = about("a", 1, State::Programmed).unwrap();
    report.references.message = "ä".repeat(60_000);
    report.restarts = "\n".repeat(60_000);
    report.config_hash = "f".repeat(1_000);
    let failing = |message: &str| ExporterHealth::Failing {
        reason: "NoWordOfOurs, and ".repeat(100),
        message: message.repeat(10_000),
    };
    report.exporters = (0..202)
        .map(|n| ExporterReport {
            name: format!("{:063}", n / 2),
            signal: Signal::Traces,
            health: failing(if replica.is_multiple_of(2) { "\u{1}" } else { "no; " }),
            since: Timestamp::UNIX_EPOCH,
        })
        .collect();
    if replica.is_multiple_of(3) {
        let message = "\u{1}".repeat(10_000);
        report.state = State::Failed { running: Running::Defaults, message };
    }
    report
}

#[test]
fn three_hundred_replicas_with_much_to_say_fit() {
    let namespace = (0..300).fold(Namespace::default().with("a", 1, prometheus()), |it, n| {
        it.replica(&format!("{n:0238}"), &[Admission], Some(talkative(n)))
    });
    let status = namespace.judge("a");
    let size = serde_json::to_string(&status).unwrap().len();
    assert!(size <= LARGEST, "{size} bytes");
    assert_eq!(status.programmed_replicas.as_deref(), Some("200/300"));
    assert!(!status.replicas.is_empty());
    let entries = || status.replicas.iter().flat_map(|entry| &entry.exporters);
    assert!(entries().all(|entry| entry.name.len() == 63));
    assert!(status.replicas.iter().all(|entry| entry.exporters.len() <= 24));
}

#[test]
fn what_no_schema_takes_is_left_out_or_cut() {
    let mut report = talkative(1);
    report.generation = -5;
    report.since = Timestamp::MIN;
    report.exporters[0].name = String::new();
    report.exporters[1].name = "n".repeat(64);
    report.exporters.truncate(4);
    let status = Namespace::default()
        .with("a", 1, prometheus())
        .replica("r", &[Admission], Some(report))
        .judge("a");
    let entry = &status.replicas[0];
    assert_eq!(entry.observed_generation, 0);
    assert_eq!(entry.last_transition_time.0, Timestamp::UNIX_EPOCH);
    assert_eq!(entry.config_hash.as_ref().map(String::len), Some(64));
    let [exporter] = entry.exporters.as_slice() else {
        panic!("nameless, too long, and twice the same: {:?}", entry.exporters)
    };
    assert_eq!(exporter.reason.as_deref(), Some("AllDataDropped"));
    assert_eq!(exporter.message.as_ref().map(String::len), Some(256));
}
