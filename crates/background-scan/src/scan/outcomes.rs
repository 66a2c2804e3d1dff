//! What follows from jobs that are done.

use super::sweep::Progressed;
use super::{Job, Judged, Keeping, Page, Read, Removal, Scan, Single, Write, Written};
use crate::known::{Digest, Flag, TargetId, Uid, Version};

// === impl Scan ===

impl Scan {
    /// A page was read, or not.
    pub(crate) fn page_read(&mut self, page: &Page, read: Read) {
        self.reading = self.reading.saturating_sub(1);
        let Some(slot) = self.targets.get_mut(&page.id) else { return };
        let (objects, more) = match read {
            Read::Judged { objects, more } => (objects, more),
            Read::Expired => return slot.sweep.failed(page.round, true),
            Read::Failed => {
                self.counts.failed += 1;
                return slot.sweep.failed(page.round, false);
            }
        };
        let progressed = slot.sweep.read(page.round, more);
        if progressed == Progressed::Void {
            return;
        }
        objects.into_iter().for_each(|object| self.settle(page.id, object));
        if progressed == Progressed::Over {
            // Those that changed meanwhile, or that the list did not show.
            let of_target = self.known.of_target(page.id);
            let stale = of_target.filter(|(_, entry)| entry.state.is(Flag::Stale));
            let stale: Vec<Uid> = stale.map(|(uid, _)| uid).collect();
            stale.into_iter().for_each(|uid| self.enqueue(uid));
        }
    }

    /// A single object was read, or not.
    pub(crate) fn object_read(&mut self, single: &Single, read: Read) {
        self.reading = self.reading.saturating_sub(1);
        let round = self.targets.get(&single.id).map(|slot| slot.sweep.round());
        match read {
            // Who made it void has it judged again.
            _ if round != Some(single.round) => self.enqueue(single.uid),
            Read::Judged { objects, .. } => {
                let is_there = objects.iter().any(|object| object.uid == single.uid);
                objects.into_iter().for_each(|object| self.settle(single.id, object));
                let is_stale = |uid| self.known.get(uid).is_some_and(|it| it.state.is(Flag::Stale));
                // An older state than the watch has told of is asked for again. That one is gone, or
                // another one has its name, is for the watch to tell.
                if is_there && is_stale(single.uid) {
                    self.enqueue(single.uid);
                }
            }
            Read::Expired | Read::Failed => {
                self.counts.failed += 1;
                self.enqueue(single.uid);
            }
        }
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
        let Keeping::In(api) = self.keeping else { return };
        let Some(entry) = self.known.get_mut(uid) else { return };
        entry.state.mark(Flag::Writing);
        let version = entry.report;
        let Some(entry) = self.known.get(uid) else { return };
        let namespace = self.known.namespace(entry).to_owned();
        let kind = if namespace.is_empty() { api.of_cluster() } else { api.in_namespaces() };
        self.writes.push_back(Job::Delete(Removal { uid, kind, namespace, version }));
    }

    /// What became of a report.
    pub(crate) fn written(&mut self, uid: Uid, written: Written) {
        self.writing = self.writing.saturating_sub(1);
        match written {
            Written::Stored(..) => self.counts.written += 1,
            Written::Deleted => self.counts.deleted += 1,
            Written::Failed => self.counts.failed += 1,
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
            Written::Stored(version, digest) | Written::Unchanged(version, digest) => {
                (entry.report, entry.digest) = (version, digest);
                entry.state.mark(Flag::Ours);
            }
            Written::Deleted => {
                (entry.report, entry.digest) = (Version::default(), Digest::default());
                entry.state.clear(Flag::Ours);
            }
            Written::Failed => entry.state.mark(Flag::Stale),
        }
        match (entry.target, written) {
            (Some(_), _) if entry.state.is(Flag::Stale) => self.enqueue(uid),
            (Some(_), _) => {}
            (None, Written::Deleted) => self.known.remove(uid),
            // Looked for among those without an object.
            (None, Written::Failed) => entry.state.clear(Flag::Stale),
            // The object went meanwhile.
            (None, _) => self.remove_report(uid),
        }
    }
}
