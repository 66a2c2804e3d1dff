//! What one replica says about the configuration that it runs.
//!
//! The report travels as JSON in the annotation of the replica's heartbeat Lease and changes only
//! when something happened: no times of exports, no counters.

use std::collections::BTreeSet;

use jiff::Timestamp;
use pharos_api::telemetryconfig::Component;
use pharos_cluster::view::Uid;
use serde::{Deserialize, Serialize};

/// The report of one replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The components that the process runs.
    pub components: BTreeSet<Component>,
    /// The object that it obeys; `None` while the command line's defaults run.
    pub config: Option<ConfigReport>,
}

/// How far a replica is with the object that it obeys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigReport {
    /// The object.
    pub uid: Uid,
    /// The generation that `state` is about.
    pub generation: i64,
    /// Covers uid and generation, never content.
    pub config_hash: String,
    /// Programmed, being programmed, or refused.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// The sinks of the configuration that runs.
    pub exporters: Vec<ExporterReport>,
}

/// How far a replica is with one generation of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum State {
    /// Seen, not yet in force.
    Applying,
    /// In force.
    Programmed,
    /// Not in force; something else runs on.
    Failed {
        /// What runs instead.
        running: Running,
        /// Why.
        message: String,
    },
}

/// What runs where an object is not in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Running {
    /// What was programmed before.
    PreviousConfig,
    /// What the command line says.
    Defaults,
}

/// The health of one sink of one signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExporterReport {
    /// The exporter's name.
    pub name: String,
    /// Whether it arrives.
    pub health: ExporterHealth,
    /// Since when.
    pub since: Timestamp,
}

/// Whether what a sink exports arrives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum ExporterHealth {
    /// Nothing was sent yet.
    NotYetExported,
    /// The last exports arrived.
    Healthy,
    /// Others come and fetch.
    Scraped,
    /// Several exports in a row did not arrive.
    Failing {
        /// A reason of the condition ExportHealthy.
        reason: String,
        /// What the other side, or the network, said.
        message: String,
    },
}

// === impl Report ===

impl Report {
    /// The report as the annotation holds it.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).expect("a report has string keys only")
    }

    /// Reads an annotation; a report of another version may not be readable.
    ///
    /// # Errors
    /// What keeps it from being a report.
    pub fn decode(annotation: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(annotation)
    }
}

/// A short name for one generation of one object: equal on all replicas, and telling nothing.
/// FNV-1a, 64 bits.
pub fn config_hash(uid: &str, generation: i64) -> String {
    let bytes = uid.bytes().chain(generation.to_be_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_survives_its_annotation() {
        let report = Report {
            components: BTreeSet::from([Component::Admission]),
            config: Some(ConfigReport {
                uid: "u".to_owned(),
                generation: 3,
                config_hash: config_hash("u", 3),
                state: State::Failed {
                    running: Running::PreviousConfig,
                    message: "spec.traces: no".to_owned(),
                },
                since: Timestamp::UNIX_EPOCH,
                exporters: vec![ExporterReport {
                    name: "gateway".to_owned(),
                    health: ExporterHealth::NotYetExported,
                    since: Timestamp::UNIX_EPOCH,
                }],
            }),
        };
        assert_eq!(Report::decode(&report.encode()).unwrap(), report);
    }

    #[test]
    fn the_hash_tells_generations_and_objects_apart() {
        assert_ne!(config_hash("a", 1), config_hash("a", 2));
        assert_ne!(config_hash("a", 1), config_hash("b", 1));
        assert_eq!(config_hash("a", 1), config_hash("a", 1));
    }
}
