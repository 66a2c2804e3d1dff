//! How long to wait before the next try against the API server.

use std::time::Duration;

use kube::runtime::utils::Backoff;

const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(5);

/// Waits from 0.5 s, doubled up to 5 s, with jitter; a success starts over.
#[derive(Debug, Default)]
pub(crate) struct RetryDelay {
    failures: u32,
}

// === impl RetryDelay ===

impl Iterator for RetryDelay {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let doubled = SHORTEST.saturating_mul(2_u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        Some(jittered(doubled.min(LONGEST)))
    }
}

impl Backoff for RetryDelay {
    fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Up to a tenth shorter, so that replicas that start together do not stay together.
pub(crate) fn jittered(period: Duration) -> Duration {
    period.mul_f64(1.0 - fastrand::f64() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_to_the_longest_and_start_over() {
        let mut delay = RetryDelay::default();
        let first: Vec<_> = delay.by_ref().take(6).collect();
        for (delay, nominal) in first.iter().zip([500, 1000, 2000, 4000, 5000, 5000]) {
            let nominal = Duration::from_millis(nominal);
            assert!(*delay <= nominal && *delay >= nominal.mul_f64(0.9), "{first:?}");
        }
        delay.failures = u32::MAX;
        assert!(delay.next() <= Some(LONGEST));
        delay.reset();
        assert!(delay.next() <= Some(SHORTEST));
    }
}
