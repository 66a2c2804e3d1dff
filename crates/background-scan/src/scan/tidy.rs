//! Reports with results of admissions, which have to go with their policies.

use pharos_reports::Own;

use super::{Job, Scan, Tidy};
use crate::known::{Entry, Flag, Uid};

// === impl Scan ===

impl Scan {
    /// Policies are known, or are gone: results of admissions may be of some that are no more.
    pub(crate) fn tidy_all(&mut self) {
        let admitted = self.known.iter().filter(|(_, entry)| entry.admitted.is_some());
        self.untidy = Some(admitted.map(|(uid, _)| uid).collect());
    }

    /// Whether it was told that policies are known.
    pub(crate) fn knows_policies(&self) -> bool {
        self.untidy.is_some()
    }

    /// The same, if policies are known.
    pub(super) fn look_for_untidy(&mut self) {
        if self.untidy.is_some() {
            self.tidy_all();
        }
    }

    /// Has taken out of a report what is of no policy any more.
    pub(super) fn tidy(&mut self, uid: Uid, own: Own) {
        if let Some(removal) = self.removal(uid) {
            self.writes.push_back(Job::Tidy(Tidy { removal, own }));
        }
    }

    /// The next report to look at that is not being written.
    pub(super) fn next_tidy(&mut self) -> Option<Job> {
        if !self.unlisted.is_empty() {
            return None;
        }
        loop {
            let known = &self.known;
            let is_free = |uid: &Uid| known.get(*uid).is_none_or(|it| !it.state.is(Flag::Writing));
            let untidy = self.untidy.as_mut()?;
            let next = untidy.iter().position(is_free)?;
            let uid = untidy.remove(next)?;
            let entry = self.known.get(uid);
            if entry.is_some_and(|entry| entry.admitted.is_some() && self.tends(entry)) {
                let removal = self.removal(uid)?;
                return Some(Job::Tidy(Tidy { removal, own: Own::Keep }));
            }
        }
    }

    /// What is scanned no more is forgotten. Its report stays where admissions say something in it, and is
    /// found again among those without an object.
    pub(super) fn leave(&mut self, uid: Uid) {
        match self.known.get_mut(uid) {
            Some(entry) if entry.admitted.is_some() => entry.lose_object(),
            _ => self.lose(uid),
        }
    }

    /// Whether a report is this process's to look at: reports about what is not scanned are one resource.
    fn tends(&self, entry: &Entry) -> bool {
        match entry.target {
            Some(_) => self.owns(entry),
            None => self.share.owns("", "", self.known.namespace(entry)),
        }
    }
}
