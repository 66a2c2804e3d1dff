//! How long to wait before the next try against the API server.

use std::time::Duration;

use kube::runtime::utils::Backoff;
use tokio::time::Instant;

const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(5);

/// Waits from 0.5 s, doubled up to 5 s, with jitter; starts over after a while without failures.
#[derive(Debug, Default)]
pub(crate) struct RetryDelay {
    failures: u32,
    last: Option<Instant>,
}

// === impl RetryDelay ===

impl Iterator for RetryDelay {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let now = Instant::now();
        if self.last.replace(now).is_some_and(|last| now - last > LONGEST * 3) {
            self.failures = 0;
        }
        let doubled = SHORTEST.saturating_mul(2_u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        Some(jittered(doubled.min(LONGEST)))
    }
}

impl Backoff for RetryDelay {
    /// A watch calls this before every list, whether or not the list then succeeds: only time tells.
    fn reset(&mut self) {}
}

/// Up to a tenth shorter, so that replicas that start together do not stay together.
pub(crate) fn jittered(period: Duration) -> Duration {
    period.mul_f64(1.0 - fastrand::f64() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use kube::runtime::utils::StreamBackoff;
    use std::pin::pin;

    /// How long a watch waits whose lists all fail, for each of its failures.
    async fn waits(failures: usize) -> Vec<Duration> {
        let attempts = futures::stream::iter([Ok("a list begins"), Err("it fails")]).cycle();
        let mut events = pin!(StreamBackoff::new(attempts, RetryDelay::default()));
        let mut waits = Vec::new();
        let mut failed = Instant::now();
        while let Some(event) = events.next().await {
            match event {
                Ok(_) => waits.push(failed.elapsed()),
                Err(_) if waits.len() > failures => break,
                Err(_) => failed = Instant::now(),
            }
        }
        waits.split_off(1)
    }

    #[tokio::test(start_paused = true)]
    async fn lists_that_fail_are_tried_ever_more_rarely() {
        let waits = waits(6).await;
        for (wait, nominal) in waits.iter().zip([500, 1000, 2000, 4000, 5000, 5000]) {
            let nominal = Duration::from_millis(nominal);
            let slack = Duration::from_millis(2);
            assert!(*wait <= nominal + slack && *wait >= nominal.mul_f64(0.9), "{waits:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_while_without_failures_starts_over() {
        let mut delay = RetryDelay { failures: u32::MAX, last: Some(Instant::now()) };
        assert!(delay.next() > Some(SHORTEST));
        tokio::time::advance(LONGEST * 4).await;
        assert!(delay.next() <= Some(SHORTEST));
    }
}
