//! Logs.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Batch, Mode};

/// Where log records go, and which.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("(self.mode == 'Enabled') == has(self.exporters)")
    .message("exporters must be set if and only if mode is Enabled")
    .field_path(".exporters"))]
#[serde(rename_all = "camelCase")]
pub struct LogsSpec {
    /// Enabled sends log records to the exporters, Disabled sends none. The console is not affected.
    #[serde(default)]
    pub mode: Mode,

    /// Names of the exporters of type OTLP that get them; required unless mode is Disabled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 4), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub exporters: Vec<String>,

    /// The least severity that is sent.
    #[serde(default)]
    pub min_severity: MinSeverity,

    /// How records are gathered into requests. What is unset: maxQueueSize 2048, maxExportBatchSize
    /// 512 or maxQueueSize if that is less, scheduleDelayMilliseconds 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
}

/// Severity of a log record, rising.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[expect(missing_docs, reason = "OpenTelemetry's own names")]
pub enum MinSeverity {
    Trace,
    Debug,
    #[default]
    Info,
    Warn,
    Error,
}
