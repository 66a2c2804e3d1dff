//! Where spans and log records go, and which.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use serde::Serialize;

use super::{Endpoint, OtlpReceiver, SinkName, seconds};

/// Where spans go, and which are recorded.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Traces {
    /// To every one of these; to none means that no span is recorded.
    pub sinks: BTreeMap<SinkName, RecordSink>,
    /// Which traces are recorded.
    pub sampler: Sampler,
}

/// Where log records go, and which.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Logs {
    /// To every one of these; to none means nowhere but to the console.
    pub sinks: BTreeMap<SinkName, RecordSink>,
    /// The least severity that is sent.
    pub min_severity: Severity,
}

/// A receiver of spans or log records, and how they are gathered into requests.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordSink {
    /// The other side.
    #[serde(flatten)]
    pub receiver: OtlpReceiver,
    /// How records are gathered.
    pub batch: Batch,
}

/// How records are gathered into requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Batch {
    /// How many records may wait. Further ones are dropped and counted.
    pub max_queue_size: NonZeroUsize,
    /// How many records one request may hold; what exceeds the queue's size is not used.
    pub max_export_size: NonZeroUsize,
    /// How long a record may wait for others.
    #[serde(rename = "scheduleDelaySeconds", serialize_with = "seconds")]
    pub schedule_delay: Duration,
}

/// Which traces are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sampler {
    /// Decides where a trace begins.
    pub root: RootSampler,
    /// What a decision made elsewhere counts.
    pub parent: Parent,
}

/// Decides where a trace begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RootSampler {
    /// Every trace.
    #[default]
    AlwaysOn,
    /// No trace.
    AlwaysOff,
    /// A part of all traces, by trace id.
    TraceIdRatio {
        /// At most 1,000,000.
        per_million: u32,
    },
}

/// What the decision of a parent counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Parent {
    /// It is followed.
    #[default]
    Followed,
    /// The root sampler decides again, for every span.
    Ignored,
}

/// The severity of a log record, rising.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[expect(missing_docs, reason = "OpenTelemetry's own names")]
pub enum Severity {
    Trace,
    Debug,
    #[default]
    Info,
    Warn,
    Error,
}

// === impl RecordSink ===

impl RecordSink {
    /// Everything by default, with the delay of spans.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { receiver: OtlpReceiver::new(endpoint), batch: Batch::SPANS }
    }
}

// === impl Batch ===

const fn count(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).expect("a count of zero")
}

impl Batch {
    /// OpenTelemetry's defaults for spans.
    pub const SPANS: Self = Self {
        max_queue_size: count(2048),
        max_export_size: count(512),
        schedule_delay: Duration::from_secs(5),
    };
    /// OpenTelemetry's defaults for log records.
    pub const LOGS: Self = Self { schedule_delay: Duration::from_secs(1), ..Self::SPANS };
}
