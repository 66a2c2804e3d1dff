//! How long to wait before the next try against the API server.

use std::time::Duration;

use tokio::time::Instant;

const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(5);

/// Waits from 0.5 s, doubled up to 5 s, with jitter; starts over after a while without failures.
#[derive(Debug, Default)]
pub struct RetryDelay {
    failures: u32,
    last: Option<Instant>,
}

// === impl RetryDelay ===

impl RetryDelay {
    /// How long to wait after a failure that happened now.
    pub fn after_failure(&mut self) -> Duration {
        let now = Instant::now();
        if self.last.replace(now).is_some_and(|last| now - last > LONGEST * 3) {
            self.failures = 0;
        }
        let doubled = SHORTEST.saturating_mul(2_u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        jittered(doubled.min(LONGEST))
    }
}

/// Up to a tenth shorter, so that replicas that start together do not stay together.
pub(crate) fn jittered(period: Duration) -> Duration {
    period.mul_f64(1.0 - fastrand::f64() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_fails_is_tried_ever_more_rarely() {
        let mut delay = RetryDelay::default();
        for nominal in [500, 1000, 2000, 4000, 5000, 5000] {
            let (wait, nominal) = (delay.after_failure(), Duration::from_millis(nominal));
            assert!(wait <= nominal && wait >= nominal.mul_f64(0.9), "{wait:?}");
            tokio::time::advance(wait).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_while_without_failures_starts_over() {
        let mut delay = RetryDelay { failures: u32::MAX, last: Some(Instant::now()) };
        assert!(delay.after_failure() > SHORTEST);
        tokio::time::advance(LONGEST * 4).await;
        assert!(delay.after_failure() <= SHORTEST);
    }
}
