//! How often something may be done. Pure: the clock is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// A token bucket: so many at once, and then one per period.
#[derive(Clone, Debug)]
pub(crate) struct TokenBucket {
    burst: u32,
    period: Duration,
    /// When all of the burst is available again; `None` if it always was.
    restored: Option<Instant>,
}

// === impl TokenBucket ===

impl TokenBucket {
    pub(crate) fn new(burst: u32, period: Duration) -> Self {
        Self { burst, period, restored: None }
    }

    /// From when on there is one to take.
    pub(crate) fn due(&self, now: Instant) -> Instant {
        let rest = self.period * self.burst.saturating_sub(1);
        let due = self.restored.and_then(|restored| restored.checked_sub(rest));
        due.map_or(now, |due| due.max(now))
    }

    /// Takes one; from when on it may be used.
    pub(crate) fn take(&mut self, now: Instant) -> Instant {
        let due = self.due(now);
        let restored = self.restored.map_or(now, |restored| restored.max(now));
        self.restored = Some(restored + self.period);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let mut tokens = TokenBucket::new(3, Duration::from_millis(100));
        let start = Instant::now();
        let mut waits = |at: u64| {
            let now = start + Duration::from_millis(at);
            assert_eq!(tokens.due(now), tokens.clone().take(now));
            (tokens.take(now) - now).as_millis()
        };
        assert_eq!([waits(0), waits(0), waits(0), waits(0), waits(0)], [0, 0, 0, 100, 200]);
        assert_eq!([waits(10_000), waits(10_000)], [0, 0], "what was not used is there again");
    }
}
