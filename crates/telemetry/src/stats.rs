//! What one sink did so far, for `debug()` and for metrics about the pipeline itself. No lock here
//! is ever taken by a recording thread.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::outcome::ExportOutcome;
use crate::own::OwnOfSink;

/// Why items are dropped that found the queue full.
const QUEUE_FULL: &str = "queue_full";

/// What one sink did since its name came up.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    exports: Mutex<SinkStats>,
    /// Written by recording threads: items that found the queue full.
    overflow: AtomicU64,
    /// Written by recording threads: items that wait or are on their way.
    held: AtomicU64,
    /// The same facts as metrics, where the program wants them.
    own: Option<OwnOfSink>,
}

/// What one sink did since its name came up. Items are data points, spans or log records.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SinkStats {
    /// Exports that the receiver took, whole or in part.
    pub exports_accepted: u64,
    /// Exports that failed, by kind.
    pub exports_failed: BTreeMap<&'static str, u64>,
    /// Exports that were another attempt after one that failed.
    pub exports_retried: u64,
    /// Exports that may or may not have arrived.
    pub exports_ambiguous: u64,
    /// How long exports took in all.
    pub exports_seconds: f64,
    /// How long the last one took, whatever came of it.
    pub last_export_seconds: Option<f64>,
    /// Items that the receiver has.
    pub items_accepted: u64,
    /// Items that the receiver will never have as they were, by reason. Totals go on: the next
    /// export of cumulative metrics has them again, grown.
    pub items_dropped: BTreeMap<&'static str, u64>,
    /// Items that wait or are on their way now; 0 where totals are read and nothing waits.
    pub items_queued: u64,
    /// When an export last arrived.
    pub last_success: Option<Timestamp>,
    /// When an export last failed.
    pub last_failure: Option<Timestamp>,
    /// The kind of that failure.
    pub last_failure_reason: Option<&'static str>,
}

// === impl Stats ===

impl Stats {
    pub(crate) fn new(own: Option<OwnOfSink>) -> Self {
        Self { own, ..Self::default() }
    }

    /// How many items wait or are on their way.
    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    pub(crate) fn read(&self) -> SinkStats {
        let mut stats = self.lock().clone();
        let overflow = self.overflow.load(Ordering::Relaxed);
        if overflow > 0 {
            stats.items_dropped.insert(QUEUE_FULL, overflow);
        }
        stats.items_queued = self.held();
        stats
    }

    /// Counts an item that found the queue full.
    pub(crate) fn overflowed(&self) {
        self.overflow.fetch_add(1, Ordering::Relaxed);
        if let Some(own) = &self.own {
            own.dropped(QUEUE_FULL, 1);
        }
    }

    /// Takes note of how many items the sink holds.
    pub(crate) fn holds(&self, items: usize) {
        self.held.store(items as u64, Ordering::Relaxed);
    }

    /// Counts what came of one export, of which the receiver has `accepted` items. What it will
    /// never have is for [`Self::dropped`].
    pub(crate) fn answered(&self, outcome: &ExportOutcome, accepted: u64, took: Duration) {
        if let Some(own) = &self.own {
            own.answered(outcome.reason(), accepted, took);
        }
        let mut stats = self.lock();
        stats.items_accepted += accepted;
        stats.exports_seconds += took.as_secs_f64();
        stats.last_export_seconds = Some(took.as_secs_f64());
        match outcome {
            ExportOutcome::Accepted | ExportOutcome::PartiallyRejected { .. } => {
                stats.exports_accepted += 1;
                stats.last_success = Some(Timestamp::now());
            }
            failed => {
                let reason = failed.reason();
                *stats.exports_failed.entry(reason).or_default() += 1;
                stats.last_failure = Some(Timestamp::now());
                stats.last_failure_reason = Some(reason);
                if let ExportOutcome::Ambiguous { .. } = failed {
                    stats.exports_ambiguous += 1;
                }
            }
        }
    }

    pub(crate) fn retried(&self) {
        self.lock().exports_retried += 1;
        if let Some(own) = &self.own {
            own.retried();
        }
    }

    /// Counts items that the receiver will never have; `reason` is from a closed set.
    pub(crate) fn dropped(&self, reason: &'static str, items: u64) {
        if items == 0 {
            return;
        }
        *self.lock().items_dropped.entry(reason).or_default() += items;
        if let Some(own) = &self.own {
            own.dropped(reason, items);
        }
    }

    fn lock(&self) -> MutexGuard<'_, SinkStats> {
        self.exports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
