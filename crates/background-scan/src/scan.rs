//! What is done next: the owner of everything that a scan knows. Pure; it does no I/O and asks no clock.
//!
//! What happens comes in by one method each: objects and reports as they are watched, policies and
//! shares as they change, and what became of the jobs that were given out. [`Scan::next`] gives out the
//! next job, while few enough are under way.
//!
//! **Sweeps.** A target is read page by page when it is new, when policies about it change, when shares
//! move and when the interval is over; objects that change meanwhile, or after, are read one by one. A
//! sweep that begins anew makes what was read before it void: what was judged by the policies of before
//! changes nothing.
//!
//! **Reports.** What a report says is known by the digest in its metadata, so that none is written that
//! is as it should be, whoever wrote it. A report without an object is deleted when it was one at two
//! looks ([`Scan::look_for_orphans`]): the watch of reports may be ahead of that of objects.
//!
//! **Admissions** write into the same reports, from whatever process. What they say stays when the scan
//! has nothing to say, and goes with its policy: then every report that has such results is tidied.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use pharos_api::report::{ReportApi, ReportKind};
use pharos_cluster::trouble::Trouble;

use crate::known::{Entry, Flag, Known, TargetId, Uid, Version};
use crate::share::Share;
use crate::target::{Concern, Target};

pub(crate) use job::{Job, Judged, Page, Place, Read, Removal, Rest, Single, Tidy, Write, Written};
pub(crate) use progress::{Counts, Progress};
pub(crate) use reports::SeenReport;
use sweep::Sweep;

mod job;
mod outcomes;
mod progress;
mod reports;
mod sweep;
mod targets;
mod tidy;

/// How many pages and single objects are read at a time.
const READS: usize = 2;
/// How many reports are written at a time.
const WRITES: usize = 16;
/// How many reports may wait to be written; over it nothing is read.
const WAITING: usize = 256;
/// From how many objects on it is cheaper to read all.
const MANY: usize = 128;

/// Everything that a scan knows.
pub(crate) struct Scan {
    known: Known,
    targets: BTreeMap<TargetId, Slot>,
    next_target: TargetId,
    /// Of which target a page was read last.
    last_page: Option<TargetId>,
    share: Share,
    /// Objects to be read one by one, each once.
    queue: VecDeque<Uid>,
    /// What is to be written, each about another object.
    writes: VecDeque<Job>,
    /// Reports with results of admissions that may be of policies which are gone; none before policies
    /// are known.
    untidy: Option<VecDeque<Uid>>,
    reading: usize,
    writing: usize,
    keeping: Keeping,
    /// The kinds of reports of which nothing is known yet, and why.
    unlisted: BTreeMap<ReportKind, Option<Trouble>>,
    counts: Counts,
}

/// One target, and how far it is.
struct Slot {
    target: Arc<Target>,
    /// Whether its objects are known.
    is_listed: bool,
    /// Whether it is left alone because who serves its objects failed.
    is_resting: bool,
    /// Why its objects cannot be listed or read now.
    trouble: Option<Trouble>,
    sweep: Sweep,
}

/// Whether reports are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// In this API.
    In(ReportApi),
    /// They are somebody else's: nothing is written, and results are in the metrics only.
    Nowhere,
}

/// An object as the watch of metadata tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) uid: Uid,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) version: Version,
}

/// Watches to begin and to end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Watches {
    pub(crate) begin: Vec<(TargetId, Arc<Target>)>,
    pub(crate) end: Vec<TargetId>,
}

// === impl Keeping ===

impl Keeping {
    /// The kinds of reports that are kept.
    pub(crate) fn kinds(self) -> impl Iterator<Item = ReportKind> {
        let kinds = match self {
            Self::In(api) => Some([api.in_namespaces(), api.of_cluster()]),
            Self::Nowhere => None,
        };
        kinds.into_iter().flatten()
    }
}

// === impl Scan ===

impl Scan {
    pub(crate) fn new(keeping: Keeping, share: Share) -> Self {
        Self {
            known: Known::default(),
            targets: BTreeMap::new(),
            next_target: TargetId::FIRST,
            last_page: None,
            share,
            queue: VecDeque::new(),
            writes: VecDeque::new(),
            untidy: None,
            reading: 0,
            writing: 0,
            keeping,
            unlisted: keeping.kinds().map(|kind| (kind, None)).collect(),
            counts: Counts::default(),
        }
    }

    /// All objects that a target has.
    pub(crate) fn listed(&mut self, id: TargetId, objects: Vec<Seen>) {
        let Some(slot) = self.targets.get_mut(&id) else { return };
        let is_first = !std::mem::replace(&mut slot.is_listed, true);
        slot.trouble = None;
        let there: HashSet<Uid> = objects.iter().map(|seen| seen.uid).collect();
        let before = self.known.of_target(id).map(|(uid, _)| uid);
        let gone: Vec<Uid> = before.filter(|uid| !there.contains(uid)).collect();
        gone.into_iter().for_each(|uid| self.lose(uid));
        let changed: Vec<Uid> = objects.into_iter().filter_map(|it| self.note(id, &it)).collect();
        if is_first || changed.len() > MANY {
            self.concern(id, Concern::Everything);
        } else {
            changed.into_iter().for_each(|uid| self.enqueue(uid));
        }
    }

    /// Nothing can be told of the objects of a target for now.
    pub(crate) fn unlisted(&mut self, id: TargetId, trouble: Trouble) {
        if let Some(slot) = self.targets.get_mut(&id) {
            slot.trouble = Some(trouble);
        }
    }

    /// An object is there, or is another than before.
    pub(crate) fn applied(&mut self, id: TargetId, seen: &Seen) {
        if let Some(uid) = self.note(id, seen) {
            self.enqueue(uid);
        }
    }

    /// An object is gone.
    pub(crate) fn deleted(&mut self, id: TargetId, uid: Uid) {
        if self.known.get(uid).is_some_and(|entry| entry.target == Some(id)) {
            self.lose(uid);
        }
    }

    /// From now on, this is what this process scans.
    pub(crate) fn set_share(&mut self, share: Share) {
        let before = std::mem::replace(&mut self.share, share);
        let ids: Vec<TargetId> = self.targets.keys().copied().collect();
        for id in ids {
            let Some(target) = self.targets.get(&id).map(|slot| Arc::clone(&slot.target)) else {
                continue;
            };
            let (group, resource) = (&*target.group, &*target.resource);
            let namespaces: BTreeSet<Arc<str>> = {
                let of_target = self.known.of_target(id);
                of_target.map(|(_, entry)| self.known.namespace(entry).into()).collect()
            };
            let gained = namespaces.into_iter().filter(|namespace| {
                self.share.owns(group, resource, namespace)
                    && !before.owns(group, resource, namespace)
            });
            let gained: BTreeSet<_> = gained.collect();
            if !gained.is_empty() {
                self.concern(id, Concern::Namespaces(gained));
            }
        }
        self.look_for_untidy();
    }

    /// Objects of a target have to be judged again.
    pub(crate) fn concern(&mut self, id: TargetId, concern: Concern) {
        if let Some(slot) = self.targets.get_mut(&id) {
            slot.sweep.concern(concern);
        }
    }

    /// Everything has to be judged again.
    pub(crate) fn concern_all(&mut self) {
        self.targets.values_mut().for_each(|slot| slot.sweep.concern(Concern::Everything));
        self.look_for_untidy();
    }

    /// What is scanned, by its numbers.
    pub(crate) fn targets(&self) -> impl Iterator<Item = (TargetId, &Arc<Target>)> {
        self.targets.iter().map(|(id, slot)| (*id, &slot.target))
    }

    /// The next thing to do, if there is anything and few enough things are being done.
    pub(crate) fn next(&mut self) -> Option<Job> {
        if self.writing < WRITES
            && let Some(write) = self.writes.pop_front()
        {
            self.writing += 1;
            return Some(write);
        }
        if self.writing < WRITES
            && let Some(tidy) = self.next_tidy()
        {
            self.writing += 1;
            return Some(tidy);
        }
        let may_read = self.reading < READS && self.writes.len() < WAITING;
        if !may_read || !self.unlisted.is_empty() {
            return None;
        }
        let job = self.next_single().or_else(|| self.next_page())?;
        self.reading += 1;
        Some(job)
    }

    fn next_single(&mut self) -> Option<Job> {
        while let Some(uid) = self.queue.pop_front() {
            let Some(entry) = self.known.get_mut(uid) else { continue };
            entry.state.clear(Flag::Queued);
            let Some(entry) = self.known.get(uid) else { continue };
            if !entry.state.is(Flag::Stale) || entry.state.is(Flag::Writing) || !self.owns(entry) {
                continue;
            }
            let Some((id, slot)) = entry.target.and_then(|id| Some((id, self.targets.get(&id)?)))
            else {
                continue;
            };
            if slot.sweep.is_wanted() || slot.is_resting {
                continue;
            }
            return Some(Job::Object(Single {
                id,
                target: Arc::clone(&slot.target),
                uid,
                namespace: self.known.namespace(entry).to_owned(),
                name: entry.name().to_owned(),
                round: slot.sweep.round(),
            }));
        }
        None
    }

    fn next_page(&mut self) -> Option<Job> {
        // In turns, so that a large one keeps none of the others waiting.
        let last = self.last_page;
        let (before, after): (Vec<_>, Vec<_>) =
            self.targets.keys().copied().partition(|id| Some(*id) <= last);
        for id in after.into_iter().chain(before) {
            self.begin_sweep(id);
            let Some(slot) = self.targets.get_mut(&id) else { continue };
            if slot.is_resting {
                continue;
            }
            if let Some((place, token)) = slot.sweep.next() {
                self.last_page = Some(id);
                let (target, round) = (Arc::clone(&slot.target), slot.sweep.round());
                return Some(Job::Page(Page { id, target, place, token, round }));
            }
        }
        None
    }

    /// Begins the sweep of a target, if one is wanted and its objects are known.
    fn begin_sweep(&mut self, id: TargetId) {
        let Some(slot) = self.targets.get_mut(&id).filter(|slot| slot.is_listed) else { return };
        let Some(concern) = slot.sweep.begin() else { return };
        let (group, resource) = (&*slot.target.group, &*slot.target.resource);
        let mut namespaces = BTreeSet::new();
        let mut stale = Vec::new();
        for (uid, entry) in self.known.of_target(id) {
            let namespace = self.known.namespace(entry);
            if concern.is_about(namespace) && self.share.owns(group, resource, namespace) {
                stale.push(uid);
                if !namespaces.contains(namespace) {
                    namespaces.insert(Arc::from(namespace));
                }
            }
        }
        for uid in stale {
            if let Some(entry) = self.known.get_mut(uid) {
                entry.state.mark(Flag::Stale);
                entry.state.forgive();
            }
        }
        let is_whole = concern == Concern::Everything && self.share.owns_all();
        slot.sweep.go_through(namespaces, is_whole);
    }

    /// Takes in an object; its uid if it is another than the one that was judged.
    fn note(&mut self, id: TargetId, seen: &Seen) -> Option<Uid> {
        if !self.targets.contains_key(&id) {
            return None;
        }
        let entry = self.known.object(seen.uid, id, &seen.namespace, &seen.name);
        if !seen.version.is_after(entry.seen) {
            return None;
        }
        entry.seen = seen.version;
        entry.state.mark(Flag::Stale);
        Some(seen.uid)
    }

    /// Forgets an object, and takes its report away.
    fn lose(&mut self, uid: Uid) {
        let Some(entry) = self.known.get(uid) else { return };
        let is_ours = self.owns(entry);
        let Some(entry) = self.known.get_mut(uid) else { return };
        entry.lose_object();
        if entry.state.is(Flag::Writing) {
            return;
        }
        if entry.report.is_none() {
            self.known.remove(uid);
        } else if is_ours {
            self.remove_report(uid);
        }
    }

    /// Has an object read on its own, unless it is about to be read with all others.
    fn enqueue(&mut self, uid: Uid) {
        let Some(entry) = self.known.get(uid).filter(|entry| !entry.state.is(Flag::Queued)) else {
            return;
        };
        let slot = entry.target.and_then(|id| self.targets.get(&id));
        let is_later = |slot: &Slot| slot.is_resting || slot.sweep.is_wanted();
        if !self.owns(entry) || slot.is_none_or(is_later) {
            return;
        }
        if let Some(entry) = self.known.get_mut(uid) {
            entry.state.mark(Flag::Queued);
            self.queue.push_back(uid);
        }
    }

    /// Whether this process scans that object.
    fn owns(&self, entry: &Entry) -> bool {
        let slot = entry.target.and_then(|id| self.targets.get(&id));
        slot.is_some_and(|slot| {
            let Target { group, resource, .. } = &*slot.target;
            self.share.owns(group, resource, self.known.namespace(entry))
        })
    }
}

#[cfg(test)]
mod tests;
