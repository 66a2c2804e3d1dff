//! What the pipeline says of itself, readable when every exporter is down.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::config::Config;
use crate::health::Health;
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
