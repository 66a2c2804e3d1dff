//! Names that many share, each held once.

use std::collections::HashMap;
use std::sync::Arc;

/// One of [`Names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NameId(u32);

/// Names by their numbers. The number of a name that nobody has any more is given to another one.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_name: HashMap<Arc<str>, u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    name: Arc<str>,
    users: u32,
}

// === impl Names ===

impl Names {
    /// The number of a name, for one user more.
    pub(super) fn add(&mut self, name: &str) -> NameId {
        if let Some(index) = self.by_name.get(name).copied() {
            if let Some(slot) = self.slot(index) {
                slot.users += 1;
            }
            return NameId(index);
        }
        let slot = Slot { name: name.into(), users: 1 };
        let shared = Arc::clone(&slot.name);
        let index = match self.free.pop() {
            Some(index) => {
                if let Some(reused) = self.slot(index) {
                    *reused = slot;
                }
                index
            }
            None => {
                self.slots.push(slot);
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.by_name.insert(shared, index);
        NameId(index)
    }

    /// One user less.
    pub(super) fn remove(&mut self, NameId(index): NameId) {
        let Some(slot) = self.slot(index) else { return };
        slot.users = slot.users.saturating_sub(1);
        if slot.users == 0 {
            let name = std::mem::replace(&mut slot.name, "".into());
            self.by_name.remove(&name);
            self.free.push(index);
        }
    }

    pub(super) fn get(&self, NameId(index): NameId) -> &str {
        let slot = usize::try_from(index).ok().and_then(|index| self.slots.get(index));
        slot.map_or("", |slot| &slot.name)
    }

    fn slot(&mut self, index: u32) -> Option<&mut Slot> {
        usize::try_from(index).ok().and_then(|index| self.slots.get_mut(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_held_once_and_its_number_is_given_away_with_its_last_user() {
        let mut names = Names::default();
        let (a, b) = (names.add("a"), names.add("b"));
        assert_eq!(names.add("a"), a);
        names.remove(a);
        assert_eq!(names.get(a), "a", "it has a user yet");
        names.remove(a);
        assert_eq!(names.add("c"), a);
        assert_eq!([names.get(a), names.get(b)], ["c", "b"]);
        assert_ne!(names.add("a"), a);
    }
}
