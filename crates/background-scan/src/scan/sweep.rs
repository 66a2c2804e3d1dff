//! How far the objects of one target are read, page by page.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::Place;
use crate::target::Concern;

/// What is wanted, and what is being gone through.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    wanted: Concern,
    places: VecDeque<Place>,
    /// Where the first place goes on.
    token: Option<String>,
    is_reading: bool,
    round: u32,
}

/// What follows from a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progressed {
    /// It is of a sweep that is void.
    Void,
    /// There is more to read.
    Further,
    /// That was the last one.
    Over,
}

/// What is read after a page that was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// The same one.
    SamePage,
    /// The first one of its place: where it was to go on is too long ago.
    FromStart,
}

// === impl Sweep ===

impl Sweep {
    /// Wants this gone through, with what was left of what is being gone through: what was read so far
    /// was judged by what no longer holds.
    pub(super) fn concern(&mut self, concern: Concern) {
        if concern == Concern::Nothing {
            return;
        }
        let left = self.places.drain(..).fold(Concern::Nothing, |left, place| {
            left.and(match place {
                Place::Everywhere => Concern::Everything,
                Place::Namespace(namespace) => Concern::Namespaces([namespace].into()),
            })
        });
        self.wanted = std::mem::take(&mut self.wanted).and(left).and(concern);
        self.token = None;
        self.is_reading = false;
        self.round = self.round.wrapping_add(1);
    }

    /// Whether nothing is being gone through, nor going to be.
    pub(super) fn is_over(&self) -> bool {
        self.places.is_empty() && !self.is_wanted()
    }

    /// Whether all of it is going to be read anew.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted != Concern::Nothing
    }

    /// Which sweep it is: what was given out in an earlier one is void.
    pub(super) fn round(&self) -> u32 {
        self.round
    }

    /// What is to be gone through from now on, if anything is.
    pub(super) fn begin(&mut self) -> Option<Concern> {
        let concern = std::mem::take(&mut self.wanted);
        (concern != Concern::Nothing).then_some(concern)
    }

    /// Goes through these namespaces: all at once if these are all that there are.
    pub(super) fn go_through(&mut self, namespaces: BTreeSet<Arc<str>>, is_whole: bool) {
        let in_one = |namespace: Arc<str>| match &*namespace {
            "" => Place::Everywhere,
            _ => Place::Namespace(namespace),
        };
        self.places = match namespaces.is_empty() {
            false if is_whole => [Place::Everywhere].into(),
            _ => namespaces.into_iter().map(in_one).collect(),
        };
    }

    /// The page to read, if none is being read.
    pub(super) fn next(&mut self) -> Option<(Place, Option<String>)> {
        if self.is_reading {
            return None;
        }
        let place = self.places.front()?.clone();
        self.is_reading = true;
        Some((place, self.token.clone()))
    }

    /// A page was read, and this is where it goes on.
    pub(super) fn read(&mut self, round: u32, more: Option<String>) -> Progressed {
        if round != self.round {
            return Progressed::Void;
        }
        self.is_reading = false;
        self.token = more;
        if self.token.is_none() {
            self.places.pop_front();
        }
        if self.places.is_empty() { Progressed::Over } else { Progressed::Further }
    }

    /// A page was not read. It is read again.
    pub(super) fn failed(&mut self, round: u32, again: Again) {
        if round == self.round {
            self.is_reading = false;
            if again == Again::FromStart {
                self.token = None;
            }
        }
    }
}
