//! What the leader does next: a function of what it sees, of what it did before, and of the time.
//!
//! Enter at [`Ledger::step`]. Nothing is sent from here: the driver (`leader.rs`) carries the
//! [`Action`]s out and enters what came of them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use pharos_api::telemetryconfig::{TelemetryConfig, TelemetryConfigStatus};
use pharos_cluster::revisions::Revision;
use pharos_cluster::view::{Observed, Uid};
use tokio::time::Instant;

use super::certificates::Certificates;
use super::pace::{Allowance, Pace, Rate, Urgency};
use super::transitions::{Announcement, transitions};
use crate::judge::{Scene, judge};
use crate::replicas::{LiveReplica, OrphanedLease};
use crate::select::{Scopes, Winners, select};

/// A few edits are kept at once, for a replica may restart any time; of many the last is enough.
const REVISIONS: Rate = Rate { burst: 3, period: Duration::from_secs(10) };
/// A hundred replicas that died together are no reason to hurry.
const BURIALS: Rate = Rate { burst: 10, period: Duration::from_secs(2) };

/// What the leader sees of its namespace.
#[derive(Clone, Copy)]
pub(super) struct Namespace<'a> {
    pub(super) objects: &'a BTreeMap<Uid, Observed<TelemetryConfig>>,
    pub(super) scopes: &'a Scopes,
    pub(super) replicas: &'a [LiveReplica],
    pub(super) orphans: &'a [OrphanedLease],
}

/// Now, for measuring and for people.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    pub(super) instant: Instant,
    pub(super) timestamp: Timestamp,
}

/// One request to the API server, or several about one thing.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// Write a status, then announce what changed with it.
    WriteStatus(Box<StatusWrite>),
    /// Publish an Event.
    Announce(Subject, Announcement),
    /// Keep what every replica runs, for those that start onto something else.
    KeepRevision(Subject, Revision),
    /// Delete the Lease of a replica that died without a Pod to be collected with.
    DeleteLease(OrphanedLease),
}

/// The object that an action is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    /// Empty where it does not exist yet.
    pub(super) uid: Uid,
    pub(super) name: String,
}

/// The whole status of an object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StatusWrite {
    pub(super) subject: Subject,
    /// The resourceVersion that the watch brought.
    pub(super) seen: Option<String>,
    /// The resourceVersion that the status was computed from: the API server refuses any other.
    pub(super) over: Option<String>,
    pub(super) status: TelemetryConfigStatus,
    pub(super) announcements: Vec<Announcement>,
}

/// What to do now, and when to look again though nothing happens.
#[derive(Debug, Default)]
pub(super) struct Next {
    /// In this order: status first.
    pub(super) actions: Vec<Action>,
    /// When a difference may be written that came too early.
    pub(super) again: Option<Instant>,
}

/// What the leader did since it began to lead.
#[derive(Debug)]
pub(super) struct Ledger {
    pages: BTreeMap<Uid, Page>,
    burials: Allowance,
}

/// What it did for one object.
#[derive(Debug)]
struct Page {
    written: Option<Written>,
    pace: Pace,
    certificates: Certificates,
    /// The newest spec that every replica ran; the object may have moved on since.
    programmed: Option<Revision>,
    /// The generation whose revision is kept.
    kept: Option<i64>,
    revisions: Allowance,
}

/// A status that was written and that the watch may not have brought back yet.
#[derive(Debug)]
struct Written {
    seen: Option<String>,
    version: Option<String>,
    status: TelemetryConfigStatus,
}

// === impl Next ===

impl Next {
    fn look_again(&mut self, at: Option<Instant>) {
        self.again = self.again.into_iter().chain(at).min();
    }
}

// === impl Ledger ===

impl Default for Ledger {
    fn default() -> Self {
        Self { pages: BTreeMap::new(), burials: Allowance::of(BURIALS) }
    }
}

impl Ledger {
    /// What to do now. What it hands out counts as attempted.
    pub(super) fn step(&mut self, namespace: Namespace<'_>, now: Now) -> Next {
        self.pages.retain(|uid, _| namespace.objects.contains_key(uid));
        let winners = select(&namespace.scopes.candidates(namespace.objects));
        let mut next = Next::default();
        for (uid, observed) in namespace.objects {
            let page = self.pages.entry(uid.clone()).or_default();
            page.step(observed, namespace, &winners, now, &mut next);
        }
        next.actions.sort_by_key(|action| !matches!(action, Action::WriteStatus(_)));
        for orphan in namespace.orphans {
            if self.burials.is_due(now.instant) {
                self.burials.spend(now.instant);
                next.actions.push(Action::DeleteLease(orphan.clone()));
            }
        }
        next
    }

    /// A status was written; the object has this resourceVersion now.
    pub(super) fn wrote(&mut self, write: StatusWrite, version: Option<String>) {
        if let Some(page) = self.pages.get_mut(&write.subject.uid) {
            page.written = Some(Written { seen: write.seen, version, status: write.status });
        }
    }

    /// The revision of this generation is kept.
    pub(super) fn kept(&mut self, uid: &str, generation: i64) {
        if let Some(page) = self.pages.get_mut(uid) {
            page.kept = Some(generation);
        }
    }
}

// === impl Page ===

impl Default for Page {
    fn default() -> Self {
        Self {
            written: None,
            pace: Pace::default(),
            certificates: Certificates::default(),
            programmed: None,
            kept: None,
            revisions: Allowance::of(REVISIONS),
        }
    }
}

impl Page {
    fn step(
        &mut self,
        observed: &Observed<TelemetryConfig>,
        namespace: Namespace<'_>,
        winners: &Winners,
        now: Now,
        next: &mut Next,
    ) {
        let before = Written::before(self.written.as_ref(), observed);
        let scene = Scene {
            observed,
            scope: namespace.scopes.of(observed.uid()),
            objects: namespace.objects,
            winners,
            replicas: namespace.replicas,
            before,
            now: now.timestamp,
        };
        let status = judge(&scene);
        let obeying = scene.obeying();
        let urgency = Urgency::between(before, &status);
        let announcements = transitions(before, &status);
        let subject = Subject { uid: observed.uid().to_owned(), name: observed.name().to_owned() };
        let rotated = self.certificates.observe(&obeying).into_iter().map(Announcement::rotated);
        next.actions.extend(rotated.map(|it| Action::Announce(subject.clone(), it)));
        let revision = self.revision(observed, &status, &subject, now, next);
        next.actions.extend(revision);
        let Some(urgency) = urgency else { return };
        match self.pace.due(urgency) {
            Some(due) if due > now.instant => next.look_again(Some(due)),
            _ => {
                self.pace.spend(urgency, now.instant);
                let (seen, over) =
                    (observed.metadata.resource_version.clone(), self.over(observed));
                let write = StatusWrite { subject, seen, over, status, announcements };
                next.actions.push(Action::WriteStatus(Box::new(write)));
            }
        }
    }

    /// The resourceVersion of what the API server holds, as far as is known.
    fn over(&self, observed: &Observed<TelemetryConfig>) -> Option<String> {
        match &self.written {
            Some(written) if written.is_unseen(observed) => written.version.clone(),
            _ => observed.metadata.resource_version.clone(),
        }
    }

    /// The spec as every replica ran it last, unless it is kept or was tried just now.
    fn revision(
        &mut self,
        observed: &Observed<TelemetryConfig>,
        status: &TelemetryConfigStatus,
        subject: &Subject,
        now: Now,
        next: &mut Next,
    ) -> Option<Action> {
        self.note_programmed(observed, status);
        let revision = self.programmed.as_ref().filter(|it| self.kept != Some(it.generation))?;
        if !self.revisions.is_due(now.instant) {
            next.look_again(self.revisions.due());
            return None;
        }
        self.revisions.spend(now.instant);
        Some(Action::KeepRevision(subject.clone(), revision.clone()))
    }

    fn note_programmed(
        &mut self,
        observed: &Observed<TelemetryConfig>,
        status: &TelemetryConfigStatus,
    ) {
        let generation = observed.generation();
        let noted = self.programmed.as_ref().map(|revision| revision.generation);
        if status.programmed_generation == Some(generation)
            && noted != Some(generation)
            && let Ok(object) = &observed.object
            && let Ok(spec) = serde_json::to_value(&object.spec)
        {
            self.programmed = Some(Revision { generation, spec });
        }
    }
}

// === impl Written ===

impl Written {
    /// The status that the API server holds, as far as is known: our own last write until the watch
    /// brings a newer object, and for good where the object cannot be decoded.
    fn before<'a>(
        written: Option<&'a Self>,
        observed: &'a Observed<TelemetryConfig>,
    ) -> Option<&'a TelemetryConfigStatus> {
        match written.filter(|it| observed.object.is_err() || it.is_unseen(observed)) {
            Some(written) => Some(&written.status),
            None => observed.object.as_ref().ok()?.status.as_ref(),
        }
    }

    /// Whether the watch still shows what this was written over.
    fn is_unseen(&self, observed: &Observed<TelemetryConfig>) -> bool {
        self.seen == observed.metadata.resource_version
    }
}

#[cfg(test)]
mod tests;
