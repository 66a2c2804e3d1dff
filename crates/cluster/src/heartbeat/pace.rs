//! How often a report that changes all the time is written. Pure: the clock is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// How often at once, after a quiet time.
const BURST: u32 = 3;
/// How often in the long run.
const PERIOD: Duration = Duration::from_secs(1);

/// What was written so far: the time by which it would be done at one per [`PERIOD`].
#[derive(Debug)]
pub(super) struct Pace(Instant);

// === impl Pace ===

impl Pace {
    pub(super) fn starting(now: Instant) -> Self {
        Self(now)
    }

    /// Counts a write that begins now, whether or not it was due.
    pub(super) fn count(&mut self, now: Instant) {
        self.0 = self.0.max(now) + PERIOD;
    }

    /// When the next one may begin.
    pub(super) fn next(&self) -> Instant {
        self.0 - PERIOD * (BURST - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_and_then_one_per_second() {
        let start = Instant::now();
        let mut pace = Pace::starting(start);
        let mut now = start;
        let waits: Vec<_> = (0..6)
            .map(|_| {
                now = now.max(pace.next());
                pace.count(now);
                (now - start).as_secs()
            })
            .collect();
        assert_eq!(waits, [0, 0, 0, 1, 2, 3]);
        let later = now + Duration::from_secs(60);
        pace.count(later);
        assert!(pace.next() < later, "a quiet time allows another burst");
    }
}
