//! What a reload removed: its last exports, which nobody has to wait for and everybody may.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::oneshot;

use crate::signal::SinkId;
use crate::sink::{DeadlineSetter, LastExport};

/// What a commit removed. Its last exports are under way, and bounded, without anybody's help.
#[derive(Debug)]
#[must_use = "drain it to learn what became of the last exports"]
pub struct Retired {
    /// `None` once it was waited for.
    pub(super) applied: Option<oneshot::Receiver<()>>,
    pub(super) deadline: DeadlineSetter,
    pub(super) sinks: Vec<(SinkId, oneshot::Receiver<LastExport>)>,
}

/// What became of the last exports of removed and swapped sinks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Drained {
    /// By signal and name of the sink.
    pub sinks: BTreeMap<SinkId, LastExport>,
}

/// How a pipeline ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShutdownReport {
    /// What became of the last exports.
    pub drained: Drained,
}

// === impl Retired ===

impl Retired {
    /// Waits until the commit has reached every sink: an instant, whatever their receivers do.
    pub async fn in_force(&mut self) {
        if let Some(applied) = &mut self.applied {
            // Not told if nothing changed, or if the hub died.
            let _ = applied.await;
            self.applied = None;
        }
    }

    /// Waits until the removed sinks have made their last exports, `deadline` at most, and tells
    /// what became of them. What was added runs by then.
    pub async fn drain(mut self, deadline: Duration) -> Drained {
        self.deadline.set(deadline);
        self.in_force().await;
        let mut drained = Drained::default();
        for (name, last_export) in self.sinks {
            let died = LastExport::Lost { points: 0, reason: "sink_died" };
            drained.sinks.insert(name, last_export.await.unwrap_or(died));
        }
        drained
    }
}

// === impl Drained ===

impl Drained {
    /// How many sinks ended without their last totals having arrived, as far as we know.
    pub fn lost(&self) -> usize {
        self.sinks.values().filter(|last| matches!(last, LastExport::Lost { .. })).count()
    }
}
