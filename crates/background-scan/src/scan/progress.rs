//! How far a scan is, in numbers.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Scan;
use crate::known::{Entry, Flag, TargetId};
use crate::status::{ScanStatus, TargetStatus};

/// What was done, since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Objects judged.
    pub(crate) judged: u64,
    /// Reports written.
    pub(crate) written: u64,
    /// Reports deleted.
    pub(crate) deleted: u64,
    /// Jobs that failed, and are done again.
    pub(crate) failed: u64,
    /// Reports that somebody else changed.
    pub(crate) contested: u64,
}

/// How far a scan is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Objects that this replica scans.
    pub(crate) objects: usize,
    /// Those of them that have to be judged.
    pub(crate) stale: usize,
    /// Reports that wait to be written.
    pub(crate) waiting: usize,
    /// Resources whose objects are not known yet.
    pub(crate) unlisted: usize,
    /// Resources whose objects cannot be listed or read now.
    pub(crate) unread: usize,
}

// === impl Scan ===

impl Scan {
    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// The objects of this process's share. Whose a namespace is, is asked once for each.
    fn ours(&self) -> impl Iterator<Item = &Entry> {
        let mut owned = HashMap::new();
        self.known.iter().filter_map(move |(_, entry)| {
            let share = (entry.target?, entry.namespace());
            owned.entry(share).or_insert_with(|| self.owns(entry)).then_some(entry)
        })
    }

    pub(crate) fn progress(&self) -> Progress {
        let mut progress = Progress {
            waiting: self.writes.len() + self.writing,
            unread: self.targets.values().filter(|slot| slot.trouble.is_some()).count(),
            unlisted: self.targets.values().filter(|slot| !slot.is_listed).count(),
            ..Progress::default()
        };
        for entry in self.ours() {
            progress.objects += 1;
            progress.stale += usize::from(entry.state.is(Flag::Stale));
        }
        progress
    }

    /// Which round a target is in.
    pub(crate) fn round(&self, id: TargetId) -> Option<u32> {
        self.targets.get(&id).map(|slot| slot.sweep.round())
    }

    /// The same, while it is being gone through.
    pub(crate) fn sweeping(&self, id: TargetId) -> Option<u32> {
        let slot = self.targets.get(&id).filter(|slot| !slot.sweep.is_over())?;
        Some(slot.sweep.round())
    }

    /// Its progress, and what of it is of which resource, for whoever asks.
    pub(crate) fn status(&self) -> ScanStatus {
        let mut by_target: BTreeMap<TargetId, (TargetStatus, BTreeSet<&str>)> = self
            .targets
            .iter()
            .map(|(id, slot)| {
                let trouble = slot.trouble.map(|trouble| trouble.reason().to_owned());
                let status = TargetStatus { trouble, ..TargetStatus::of(slot.target.to_string()) };
                (*id, (status, BTreeSet::new()))
            })
            .collect();
        for entry in self.ours() {
            if let Some((status, namespaces)) = entry.target.and_then(|id| by_target.get_mut(&id)) {
                status.objects += 1;
                status.left += usize::from(entry.state.is(Flag::Stale));
                namespaces.insert(self.known.namespace(entry));
            }
        }
        let resources =
            by_target.into_values().map(|(status, namespaces)| status.within(namespaces));
        let (progress, counts) = (self.progress(), self.counts);
        let why = self.unlisted.values().find_map(|why| *why);
        ScanStatus {
            objects: progress.objects,
            left: progress.stale,
            waiting: progress.waiting,
            unlisted: progress.unlisted,
            judged: counts.judged,
            written: counts.written,
            deleted: counts.deleted,
            failed: counts.failed,
            reports_trouble: why.map(|trouble| trouble.reason().to_owned()),
            resources: resources.collect(),
        }
    }
}
