//! How long a sink waits before it sends again. Pure: the jitter is an argument.

use std::time::Duration;

use crate::outcome::Retry;

const FIRST: Duration = Duration::from_millis(500);
const LAST: Duration = Duration::from_secs(30);
/// The longest that a receiver may tell us to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Attempts that failed in a row.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

// === impl Backoff ===

impl Backoff {
    /// An answer came that settles things.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// How long to wait before the next attempt; `None` if there is to be none. `jitter` is between
    /// 0 and 1.
    pub(crate) fn after(&mut self, retry: Retry, jitter: f64) -> Option<Duration> {
        match retry {
            Retry::No => None,
            Retry::Backoff => {
                let backoff = FIRST.saturating_mul(1 << self.failures.min(10)).min(LAST);
                self.failures += 1;
                Some(backoff.mul_f64(0.5 + jitter / 2.0))
            }
            // Everybody was told the same, so nobody comes at the same time.
            Retry::After(wait) => {
                Some(wait.clamp(FIRST, LONGEST_WAIT).mul_f64(1.0 + jitter / 10.0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn attempts_come_ever_later_until_one_is_answered() {
        let mut backoff = Backoff::default();
        for wait in [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0] {
            assert_eq!(backoff.after(Retry::Backoff, 0.0), Some(seconds(wait)));
        }
        assert_eq!(backoff.after(Retry::Backoff, 1.0), Some(LAST));
        backoff.reset();
        assert_eq!(backoff.after(Retry::Backoff, 1.0), Some(FIRST));
        assert_eq!(backoff.after(Retry::No, 1.0), None);
    }

    #[test]
    fn a_receiver_that_asks_to_wait_is_left_alone_for_that_long_within_reason() {
        let mut backoff = Backoff::default();
        for (asked, waited) in [(90.0, 90.0), (0.0, 0.5), (86_400.0, 300.0)] {
            let wait = backoff.after(Retry::After(seconds(asked)), 0.0);
            assert_eq!(wait, Some(seconds(waited)));
        }
    }
}
