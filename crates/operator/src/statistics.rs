//! What the exporters of one replica did so far, for people.
//!
//! It travels as JSON in an annotation of the replica's heartbeat Lease, beside the report, and is
//! refreshed only by a renewal that is due anyway: unlike the report it changes with every export.
//! Holds names, times and numbers; no address, and nothing that a receiver said.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pharos_api::telemetryconfig::Signal;
use pharos_telemetry::{SinkId, SinkStats};
use serde::{Deserialize, Serialize};

use crate::report::signal;

/// More than a TelemetryConfig can ask for: four exporters for each of three signals.
const MOST_EXPORTERS: usize = 24;

/// What the exporters of one replica did since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statistics {
    /// By signal and name; an exporter that is scraped is not among them.
    #[serde(default)]
    pub exporters: Vec<ExporterStatistics>,
}

/// What one exporter did for one signal since its name came up. Items are data points, spans or log
/// records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExporterStatistics {
    /// The exporter's name.
    pub name: String,
    /// What it exports.
    pub signal: Signal,
    /// When an export last arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_success: Option<Timestamp>,
    /// How long the last export took, in milliseconds, whatever came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_export_milliseconds: Option<u64>,
    /// Items that the receiver has.
    pub sent: u64,
    /// Exports that failed. What was in them may be sent again.
    pub failed: u64,
    /// Items that the receiver will never have as they were.
    pub dropped: u64,
}

// === impl Statistics ===

impl Statistics {
    /// What a pipeline says of its sinks.
    pub fn of(sinks: &BTreeMap<SinkId, SinkStats>) -> Self {
        let exporters = sinks.iter().take(MOST_EXPORTERS);
        Self { exporters: exporters.map(|(id, stats)| ExporterStatistics::of(id, stats)).collect() }
    }

    /// The statistics as the annotation holds them.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).expect("statistics have string keys only")
    }

    /// Reads an annotation; that of another version may not be readable.
    ///
    /// # Errors
    /// What keeps it from being statistics.
    pub fn decode(annotation: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(annotation)
    }

    /// Those of one exporter.
    pub fn exporter(&self, name: &str, signal: Signal) -> Option<&ExporterStatistics> {
        self.exporters.iter().find(|it| it.name == name && it.signal == signal)
    }
}

// === impl ExporterStatistics ===

impl ExporterStatistics {
    fn of(id: &SinkId, stats: &SinkStats) -> Self {
        Self {
            name: id.name.as_str().to_owned(),
            signal: signal(id.signal),
            last_success: stats.last_success,
            last_export_milliseconds: stats
                .last_export_seconds
                .map(|seconds| (seconds * 1000.0).round() as u64),
            sent: stats.items_accepted,
            failed: stats.exports_failed.values().sum(),
            dropped: stats.items_dropped.values().sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sinks() -> BTreeMap<SinkId, SinkStats> {
        let busy = SinkStats {
            exports_failed: [("unreachable", 2), ("ambiguous", 1)].into(),
            items_accepted: 120,
            items_dropped: [("queue_full", 4), ("rejected", 3)].into(),
            last_success: Some(Timestamp::from_second(1_700_000_000).unwrap()),
            last_export_seconds: Some(0.0123),
            ..SinkStats::default()
        };
        let new = SinkStats::default();
        [
            (SinkId::new(pharos_telemetry::Signal::Metrics, "gateway"), busy),
            (SinkId::new(pharos_telemetry::Signal::Traces, "gateway"), new),
        ]
        .into()
    }

    #[test]
    fn statistics_survive_their_annotation() {
        let statistics = Statistics::of(&sinks());
        assert_eq!(Statistics::decode(&statistics.encode()).unwrap(), statistics);
        assert_eq!(
            statistics.encode(),
            r#"{"exporters":[{"name":"gateway","signal":"Metrics","#.to_owned()
                + r#""lastSuccess":"2023-11-14T22:13:20Z","lastExportMilliseconds":12,"#
                + r#""sent":120,"failed":3,"dropped":7},"#
                + r#"{"name":"gateway","signal":"Traces","sent":0,"failed":0,"dropped":0}]}"#
        );
        let metrics = statistics.exporter("gateway", Signal::Metrics).unwrap();
        assert_eq!((metrics.sent, metrics.failed, metrics.dropped), (120, 3, 7));
        assert!(statistics.exporter("gateway", Signal::Logs).is_none());
    }

    #[test]
    fn what_a_newer_replica_adds_is_not_in_the_way() {
        let newer = r#"{"exporters":[{"name":"a","signal":"Logs","sent":1,"failed":0,"dropped":0,
            "retried":4}],"since":1}"#;
        assert_eq!(Statistics::decode(newer).unwrap().exporters[0].sent, 1);
        assert_eq!(Statistics::decode("{}").unwrap(), Statistics::default());
        assert!(Statistics::decode("[").is_err());
    }

    #[test]
    fn an_annotation_has_a_bound() {
        let many = (0..1000).map(|index| {
            let id = SinkId::new(pharos_telemetry::Signal::Logs, format!("{index:063}").as_str());
            (id, SinkStats::default())
        });
        let statistics = Statistics::of(&many.collect());
        assert_eq!(statistics.exporters.len(), MOST_EXPORTERS);
        assert!(statistics.encode().len() < 8192);
    }
}
