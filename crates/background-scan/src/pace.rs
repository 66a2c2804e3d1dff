//! How far a scan is, told to whoever reads the log: while there is something to judge, and once when
//! there is not any more.

use tokio::time::Instant;

use crate::scan::{Counts, Progress};

/// What was told last.
#[derive(Debug)]
pub(crate) struct Pace {
    told: Counts,
    at: Instant,
    under_way: Option<Began>,
}

/// The beginning of what is under way.
#[derive(Clone, Copy, Debug)]
struct Began {
    counts: Counts,
    at: Instant,
}

/// What is to be told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Line {
    /// It goes on.
    Going { left: usize, per_second: f64 },
    /// All objects are judged, and all reports written.
    Complete { judged: u64, written: u64, seconds: f64 },
}

// === impl Pace ===

impl Pace {
    pub(crate) fn starting(now: Instant) -> Self {
        Self { told: Counts::default(), at: now, under_way: None }
    }

    /// Tells how far it is, if there is anything to tell.
    pub(crate) fn tell(&mut self, progress: Progress, counts: Counts, now: Instant) {
        let objects = progress.objects;
        match self.step(progress, counts, now) {
            Some(Line::Going { left, per_second }) => {
                let (written, unlisted) = (counts.written, progress.unlisted);
                let per_second = per_second.round();
                tracing::info!(objects, left, per_second, written, unlisted, "scanning");
            }
            Some(Line::Complete { judged, written, seconds }) => {
                let seconds = seconds.round();
                tracing::info!(objects, judged, written, seconds, "the scan is complete");
            }
            None => {}
        }
    }

    fn step(&mut self, progress: Progress, counts: Counts, now: Instant) -> Option<Line> {
        let before = std::mem::replace(&mut self.told, counts);
        let since = now.saturating_duration_since(std::mem::replace(&mut self.at, now));
        let left = progress.stale + progress.waiting;
        let judged = counts.judged.saturating_sub(before.judged);
        if left == 0 && progress.unlisted == 0 {
            let began = self.under_way.take();
            // What began and ended between two looks is told of as well.
            let began =
                began.or_else(|| (judged > 0).then_some(Began { counts: before, at: now - since }));
            return began.map(|began| Line::Complete {
                judged: counts.judged.saturating_sub(began.counts.judged),
                written: counts.written.saturating_sub(began.counts.written),
                seconds: now.saturating_duration_since(began.at).as_secs_f64(),
            });
        }
        self.under_way.get_or_insert(Began { counts: before, at: now - since });
        let seconds = since.as_secs_f64().max(f64::MIN_POSITIVE);
        Some(Line::Going { left, per_second: judged as f64 / seconds })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn progress_is_told_with_its_rate_and_the_end_once() {
        let start = Instant::now();
        let mut pace = Pace::starting(start);
        let mut at = |seconds: u64, stale: usize, judged: u64| {
            let progress = Progress { objects: 100, stale, ..Progress::default() };
            let counts = Counts { judged, ..Counts::default() };
            pace.step(progress, counts, start + Duration::from_secs(seconds))
        };
        assert_eq!(at(10, 0, 0), None, "there was nothing to do");
        assert_eq!(at(20, 60, 40), Some(Line::Going { left: 60, per_second: 4.0 }));
        assert_eq!(at(30, 10, 90), Some(Line::Going { left: 10, per_second: 5.0 }));
        let complete = Line::Complete { judged: 100, written: 0, seconds: 30.0 };
        assert_eq!(at(40, 0, 100), Some(complete));
        assert_eq!(at(50, 0, 100), None);
        let complete = Line::Complete { judged: 1, written: 0, seconds: 10.0 };
        assert_eq!(at(60, 0, 101), Some(complete));
    }
}
