//! What becomes of a reload, counted once and whichever way it ends.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::pipeline::Shared;

/// A reload on its way. Counts, when it is dropped, what became of it.
pub(super) struct Fate<'a> {
    shared: &'a Shared,
    began: Instant,
    outcome: Outcome,
}

#[derive(Clone, Copy)]
enum Outcome {
    Refused,
    Abandoned,
    Committed(Duration),
}

// === impl Fate ===

impl<'a> Fate<'a> {
    /// As long as nobody says anything else, it is refused.
    pub(super) fn begin(shared: &'a Shared) -> Self {
        Self { shared, began: Instant::now(), outcome: Outcome::Refused }
    }

    /// Nothing speaks against it. Dropped now, it was abandoned.
    pub(super) fn prepared(&mut self) {
        self.outcome = Outcome::Abandoned;
    }

    /// It is in force.
    pub(super) fn committed(&mut self) {
        self.outcome = Outcome::Committed(self.began.elapsed());
    }
}

impl Drop for Fate<'_> {
    fn drop(&mut self) {
        let counts = &self.shared.reloads;
        let (count, outcome, took) = match self.outcome {
            Outcome::Refused => (&counts.refused, "refused", None),
            Outcome::Abandoned => (&counts.abandoned, "abandoned", None),
            Outcome::Committed(took) => (&counts.committed, "committed", Some(took)),
        };
        count.fetch_add(1, Ordering::Relaxed);
        if let Some(own) = &self.shared.own {
            own.reloaded(outcome, took);
        }
    }
}
