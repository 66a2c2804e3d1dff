//! What one sink did so far, for `debug()`. No lock here is ever taken by a recording thread.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

use crate::client::Exported;
use crate::outcome::{ExportOutcome, Retry};

/// What one sink did since its name came up.
#[derive(Debug, Default)]
pub(crate) struct Stats(Mutex<SinkStats>);

/// What one sink did since its name came up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
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
    /// Data points that the receiver has.
    pub points_accepted: u64,
    /// Data points that the receiver will never have as they were, by reason. Totals go on: the
    /// next export has them again, grown.
    pub points_dropped: BTreeMap<&'static str, u64>,
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

    /// Counts what came of an export.
    pub(crate) fn exported(&self, exported: &Exported) {
        let mut stats = self.lock();
        let reason = exported.outcome.reason();
        stats.points_accepted += exported.accepted;
        match &exported.outcome {
            ExportOutcome::Accepted => stats.exports_accepted += 1,
            ExportOutcome::PartiallyRejected { .. } => {
                stats.exports_accepted += 1;
                *stats.points_dropped.entry(reason).or_default() += exported.missing;
            }
            failed => {
                *stats.exports_failed.entry(reason).or_default() += 1;
                stats.last_failure = Some(Timestamp::now());
                stats.last_failure_reason = Some(reason);
                if let ExportOutcome::Ambiguous { .. } = failed {
                    stats.exports_ambiguous += 1;
                }
                if failed.retry() == Retry::No {
                    *stats.points_dropped.entry(reason).or_default() += exported.missing;
                }
                return;
            }
        }
        stats.last_success = Some(Timestamp::now());
    }

    pub(crate) fn retried(&self) {
        self.lock().exports_retried += 1;
    }

    /// Counts points of a last export that nobody will send again, and nobody refused.
    pub(crate) fn lost(&self, points: u64) {
        *self.lock().points_dropped.entry("last_export_lost").or_default() += points;
    }

    fn lock(&self) -> MutexGuard<'_, SinkStats> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
