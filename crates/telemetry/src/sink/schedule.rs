//! When a sink exports next. Pure: the clock and the jitter are arguments.

use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::outcome::Retry;

/// When a sink exports next.
#[derive(Debug)]
pub(super) struct Schedule {
    period: Duration,
    /// The start of the next period.
    tick: Instant,
    backoff: Backoff,
}

// === impl Schedule ===

impl Schedule {
    /// Periods that are counted from `now`, the moment of the first export. `prepare` refuses a
    /// period that is zero, or longer than a day.
    pub(super) fn new(period: Duration, now: Instant) -> Self {
        Self { period, tick: now + period, backoff: Backoff::default() }
    }

    /// When to export after an export that ended at `now`, and whether that is another attempt.
    /// `jitter` is between 0 and 1.
    pub(super) fn after(&mut self, retry: Retry, now: Instant, jitter: f64) -> (Instant, bool) {
        // A period that an export outlasted is skipped, not made up for.
        if let Some(late) = now.checked_duration_since(self.tick) {
            let into_period = (late.as_nanos() % self.period.as_nanos()) as u64;
            self.tick = now + self.period - Duration::from_nanos(into_period);
        }
        let Some(wait) = self.backoff.after(retry, jitter) else {
            self.backoff.reset();
            return (self.tick, false);
        };
        let again = now + wait;
        match retry {
            // Whoever asked for the wait gets all of it.
            Retry::After(_) => (again, true),
            Retry::Backoff | Retry::No => (again.min(self.tick), again < self.tick),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(60);

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn periods_are_counted_from_the_first_export_and_missed_ones_are_skipped() {
        let start = Instant::now();
        let mut schedule = Schedule::new(PERIOD, start);
        assert_eq!(schedule.after(Retry::No, start + seconds(5.0), 0.0), (start + PERIOD, false));
        let late = start + seconds(150.0);
        assert_eq!(schedule.after(Retry::No, late, 0.0), (start + PERIOD * 3, false));
    }

    #[test]
    fn a_process_that_slept_for_a_day_is_back_in_step_at_once() {
        let (start, period) = (Instant::now(), Duration::from_millis(1));
        let mut schedule = Schedule::new(period, start);
        let day = seconds(86_400.0);
        for (late, next) in [(Duration::ZERO, period), (period / 4, period), (period, period * 2)] {
            let (tick, _) = schedule.after(Retry::No, start + day + late, 0.0);
            assert_eq!(tick, start + day + next, "{late:?}");
        }
    }

    #[test]
    fn attempts_come_ever_later_and_never_after_the_next_period() {
        let start = Instant::now();
        let mut schedule = Schedule::new(PERIOD, start);
        let mut now = start;
        for wait in [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0] {
            let (next, again) = schedule.after(Retry::Backoff, now, 0.0);
            assert_eq!((next - now, again), (seconds(wait), true));
            now = next;
        }
        let (next, again) = schedule.after(Retry::Backoff, now, 1.0);
        assert_eq!((next, again), (start + PERIOD, false));
        schedule.after(Retry::No, next, 0.0);
        let (again, _) = schedule.after(Retry::Backoff, next, 0.0);
        assert_eq!(again - next, seconds(0.25), "a success starts over");
    }

    #[test]
    fn a_receiver_that_asks_to_wait_is_left_alone_for_that_long_within_reason() {
        let start = Instant::now();
        let mut schedule = Schedule::new(PERIOD, start);
        for (asked, waited) in [(90.0, 90.0), (0.0, 0.5), (86_400.0, 300.0)] {
            let (next, again) = schedule.after(Retry::After(seconds(asked)), start, 0.0);
            assert_eq!((next - start, again), (seconds(waited), true));
        }
    }
}
