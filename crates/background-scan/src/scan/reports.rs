//! What follows from reports as they are watched.

use std::collections::HashSet;

use pharos_api::report::ReportKind;
use pharos_cluster::trouble::Trouble;
use pharos_reports::{Digest, Own};

use super::Scan;
use crate::known::{Flag, KindInGroup, Stamp, Uid, Version};

/// How often a report is mended that somebody else changes; after that, the next sweep does it. Two engines
/// that keep reports of one name would never end.
const CONTESTS: u8 = 4;

/// A report as the watch of metadata tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SeenReport {
    /// The uid of the resource, by which it is named.
    pub(crate) uid: Uid,
    pub(crate) namespace: String,
    pub(crate) version: Version,
    /// What it is about, if it says so.
    pub(crate) owner: Option<KindInGroup>,
    /// What it says; none if it is of another engine.
    pub(crate) stamp: Stamp,
}

// === impl Scan ===

impl Scan {
    /// All reports of a kind that there are.
    pub(crate) fn reports_listed(&mut self, kind: ReportKind, reports: Vec<SeenReport>) {
        let there: HashSet<Uid> = reports.iter().map(|report| report.uid).collect();
        let of_kind = self.known.iter().filter(|(_, entry)| {
            let in_namespace = !self.known.namespace(entry).is_empty();
            !entry.report.is_none() && in_namespace == kind.is_namespaced()
        });
        let gone: Vec<Uid> = of_kind.map(|(uid, _)| uid).filter(|it| !there.contains(it)).collect();
        gone.into_iter().for_each(|uid| self.report_deleted(uid));
        reports.iter().for_each(|report| self.report_applied(report));
        if self.unlisted.remove(&kind).is_some() && self.unlisted.is_empty() {
            self.look_for_untidy();
        }
    }

    /// Nothing can be told of the reports of a kind for now.
    pub(crate) fn reports_unlisted(&mut self, kind: ReportKind, trouble: Trouble) {
        if let Some(why) = self.unlisted.get_mut(&kind) {
            *why = Some(trouble);
        }
    }

    /// A report is there, or is another than before.
    pub(crate) fn report_applied(&mut self, report: &SeenReport) {
        let entry = self.known.report(report.uid, &report.namespace, report.owner.as_ref());
        if !report.version.is_after(entry.report) {
            return;
        }
        let is_new = entry.report.is_none();
        entry.report = report.version;
        let is_by_admission =
            entry.admitted != report.stamp.admitted && entry.digest == report.stamp.digest;
        entry.admitted = report.stamp.admitted;
        if report.stamp.is_ours() {
            entry.state.mark(Flag::Ours);
        }
        if entry.state.is(Flag::Writing) {
            // What we are told of may be what we wrote, before we know that we did.
            return;
        }
        entry.digest = report.stamp.digest;
        let Some(entry) = self.known.get(report.uid) else { return };
        if is_new || is_by_admission || !self.owns(entry) {
            return;
        }
        // Somebody has changed it, and left the digest, or not.
        let Some(entry) = self.known.get_mut(report.uid) else { return };
        entry.digest = Digest::default();
        entry.state.mark(Flag::Stale);
        entry.state.contest();
        self.counts.contested += 1;
        if entry.state.contests() <= CONTESTS {
            self.enqueue(report.uid);
        }
    }

    /// A report is gone.
    pub(crate) fn report_deleted(&mut self, uid: Uid) {
        let Some(entry) = self.known.get_mut(uid).filter(|entry| !entry.report.is_none()) else {
            return;
        };
        entry.lose_report();
        if entry.state.is(Flag::Writing) {
            return;
        }
        if entry.target.is_none() {
            self.known.remove(uid);
        } else {
            entry.state.mark(Flag::Stale);
            self.enqueue(uid);
        }
    }

    /// Has the reports deleted that were without an object at the last look, too, if they are ours. What
    /// they are about has to be among what is `served`, and what of it is scanned has to be known now: an
    /// API server that is away, or says less than it should, takes no report away.
    pub(crate) fn look_for_orphans(&mut self, served: &HashSet<KindInGroup>) {
        if !self.unlisted.is_empty() {
            return;
        }
        let unknown = self.targets.values().filter(|it| !it.is_listed || it.trouble.is_some());
        let unknown: HashSet<_> =
            unknown.map(|it| KindInGroup::of(&it.target.kind, &it.target.group)).collect();
        let may_go = |owner: &KindInGroup| served.contains(owner) && !unknown.contains(owner);
        let mut orphans = Vec::new();
        for (uid, entry) in self.known.iter_mut() {
            let is_orphan = entry.target.is_none()
                && entry.state.is(Flag::Ours)
                && !entry.state.is(Flag::Writing)
                && entry.owner().is_none_or(|owner| may_go(&owner));
            if is_orphan && entry.state.is(Flag::Suspect) {
                orphans.push(uid);
            }
            if is_orphan {
                entry.state.mark(Flag::Suspect);
            } else {
                entry.state.clear(Flag::Suspect);
            }
        }
        for uid in orphans {
            let namespace = self.known.get(uid).map(|entry| self.known.namespace(entry));
            // What they were about is not served or not scanned any more: they are one resource.
            if !namespace.is_some_and(|namespace| self.share.owns("", "", namespace)) {
                continue;
            }
            match self.known.get(uid) {
                // They may be about what no scan looks at; they go with what owns them.
                Some(entry) if entry.admitted.is_some() => {
                    if !entry.digest.is_none() {
                        self.tidy(uid, Own::Drop);
                    }
                }
                _ => self.remove_report(uid),
            }
        }
    }
}
