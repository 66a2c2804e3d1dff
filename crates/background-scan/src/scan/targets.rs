//! What follows from a change of what is scanned.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::sweep::Sweep;
use super::{Scan, Slot, Watches};
use crate::known::{TargetId, Uid};
use crate::target::{Concern, Target};

// === impl Scan ===

impl Scan {
    /// From now on, these are scanned and no others. A resource that is read in another version keeps its
    /// number, and its reports: its objects are the same.
    pub(crate) fn set_targets(&mut self, targets: &BTreeSet<Target>) -> Watches {
        let mut watches = Watches::default();
        let is_gone = |slot: &Slot| !targets.iter().any(|it| it.is_resource_of(&slot.target));
        let gone = self.targets.iter().filter(|(_, slot)| is_gone(slot));
        watches.end = gone.map(|(id, _)| *id).collect();
        for id in &watches.end {
            let uids: Vec<Uid> = self.known.of_target(*id).map(|(uid, _)| uid).collect();
            uids.into_iter().for_each(|uid| self.leave(uid));
            self.targets.remove(id);
        }
        for target in targets {
            let number =
                |(id, slot): (&TargetId, &Slot)| slot.target.is_resource_of(target).then_some(*id);
            let id = match self.targets.iter().find_map(number) {
                Some(id) if self.targets.get(&id).is_some_and(|it| *it.target == *target) => {
                    continue;
                }
                Some(id) => id,
                // Numbers are not given again: what comes late for one that is gone finds nothing.
                None => {
                    let id = self.next_target;
                    self.next_target = id.next();
                    id
                }
            };
            let target = Arc::new(target.clone());
            watches.begin.push((id, Arc::clone(&target)));
            let mut slot = Slot::of(target);
            if let Some(before) = self.targets.remove(&id) {
                // What was given out for the other version is void.
                slot.sweep = before.sweep;
                slot.sweep.concern(Concern::Everything);
            }
            self.targets.insert(id, slot);
        }
        watches
    }
}

// === impl Slot ===

impl Slot {
    fn of(target: Arc<Target>) -> Self {
        let (is_listed, is_resting, trouble) = (false, false, None);
        Self { target, is_listed, is_resting, trouble, sweep: Sweep::default() }
    }
}
