//! Metrics.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Mode, View};
use crate::schema::{DNS_LABEL, int};

/// Where metrics go, and in which shape.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("(self.mode == 'Enabled') == has(self.exporters)")
    .message("exporters must be set if and only if mode is Enabled")
    .field_path(".exporters"))]
#[serde(rename_all = "camelCase")]
pub struct MetricsSpec {
    /// Enabled sends metrics to the exporters, Disabled records none.
    #[serde(default)]
    pub mode: Mode,

    /// Names of the exporters that get them; required unless mode is Disabled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 4), inner(length(min = 1, max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub exporters: Vec<String>,

    /// How often they are pushed to OTLP exporters, in seconds.
    #[serde(default = "int::<60>")]
    #[schemars(range(min = 1, max = 3600))]
    pub export_period_seconds: i32,

    /// What a pushed number counts from. Cumulative: the start of the process. Delta: the export
    /// before. LowMemory: delta for counters and histograms, cumulative for the rest. Prometheus
    /// always gets cumulative ones.
    #[serde(default)]
    pub temporality: Temporality,

    /// How many attribute sets one metric may have. Further ones are counted together, under the
    /// attribute otel.metric.overflow.
    #[serde(default = "int::<2000>")]
    #[schemars(range(min = 1, max = 100_000))]
    pub cardinality_limit: i32,

    /// The namespaces of which resources are counted. Unset means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<NamespaceFilter>,

    /// Changes to single metrics. Several that select the same one are merged in this order; what
    /// a later one sets wins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub views: Vec<View>,
}

/// What a pushed number counts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Temporality {
    /// From the start of the process.
    #[default]
    Cumulative,
    /// From the export before.
    Delta,
    /// From the export before for counters and histograms, which then need no memory in between.
    LowMemory,
}

/// Which namespaces are counted, by exact name.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceFilter {
    /// The only namespaces to count. Empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 63), regex(pattern = DNS_LABEL)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub include: Vec<String>,

    /// Namespaces not to count, even if they are included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 63), regex(pattern = DNS_LABEL)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub exclude: Vec<String>,
}

// === impl MetricsSpec ===

impl Default for MetricsSpec {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            exporters: Vec::new(),
            export_period_seconds: 60,
            temporality: Temporality::default(),
            cardinality_limit: 2000,
            namespaces: None,
            views: Vec::new(),
        }
    }
}
