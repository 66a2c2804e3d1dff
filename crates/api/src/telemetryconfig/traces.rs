//! Traces, and the batches that logs share with them.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Mode;

/// Where spans go, and which.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("(self.mode == 'Enabled') == has(self.exporters)")
    .message("exporters must be set if and only if mode is Enabled")
    .field_path(".exporters"))]
#[serde(rename_all = "camelCase")]
pub struct TracesSpec {
    /// Enabled sends spans to the exporters, Disabled records none.
    #[serde(default)]
    pub mode: Mode,

    /// Names of the exporters of type OTLP that get them; required unless mode is Disabled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 4), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub exporters: Vec<String>,

    /// Which traces are recorded. Unset means ParentBasedAlwaysOn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampler: Option<Sampler>,

    /// How spans are gathered into requests. What is unset: maxQueueSize 2048, maxExportBatchSize
    /// 512 or maxQueueSize if that is less, scheduleDelayMilliseconds 5000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
}

/// Which traces are recorded.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("self.type.endsWith('TraceIDRatio') == has(self.ratioPerMillion)")
    .message("ratioPerMillion must be set if and only if type ends in TraceIDRatio")
    .field_path(".ratioPerMillion"))]
#[serde(rename_all = "camelCase")]
pub struct Sampler {
    /// AlwaysOn and AlwaysOff record all or none, TraceIDRatio a share of them. With ParentBased
    /// in front a request that comes with a decision keeps it, and only others are decided here.
    pub r#type: SamplerType,

    /// How many of a million traces are recorded; required for types that end in TraceIDRatio.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub ratio_per_million: Option<i32>,
}

/// Kind of sampler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "OpenTelemetry's own names")]
pub enum SamplerType {
    AlwaysOn,
    AlwaysOff,
    #[serde(rename = "TraceIDRatio")]
    TraceIdRatio,
    ParentBasedAlwaysOn,
    ParentBasedAlwaysOff,
    #[serde(rename = "ParentBasedTraceIDRatio")]
    ParentBasedTraceIdRatio,
}

/// How records are gathered into requests, for each exporter on its own.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("!has(self.maxExportBatchSize) || !has(self.maxQueueSize) || self.maxExportBatchSize <= self.maxQueueSize")
    .message("maxExportBatchSize must not exceed maxQueueSize")
    .field_path(".maxExportBatchSize"))]
#[serde(rename_all = "camelCase")]
pub struct Batch {
    /// How many records may wait. Further ones are dropped, and counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_536))]
    pub max_queue_size: Option<i32>,

    /// How many records one request may carry; not more than maxQueueSize.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 8_192))]
    pub max_export_batch_size: Option<i32>,

    /// How long a record may wait for a request to fill up, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 60_000))]
    pub schedule_delay_milliseconds: Option<i32>,
}
