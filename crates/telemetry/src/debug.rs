//! What the pipeline says of itself, readable when every exporter is down.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::config::Config;
use crate::generation::Totals;
use crate::health::Health;
use crate::shape::StreamReset;
use crate::signal::SinkId;
use crate::stats::SinkStats;

/// All that is known about what a pipeline does. Holds no header value.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DebugSnapshot {
    /// `service.instance.id`.
    pub instance_id: String,
    /// The configuration in force.
    pub running: Arc<Config>,
    /// The state of every sink.
    pub health: Health,
    /// What every sink that pushes did.
    pub sinks: BTreeMap<SinkId, SinkStats>,
    /// Reloads by outcome.
    pub reloads: Reloads,
    /// What became of the last exports of sinks that are gone.
    pub last_exports: LastExports,
    /// When something last changed.
    pub last_commit: Option<Timestamp>,
    /// How often the SDK could not be read.
    pub failed_collections: u64,
    /// The instruments.
    pub generations: Generations,
    /// How many tasks there are: one for each sink, some for each connection, one for all.
    pub tasks: usize,
}

/// What became of the declared instruments through changes of views.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Generations {
    /// The number of the one that is current.
    pub current: u64,
    /// How many before it are still recorded into.
    pub retiring: usize,
    /// The metrics that started again with the current one.
    pub resets: Vec<StreamReset>,
    /// The metrics with more attribute sets than they may have, when they were last read: further
    /// ones are counted together.
    pub overflowing: BTreeSet<String>,
    /// How often a callback of an observable instrument panicked.
    pub panicked_callbacks: u64,
}

/// What became of the last exports of sinks that are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LastExports {
    /// The receiver has the last totals.
    pub delivered: u64,
    /// It has older ones, as far as we know.
    pub lost: u64,
}

/// Reloads by outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reloads {
    /// In force now, or before.
    pub committed: u64,
    /// Could not be prepared.
    pub refused: u64,
    /// Were prepared and dropped.
    pub abandoned: u64,
}

// === impl Generations ===

impl Generations {
    pub(crate) fn read(totals: &Totals) -> Self {
        let (current, retiring) = totals.generations();
        Self {
            current,
            retiring,
            resets: totals.resets().to_vec(),
            overflowing: BTreeSet::clone(&totals.overflowing()),
            panicked_callbacks: totals.panics(),
        }
    }
}
