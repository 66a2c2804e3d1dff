//! Admissions that are to be told, put together by object. Pure but for the clock, which is an argument.
//!
//! Of what one policy said about an object the latest counts. What is being written is given back when it
//! has to be written again; nothing about that object is given out meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use pharos_reports::admitted::Said;
use tokio::time::Instant;

use super::{Admission, Awaited, Place};

/// How long after its admission an object is looked for at first: it is stored by then, mostly.
const FIRST: Duration = Duration::from_millis(250);

/// What one policy said about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) said: Said,
    pub(crate) awaited: Awaited,
    /// How often the object was looked for.
    pub(crate) tries: u32,
}

/// What is known of what is to be told.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    objects: BTreeMap<Place, Object>,
}

#[derive(Debug)]
struct Object {
    /// Empty while all of it is being written.
    pending: Vec<Pending>,
    due: Instant,
    /// How many of it are being written.
    writing: usize,
}

// === impl Waiting ===

impl Waiting {
    /// An object was admitted.
    pub(crate) fn take_in(&mut self, admission: Admission, now: Instant) {
        let Admission { place, awaited, said } = admission;
        let due = now + FIRST;
        let none = Object { pending: Vec::new(), due, writing: 0 };
        let object = self.objects.entry(place).or_insert(none);
        object.due = object.due.min(due);
        for said in said {
            let awaited = awaited.clone();
            object.lay(Pending { said, awaited, tries: 0 });
        }
    }

    /// What is to be written first, if it is time.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<(Place, Vec<Pending>)> {
        let free = self.objects.iter_mut().filter(|(_, object)| object.is_free());
        let (place, object) = free.min_by_key(|(_, object)| object.due)?;
        if object.due > now {
            return None;
        }
        object.writing = object.pending.len();
        Some((place.clone(), std::mem::take(&mut object.pending)))
    }

    /// What was taken is written, but for what is `left` and to be tried at that time.
    pub(crate) fn settle(&mut self, place: &Place, left: Vec<Pending>, due: Instant) {
        let Some(object) = self.objects.get_mut(place) else { return };
        object.writing = 0;
        if object.pending.is_empty() {
            object.due = due;
        }
        // What came meanwhile is later.
        let later = std::mem::replace(&mut object.pending, left);
        later.into_iter().for_each(|pending| object.lay(pending));
        if object.pending.is_empty() {
            self.objects.remove(place);
        }
    }

    /// When something is to be written, if nothing new comes.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let free = self.objects.values().filter(|object| object.is_free());
        free.map(|object| object.due).min()
    }

    /// All of it is to be written at once.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.objects.values_mut().for_each(|object| object.due = now);
    }

    /// How many objects wait or are being written.
    pub(crate) fn len(&self) -> usize {
        self.objects.len()
    }

    /// What policies said, of all of these, in numbers.
    pub(crate) fn said(&self) -> usize {
        self.objects.values().map(|object| object.pending.len() + object.writing).sum()
    }
}

// === impl Object ===

impl Object {
    fn is_free(&self) -> bool {
        self.writing == 0 && !self.pending.is_empty()
    }

    fn lay(&mut self, later: Pending) {
        match self.pending.iter_mut().find(|it| it.said.is_of_policy_of(&later.said)) {
            Some(earlier) => {
                let said = later.said.after(earlier.said.clone());
                *earlier = Pending { said, ..later };
            }
            None => self.pending.push(later),
        }
    }
}
