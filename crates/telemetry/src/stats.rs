//! What one sink did so far, for `debug()` and for metrics about the pipeline itself. No lock here
//! is ever taken by a recording thread.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::outcome::ExportOutcome;

/// What one sink did since its name came up.
#[derive(Debug, Default)]
pub(crate) struct Stats(Mutex<SinkStats>);

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
    /// Items that the receiver has.
    pub items_accepted: u64,
    /// Items that the receiver will never have as they were, by reason. Totals go on: the next
    /// export of cumulative metrics has them again, grown.
    pub items_dropped: BTreeMap<&'static str, u64>,
    /// When an export last arrived.
    pub last_success: Option<Timestamp>,
    /// When an export last failed.
    pub last_failure: Option<Timestamp>,
    /// The kind of that failure.
    pub last_failure_reason: Option<&'static str>,
}

// === impl Stats ===

impl Stats {
    pub(crate) fn read(&self) -> SinkStats {
        self.lock().clone()
    }

    /// Counts what came of one export, of which the receiver has `accepted` items. What it will
    /// never have is for [`Self::dropped`].
    pub(crate) fn answered(&self, outcome: &ExportOutcome, accepted: u64, took: Duration) {
        let mut stats = self.lock();
        stats.items_accepted += accepted;
        stats.exports_seconds += took.as_secs_f64();
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
    }

    /// Counts items that the receiver will never have; `reason` is from a closed set.
    pub(crate) fn dropped(&self, reason: &'static str, items: u64) {
        if items > 0 {
            *self.lock().items_dropped.entry(reason).or_default() += items;
        }
    }

    fn lock(&self) -> MutexGuard<'_, SinkStats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
