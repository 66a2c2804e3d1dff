//! What follows from jobs that are done.

use pharos_cluster::trouble::Trouble;
use pharos_reports::{Digest, Own};

use super::sweep::{Again, Progressed};
use super::{Job, Judged, Keeping, Page, Read, Removal, Rest, Scan, Single, Write, Written};
use crate::known::{Entry, Flag, TargetId, Uid};

// === impl Scan ===

impl Scan {
    /// A page was read, or not.
    pub(crate) fn page_read(&mut self, page: &Page, read: Read) -> Option<Rest> {
        self.reading = self.reading.saturating_sub(1);
        let slot = self.targets.get_mut(&page.id)?;
        let (objects, more) = match read {
            Read::Judged { objects, more } => (objects, more),
            // Nothing is too long ago for the first page.
            Read::Expired if page.token.is_some() => {
                slot.sweep.failed(page.round, Again::FromStart);
                return None;
            }
            Read::Expired => {
                slot.sweep.failed(page.round, Again::SamePage);
                return self.failed(page.id, Trouble::Outdated);
            }
            Read::Failed(trouble) => {
                slot.sweep.failed(page.round, Again::SamePage);
                return self.failed(page.id, trouble);
            }
        };
        slot.trouble = None;
        let progressed = slot.sweep.read(page.round, more);
        if progressed == Progressed::Void {
            return None;
        }
        objects.into_iter().for_each(|object| self.settle(page.id, object));
        if progressed == Progressed::Over {
            // Those that changed meanwhile, or that the list did not show.
            self.enqueue_stale(page.id);
        }
        None
    }

    /// A single object was read, or not.
    pub(crate) fn object_read(&mut self, single: &Single, read: Read) -> Option<Rest> {
        self.reading = self.reading.saturating_sub(1);
        let round = self.targets.get(&single.id).map(|slot| slot.sweep.round());
        match read {
            // Who made it void has it judged again.
            _ if round != Some(single.round) => self.enqueue(single.uid),
            Read::Judged { objects, .. } => {
                self.is_well(single.id);
                let is_there = objects.iter().any(|object| object.uid == single.uid);
                objects.into_iter().for_each(|object| self.settle(single.id, object));
                let is_stale = |uid| self.known.get(uid).is_some_and(|it| it.state.is(Flag::Stale));
                // An older state than the watch has told of is asked for again. That one is gone, or
                // another one has its name, is for the watch to tell.
                if is_there && is_stale(single.uid) {
                    self.enqueue(single.uid);
                }
            }
            Read::Expired => return self.failed(single.id, Trouble::Outdated),
            Read::Failed(trouble) => return self.failed(single.id, trouble),
        }
        None
    }

    /// Who serves the objects of a target fails.
    fn failed(&mut self, id: TargetId, trouble: Trouble) -> Option<Rest> {
        self.counts.failed += 1;
        let slot = self.targets.get_mut(&id)?;
        slot.trouble = Some(trouble);
        let is_new = !std::mem::replace(&mut slot.is_resting, true);
        is_new.then_some(Rest(id))
    }

    fn is_well(&mut self, id: TargetId) {
        if let Some(slot) = self.targets.get_mut(&id) {
            slot.trouble = None;
        }
    }

    /// A target has been left alone for long enough.
    pub(crate) fn rested(&mut self, Rest(id): Rest) {
        if let Some(slot) = self.targets.get_mut(&id) {
            slot.is_resting = false;
            self.enqueue_stale(id);
        }
    }

    /// Has everything of a target read that has to be judged and that no sweep is going to read.
    fn enqueue_stale(&mut self, id: TargetId) {
        if self.targets.get(&id).is_none_or(|slot| !slot.sweep.is_over()) {
            return;
        }
        let of_target = self.known.of_target(id);
        let stale = of_target.filter(|(_, entry)| entry.state.is(Flag::Stale));
        let stale: Vec<Uid> = stale.map(|(uid, _)| uid).collect();
        stale.into_iter().for_each(|uid| self.enqueue(uid));
    }

    /// Has up to so many objects read again that have to be judged and that nothing else is going to have
    /// read: what their reports should be was refused, or they were not found. How many there were.
    pub(crate) fn try_again(&mut self, most: usize) -> usize {
        let is_idle = |(_, entry): &(Uid, &Entry)| {
            let slot = entry.target.and_then(|id| self.targets.get(&id));
            entry.state.is(Flag::Stale)
                && !entry.state.is(Flag::Writing)
                && !entry.state.is(Flag::Queued)
                && slot.is_some_and(|slot| slot.sweep.is_over() && !slot.is_resting)
        };
        let idle: Vec<Uid> = self.known.iter().filter(is_idle).take(most).map(|it| it.0).collect();
        idle.iter().for_each(|uid| self.enqueue(*uid));
        idle.len()
    }

    /// What follows from what policies say about an object.
    fn settle(&mut self, id: TargetId, judged: Judged) {
        let Judged { uid, version, desired } = judged;
        // What is not known yet is told of by the watch, and what is not known any more is gone.
        let Some(entry) = self.known.get_mut(uid).filter(|entry| entry.target == Some(id)) else {
            return;
        };
        if entry.seen.is_after(version) {
            return;
        }
        self.counts.judged += 1;
        if entry.state.is(Flag::Writing) {
            // Its report is being made what it should have been before.
            entry.seen = version;
            entry.state.mark(Flag::Stale);
            return;
        }
        entry.seen = version;
        entry.state.clear(Flag::Stale);
        if self.keeping == Keeping::Nowhere {
            return;
        }
        let is_there = !entry.report.is_none();
        match desired {
            None if !is_there => {}
            // One of another engine.
            None if !entry.state.is(Flag::Ours) => {}
            // What admissions say stays, and there may be nothing else in it.
            None if entry.admitted.is_some() => {
                if !entry.digest.is_none() || entry.state.contests() > 0 {
                    self.tidy(uid, Own::Drop);
                }
            }
            None => self.remove_report(uid),
            Some(desired) if is_there && desired.digest == entry.digest => {}
            Some(desired) => {
                entry.state.mark(Flag::Writing);
                self.writes.push_back(Job::Write(Box::new(Write { uid, desired, is_there })));
            }
        }
    }

    /// Has a report deleted.
    pub(super) fn remove_report(&mut self, uid: Uid) {
        if let Some(removal) = self.removal(uid) {
            self.writes.push_back(Job::Delete(removal));
        }
    }

    /// The report of an object as it is deleted. From now on it is being written.
    pub(super) fn removal(&mut self, uid: Uid) -> Option<Removal> {
        let Keeping::In(api) = self.keeping else { return None };
        let entry = self.known.get_mut(uid)?;
        entry.state.mark(Flag::Writing);
        let version = entry.report;
        let namespace = self.known.namespace(self.known.get(uid)?).to_owned();
        let kind = if namespace.is_empty() { api.of_cluster() } else { api.in_namespaces() };
        Some(Removal { uid, kind, namespace, version })
    }

    /// What became of a report.
    pub(crate) fn written(&mut self, uid: Uid, written: Written) {
        self.writing = self.writing.saturating_sub(1);
        match written {
            Written::Stored(..) => self.counts.written += 1,
            Written::Deleted => self.counts.deleted += 1,
            Written::Failed | Written::Refused => self.counts.failed += 1,
            Written::Unchanged(..) => {}
        }
        let Some(entry) = self.known.get_mut(uid) else { return };
        entry.state.clear(Flag::Writing);
        match written {
            // Changed by somebody else since.
            Written::Stored(version, _) | Written::Unchanged(version, _)
                if !entry.report.is_none() && entry.report.is_after(version) =>
            {
                entry.digest = Digest::default();
                entry.state.mark(Flag::Stale);
            }
            Written::Stored(version, stamp) | Written::Unchanged(version, stamp) => {
                (entry.report, entry.digest) = (version, stamp.digest);
                entry.admitted = stamp.admitted;
                entry.state.mark(Flag::Ours);
            }
            Written::Deleted => entry.lose_report(),
            Written::Failed | Written::Refused => {
                entry.state.mark(Flag::Stale);
                if entry.admitted.is_some() {
                    // It may have been about policies that are gone.
                    self.untidy.iter_mut().for_each(|untidy| untidy.push_back(uid));
                }
            }
        }
        match (entry.target, written) {
            (Some(_), Written::Refused) => {}
            (Some(_), _) if entry.state.is(Flag::Stale) => self.enqueue(uid),
            (Some(_), _) => {}
            (None, Written::Deleted) => self.known.remove(uid),
            // Looked for among those without an object.
            (None, Written::Failed | Written::Refused) => entry.state.clear(Flag::Stale),
            // Its kind is not scanned any more, or the object takes it along.
            (None, _) if entry.admitted.is_some() => {}
            // The object went meanwhile.
            (None, _) => self.remove_report(uid),
        }
    }
}
