use std::sync::Arc;

use pharos_api::telemetryconfig::Component::Admission;

use super::super::transitions::Topic;
use super::*;
use crate::judge::tests::namespace::{Namespace as Scenery, about, prometheus};
use crate::report::{CertificateReport, ConfigReport, State};

mod fleet;

/// A leader before an API server that takes what it is sent, and whose watch is prompt.
struct Stage {
    scenery: Scenery,
    orphans: Vec<OrphanedLease>,
    scopes: Scopes,
    ledger: Ledger,
    version: u64,
    start: Instant,
}

impl Stage {
    fn of(scenery: Scenery) -> Self {
        Self {
            scenery,
            orphans: Vec::new(),
            scopes: Scopes::default(),
            ledger: Ledger::default(),
            version: 1,
            start: Instant::now(),
        }
    }

    fn step(&mut self, after: Duration) -> Next {
        self.scopes.update(&self.scenery.objects);
        let timestamp = Timestamp::UNIX_EPOCH + after;
        let now = Now { instant: self.start + after, timestamp };
        let namespace = Namespace {
            objects: &self.scenery.objects,
            scopes: &self.scopes,
            replicas: &self.scenery.replicas,
            orphans: &self.orphans,
        };
        self.ledger.step(namespace, now)
    }

    /// As [`Self::step`], with the writes taken, and seen again.
    fn settle(&mut self, after: Duration) -> Next {
        let next = self.step(after);
        for action in &next.actions {
            match action {
                Action::WriteStatus(write) => {
                    self.take(write);
                    self.see(write);
                }
                Action::KeepRevision(subject, revision) => {
                    self.ledger.kept(&subject.uid, revision.generation);
                }
                Action::Announce(..) | Action::DeleteLease(..) => {}
            }
        }
        next
    }

    fn take(&mut self, write: &StatusWrite) {
        self.version += 1;
        self.ledger.wrote(write.clone(), Some(self.version.to_string()));
    }

    /// The watch brings what was written.
    fn see(&mut self, write: &StatusWrite) {
        let version = Some(self.version.to_string());
        let observed = self.scenery.objects.get_mut(&write.subject.uid).unwrap();
        let mut object = (**observed.object.as_ref().unwrap()).clone();
        object.status = Some(write.status.clone());
        object.metadata.resource_version = version.clone();
        observed.metadata.resource_version = version;
        observed.object = Ok(Arc::new(object));
    }

    fn edit(&mut self, name: &str, generation: i64) {
        self.version += 1;
        let observed = self.scenery.objects.get_mut(name).unwrap();
        let mut object = (**observed.object.as_ref().unwrap()).clone();
        object.metadata.generation = Some(generation);
        object.metadata.resource_version = Some(self.version.to_string());
        observed.metadata = object.metadata.clone();
        observed.object = Ok(Arc::new(object));
    }

    fn report(&mut self, replica: usize, config: Option<ConfigReport>) {
        self.scenery.replicas[replica].report.config = config;
    }

    fn status(&self, name: &str) -> &TelemetryConfigStatus {
        self.scenery.objects[name].object.as_ref().unwrap().status.as_ref().unwrap()
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn one_object() -> Scenery {
    Scenery::default().with("a", 1, prometheus()).replica("r", &[Admission], None)
}

fn programmed(generation: i64) -> Option<ConfigReport> {
    about("a", generation, State::Programmed)
}

fn writes(next: &Next) -> Vec<&StatusWrite> {
    let writes = next.actions.iter().filter_map(|action| match action {
        Action::WriteStatus(write) => Some(&**write),
        _ => None,
    });
    writes.collect()
}

fn revisions(next: &Next) -> Vec<i64> {
    let revision = |action: &Action| match action {
        Action::KeepRevision(_, revision) => Some(revision.generation),
        _ => None,
    };
    next.actions.iter().filter_map(revision).collect()
}

#[test]
fn what_is_settled_asks_for_nothing() {
    let mut stage = Stage::of(one_object());
    stage.report(0, programmed(1));
    let first = stage.settle(seconds(0));
    assert_eq!((writes(&first).len(), revisions(&first)), (1, vec![1]));
    for later in [1, 10, 600, 100_000] {
        let next = stage.settle(seconds(later));
        assert!(next.actions.is_empty() && next.again.is_none(), "{next:?}");
    }
}

#[test]
fn a_new_leader_changes_nothing_that_is_true_and_announces_nothing() {
    let mut stage = Stage::of(one_object());
    stage.report(0, programmed(1));
    stage.settle(seconds(0));
    stage.ledger = Ledger::default();
    let next = stage.settle(seconds(1_000));
    assert!(matches!(next.actions[..], [Action::KeepRevision(..)]), "it only makes sure: {next:?}");
}

#[test]
fn a_new_leader_keeps_the_times_of_transitions() {
    let mut stage = Stage::of(one_object());
    stage.report(0, programmed(1));
    stage.settle(seconds(5));
    stage.ledger = Ledger::default();
    stage.report(0, about("a", 1, State::Applying));
    stage.settle(seconds(1_000));
    let times: Vec<_> = stage
        .status("a")
        .conditions
        .iter()
        .map(|it| (it.type_.as_str(), it.last_transition_time.0.as_second()))
        .collect();
    let expected = [
        ("Ready", 1_000),
        ("Accepted", 5),
        ("ResolvedRefs", 5),
        ("Programmed", 1_000),
        ("ExportHealthy", 1_000),
    ];
    assert_eq!(times, expected);
}

#[test]
fn a_status_is_computed_from_our_own_write_until_the_watch_brings_it() {
    let mut stage = Stage::of(one_object());
    let first = stage.step(seconds(0));
    stage.take(writes(&first)[0]);
    assert!(stage.step(seconds(0)).actions.is_empty());
    stage.report(0, programmed(1));
    let second = stage.step(seconds(0));
    let write = writes(&second)[0];
    assert_eq!((write.seen.as_deref(), write.over.as_deref()), (None, Some("2")));
    let reasons: Vec<_> = write.announcements.iter().map(|it| it.topic.reason()).collect();
    assert_eq!(reasons, ["Programmed"], "Accepted was announced before");
}

#[test]
fn a_write_that_was_not_taken_is_handed_out_again_with_its_events() {
    let mut stage = Stage::of(one_object());
    stage.report(0, programmed(1));
    let first = stage.step(seconds(0));
    let again = stage.step(seconds(0));
    assert_eq!(writes(&first), writes(&again));
    assert_eq!(writes(&again)[0].announcements.len(), 2);
}

#[test]
fn an_object_that_cannot_be_decoded_is_written_once() {
    let mut stage = Stage::of(one_object().broken("a", "no"));
    let first = stage.step(seconds(0));
    stage.take(writes(&first)[0]);
    let observed = stage.scenery.objects.get_mut("a").unwrap();
    observed.metadata.resource_version = Some(stage.version.to_string());
    for later in [0, 60, 600] {
        assert!(stage.step(seconds(later)).actions.is_empty());
    }
}

#[test]
fn a_revision_is_kept_once_per_generation_and_not_for_every_edit() {
    let mut stage = Stage::of(one_object());
    let mut kept = Vec::new();
    for edit in 0..1_000_u32 {
        let generation = i64::from(edit) + 1;
        stage.edit("a", generation);
        stage.report(0, programmed(generation));
        kept.extend(revisions(&stage.settle(Duration::from_millis(60) * edit)));
    }
    assert_eq!(kept.len(), 8, "three at once, then one per 10 s of a minute");
    kept.extend(revisions(&stage.settle(seconds(60))));
    assert_eq!(kept.last(), Some(&1_000));
}

#[test]
fn a_revision_that_could_not_be_kept_is_tried_again_later() {
    let mut stage = Stage::of(one_object());
    stage.report(0, programmed(1));
    let first = stage.step(seconds(0));
    assert_eq!(revisions(&first), [1]);
    stage.take(writes(&first)[0]);
    assert_eq!(revisions(&stage.step(seconds(1))), [1]);
    assert_eq!(revisions(&stage.step(seconds(2))), [1]);
    let early = stage.step(seconds(9));
    assert_eq!((revisions(&early), early.again), (vec![], Some(stage.start + seconds(10))));
    assert_eq!(revisions(&stage.step(seconds(10))), [1]);
}

#[test]
fn what_every_replica_ran_is_kept_though_the_object_has_moved_on() {
    let mut stage = Stage::of(one_object());
    for generation in 1..=4 {
        stage.edit("a", generation);
        stage.report(0, programmed(generation));
        stage.settle(seconds(0));
    }
    // Nobody runs the fifth.
    stage.edit("a", 5);
    assert_eq!(revisions(&stage.settle(seconds(9))), [0; 0]);
    assert_eq!(revisions(&stage.settle(seconds(10))), [4]);
    assert_eq!(revisions(&stage.settle(seconds(60))), [0; 0]);
}

#[test]
fn nothing_is_kept_before_every_replica_runs_it() {
    let mut stage = Stage::of(one_object().replica("s", &[Admission], None));
    stage.report(0, programmed(1));
    assert_eq!(revisions(&stage.settle(seconds(0))), [0; 0]);
    stage.report(1, programmed(1));
    assert_eq!(revisions(&stage.settle(seconds(1))), [1]);
}

#[test]
fn a_rotation_is_announced_though_status_was_written_before() {
    let mut stage = Stage::of(one_object());
    let mut at = |version: &str, after| {
        let mut report = programmed(1).unwrap();
        report.references.certificates = vec![CertificateReport {
            secret: "c".to_owned(),
            version: version.to_owned(),
            not_after: Timestamp::UNIX_EPOCH,
        }];
        stage.report(0, Some(report));
        stage.settle(after).actions
    };
    assert!(!at("1", seconds(0)).iter().any(|it| matches!(it, Action::Announce(..))));
    let rotated = Topic::CertificateRotated("c".to_owned());
    let actions = at("2", seconds(1));
    let [Action::Announce(_, announcement)] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!(announcement.topic, rotated);
    assert!(at("2", seconds(2)).is_empty());
}

#[test]
fn orphans_are_deleted_a_few_at_a_time() {
    let mut stage = Stage::of(Scenery::default());
    let orphan = |n: usize| OrphanedLease { name: n.to_string(), resource_version: "1".into() };
    stage.orphans = (0..300).map(orphan).collect();
    assert_eq!(stage.step(seconds(0)).actions.len(), 10);
    assert_eq!(stage.step(seconds(0)).actions.len(), 0);
    assert_eq!(stage.step(seconds(4)).actions.len(), 2);
}
