//! The spans of the sweeps that go on, one for each target.

use std::collections::HashMap;

use pharos_instruments::{Instruments, SweepOutcome, SweepParent, SweepSpan};

use crate::edge::facts;
use crate::known::TargetId;
use crate::scan::{Page, Scan};

/// What is being gone through.
pub(super) struct Sweeps {
    instruments: Instruments,
    under_way: HashMap<TargetId, Sweeping>,
}

struct Sweeping {
    round: u32,
    span: SweepSpan,
    objects: usize,
}

// === impl Sweeps ===

impl Sweeps {
    pub(super) fn new(instruments: Instruments) -> Self {
        Self { instruments, under_way: HashMap::new() }
    }

    /// What the span of a page begins under.
    pub(super) fn of(&mut self, page: &Page) -> SweepParent {
        let begin = || Sweeping {
            round: page.round,
            span: self.instruments.begin_sweep(&facts(&page.target, None)),
            objects: 0,
        };
        self.under_way.entry(page.id).or_insert_with(begin).span.parent()
    }

    /// So many objects of a page were judged.
    pub(super) fn judged(&mut self, page: &Page, objects: usize) {
        if let Some(sweeping) = self.under_way.get_mut(&page.id) {
            sweeping.objects += objects;
        }
    }

    /// Ends the spans of the sweeps that are over, or begun anew.
    pub(super) fn look(&mut self, scan: &Scan) {
        let ended = |id: &TargetId, sweeping: &mut Sweeping| match scan.sweeping(*id) {
            Some(round) => round != sweeping.round,
            None => true,
        };
        for (id, Sweeping { round, span, objects }) in self.under_way.extract_if(ended) {
            let outcome = match scan.round(id) {
                Some(now) if now == round => SweepOutcome::Complete,
                _ => SweepOutcome::Superseded,
            };
            span.end(outcome, objects);
        }
    }
}
