//! The end of a sink: its last totals, the time that it has for them, and what became of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::debug::LastExports;
use crate::outcome::Retry;
use crate::snapshot::Snapshot;

use super::exported::Exported;

/// How long a last export may take where nobody says how long.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);
/// Whoever says "for ever" means less than this.
const LONGEST_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// How often a last request is tried: once, and again over new connections.
const LAST_ATTEMPTS: u32 = 3;
const LAST_ATTEMPT_PAUSE: Duration = Duration::from_millis(200);
/// Why items are lost that a sink could not send before its end.
pub(crate) const LAST_EXPORT_LOST: &str = "last_export_lost";

/// What the hub says to a sink that has to end.
pub(crate) struct Farewell {
    /// The totals of the commit that ends it.
    pub(crate) last: Arc<Snapshot>,
    pub(crate) succession: Succession,
    pub(crate) deadline: Deadline,
    pub(crate) counts: Arc<LastExportCounts>,
    pub(crate) reply: oneshot::Sender<LastExport>,
}

/// Who goes on where a sink ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Succession {
    /// Nobody.
    None,
    /// A sink that has the same name.
    SameName,
}

/// When a last export is given up. It can be moved while it is waited for.
#[derive(Clone, Debug)]
pub(crate) struct Deadline {
    began: Instant,
    by: watch::Receiver<Instant>,
}

/// The hand that moves a [`Deadline`]. Dropped, the deadline stays where it is.
#[derive(Debug)]
pub(crate) struct DeadlineSetter(watch::Sender<Instant>);

/// A part of the time until a deadline.
pub(crate) struct Share<'a> {
    deadline: &'a mut Deadline,
    divisor: u32,
}

/// What became of the last export of a sink that was removed or swapped. What is counted are data
/// points, spans or log records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "outcome")]
pub enum LastExport {
    /// The receiver has the totals of the commit, or the last spans or log records.
    Delivered {
        /// How many.
        points: u64,
        /// How many of them the receiver refused.
        rejected: u64,
    },
    /// Another sink goes on under the same name, with the queue or with the deltas. The receiver
    /// may have what was on its way, which is sent again.
    HandedOver {
        /// How many were on their way.
        points: u64,
    },
    /// The receiver has older totals, or not all records, as far as we know.
    Lost {
        /// How many are older there, or missing.
        points: u64,
        /// Why, from a closed set.
        reason: &'static str,
    },
}

/// Last exports so far, of all the sinks that ever ended.
#[derive(Debug, Default)]
pub(crate) struct LastExportCounts {
    delivered: AtomicU64,
    lost: AtomicU64,
}

/// How long to wait before a last request is tried again after this many attempts; `None` if it is
/// not.
pub(crate) fn last_pause(retry: Retry, attempts: u32) -> Option<Duration> {
    match retry {
        Retry::Backoff if attempts < LAST_ATTEMPTS => Some(LAST_ATTEMPT_PAUSE),
        Retry::After(wait) if attempts < LAST_ATTEMPTS => Some(wait),
        Retry::No | Retry::Backoff | Retry::After(_) => None,
    }
}

// === impl Deadline ===

impl Deadline {
    /// A deadline that starts now and can be moved.
    pub(crate) fn start() -> (DeadlineSetter, Self) {
        let began = Instant::now();
        let (setter, by) = watch::channel(began + DRAIN_LIMIT);
        (DeadlineSetter(setter), Self { began, by })
    }

    /// All of the time.
    pub(crate) fn whole(&mut self) -> Share<'_> {
        Share { deadline: self, divisor: 1 }
    }

    /// The first half of the time.
    pub(crate) fn half(&mut self) -> Share<'_> {
        Share { deadline: self, divisor: 2 }
    }
}

impl DeadlineSetter {
    pub(crate) fn set(&self, limit: Duration) {
        self.0.send_replace(Instant::now() + limit.min(LONGEST_LIMIT));
    }
}

// === impl Share ===

impl Share<'_> {
    /// The result of `work`, or `None` if the time is up before.
    pub(crate) async fn or<T>(mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.passed() => None,
        }
    }

    async fn passed(&mut self) {
        loop {
            let Deadline { began, by } = &mut *self.deadline;
            let end = *began + (*by.borrow_and_update() - *began) / self.divisor;
            tokio::select! {
                () = tokio::time::sleep_until(end) => return,
                Ok(()) = by.changed() => {}
            }
        }
    }
}

// === impl LastExportCounts ===

impl LastExportCounts {
    pub(crate) fn read(&self) -> LastExports {
        LastExports {
            delivered: self.delivered.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn count(&self, last: &LastExport) {
        let count = match last {
            LastExport::Delivered { .. } => &self.delivered,
            LastExport::Lost { .. } => &self.lost,
            // There was none.
            LastExport::HandedOver { .. } => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

// === impl LastExport ===

impl LastExport {
    pub(super) fn of(exported: &Exported) -> Self {
        let rejected = exported.refused.iter().map(|(_, points)| points).sum();
        if exported.is_accepted() {
            Self::Delivered { points: exported.accepted, rejected }
        } else {
            let points = exported.missing + rejected;
            Self::Lost { points, reason: exported.outcome.reason() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_nobody_sets_is_kept_all_the_same() {
        let (setter, mut deadline) = Deadline::start();
        drop(setter);
        let began = Instant::now();
        assert_eq!(deadline.half().or(pending::<()>()).await, None);
        assert_eq!(began.elapsed(), DRAIN_LIMIT / 2);
        assert_eq!(deadline.whole().or(pending::<()>()).await, None);
        assert_eq!(began.elapsed(), DRAIN_LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moves_is_followed_while_it_is_waited_for() {
        let (setter, mut deadline) = Deadline::start();
        let began = Instant::now();
        let shorten = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            setter.set(Duration::from_secs(1));
            pending::<()>().await;
        };
        assert_eq!(deadline.whole().or(shorten).await, None);
        assert_eq!(began.elapsed(), Duration::from_secs(2));
        assert_eq!(deadline.whole().or(async { 7 }).await, Some(7), "what is done is done");
    }
}
