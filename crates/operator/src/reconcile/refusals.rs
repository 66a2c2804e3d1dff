//! Which configurations the pipeline refused, and when they are tried again.

use std::time::Duration;

use super::candidate::Candidate;

const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(10);

/// What the pipeline refused of what is still wanted: two at most, a target and what runs.
#[derive(Debug, Default)]
pub(super) struct Refusals(Vec<Refusal>);

#[derive(Debug)]
struct Refusal {
    candidate: Candidate,
    message: String,
    failures: u32,
    /// Until its next try is due.
    held: bool,
}

/// How long to wait after so many failures in a row: from 0.5 s, doubled up to 10 s.
pub(super) fn delay_after(failures: u32) -> Duration {
    SHORTEST.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(LONGEST)
}

// === impl Refusals ===

impl Refusals {
    /// Takes in a refusal; when to try again.
    pub(super) fn add(&mut self, candidate: Candidate, message: String) -> Duration {
        let known = self.0.iter().position(|it| it.candidate == candidate);
        let failures = known.map_or(0, |known| self.0.swap_remove(known).failures) + 1;
        self.0.push(Refusal { candidate, message, failures, held: true });
        delay_after(failures)
    }

    /// Why the pipeline refused this when it was tried last; a try that is under way says nothing.
    pub(super) fn of(&self, candidate: &Candidate) -> Option<&str> {
        self.find(candidate).map(|it| it.message.as_str())
    }

    /// Whether it is to be left alone for now.
    pub(super) fn holds(&self, candidate: &Candidate) -> bool {
        self.find(candidate).is_some_and(|it| it.held)
    }

    /// Everything may be tried again.
    pub(super) fn release(&mut self) {
        for refusal in &mut self.0 {
            refusal.held = false;
        }
    }

    /// Forgets what nobody wants any more.
    pub(super) fn retain(&mut self, wanted: impl Fn(&Candidate) -> bool) {
        self.0.retain(|it| wanted(&it.candidate));
    }

    /// Whether something waits for its next try.
    pub(super) fn wait(&self) -> bool {
        self.0.iter().any(|it| it.held)
    }

    fn find(&self, candidate: &Candidate) -> Option<&Refusal> {
        self.0.iter().find(|it| it.candidate == *candidate)
    }
}
