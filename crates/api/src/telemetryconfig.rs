//! `TelemetryConfig`: where a Pharos installation sends its own metrics, traces and logs.
//!
//! One struct per object of the YAML, with its field names. Defaults are the schema's, so that an
//! object decodes alike whether or not an API server has filled it in. Unions are a `type` beside
//! optional members, and the rules that hold them together are on the narrowest object that sees
//! all parts: the API server then tolerates an old violation in parts that a change does not touch.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod exporter;
mod logs;
mod metrics;
mod resource;
mod status;
mod traces;
mod view;

pub use exporter::{
    CaRef, CaRefKind, Compression, Exporter, ExporterType, Header, HeaderValueSource, OtlpExporter,
    OtlpProtocol, OtlpTls, PrometheusExporter, PrometheusTls, SecretKeyRef, TlsSecretRef,
};
pub use logs::{LogsSpec, MinSeverity};
pub use metrics::{MetricsSpec, NamespaceFilter, Temporality};
pub use resource::{ResourceAttribute, ResourceSpec};
pub use status::{
    ComponentState, ComponentStatus, ExporterState, ExporterStatus, OverriddenReason, ReplicaState,
    ReplicaStatus, SHOWN_REPLICAS, Signal, TelemetryConfigStatus,
};
pub use traces::{Batch, Sampler, SamplerType, TracesSpec};
pub use view::{
    Aggregation, AggregationType, AttributeKeys, Base2ExponentialHistogram,
    ExplicitBucketHistogram, InstrumentType, View, ViewSelector, ViewStream,
};

/// What this Pharos installation does with its own telemetry. A signal that is not mentioned keeps
/// the default: metrics for Prometheus at :8000/metrics, no traces, no logs.
#[expect(clippy::duplicated_attributes, reason = "clippy takes the columns for one list")]
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "telemetry.pharos.dev",
    version = "v1alpha1",
    kind = "TelemetryConfig",
    plural = "telemetryconfigs",
    shortname = "telcfg",
    category = "pharos",
    namespaced,
    status = "TelemetryConfigStatus",
    derive = "PartialEq",
    doc = "TelemetryConfig decides where the metrics, traces and logs of a Pharos installation go. It takes effect without a restart; status.conditions say what is in force.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Accepted, with all references resolved, and run by every replica"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why it is ready or not"
    ),
    printcolumn(
        name = "Programmed",
        type_ = "string",
        json_path = ".status.programmedReplicas",
        description = "Replicas that run this generation, of those that live"
    ),
    printcolumn(
        name = "Export",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="ExportHealthy")].reason"#,
        description = "Whether the exporters deliver"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Accepted",
        type_ = "string",
        priority = 1,
        json_path = r#".status.conditions[?(@.type=="Accepted")].reason"#,
        description = "Whether the object can be used, and wins a component"
    ),
    printcolumn(
        name = "Refs",
        type_ = "string",
        priority = 1,
        json_path = r#".status.conditions[?(@.type=="ResolvedRefs")].reason"#,
        description = "Whether the Secrets and ConfigMaps that it names are usable"
    ),
    printcolumn(
        name = "Components",
        type_ = "string",
        priority = 1,
        json_path = ".spec.components",
        description = "The components that it asks for; none means all"
    ),
    printcolumn(
        name = "CertExpiry",
        type_ = "string",
        priority = 1,
        json_path = ".status.nextCertificateExpiryTime",
        description = "When the first of the certificates that it names expires"
    ),
    printcolumn(
        name = "Exporters",
        type_ = "string",
        priority = 1,
        json_path = ".status.exporters",
        description = "The exporters in use"
    )
)]
#[x_kube(
    validation = ("has(self.metrics) || has(self.traces) || has(self.logs)",
        "at least one of metrics, traces or logs must be set"),
    validation = Rule::new("!has(self.metrics) || !has(self.metrics.exporters) || self.metrics.exporters.all(n, has(self.exporters) && self.exporters.exists(e, e.name == n))")
        .message("metrics.exporters must name entries of spec.exporters")
        .field_path(".metrics.exporters"),
    validation = Rule::new("!has(self.traces) || !has(self.traces.exporters) || self.traces.exporters.all(n, has(self.exporters) && self.exporters.exists(e, e.name == n && e.type == 'OTLP'))")
        .message("traces.exporters must name entries of spec.exporters that have type OTLP")
        .field_path(".traces.exporters"),
    validation = Rule::new("!has(self.logs) || !has(self.logs.exporters) || self.logs.exporters.all(n, has(self.exporters) && self.exporters.exists(e, e.name == n && e.type == 'OTLP'))")
        .message("logs.exporters must name entries of spec.exporters that have type OTLP")
        .field_path(".logs.exporters")
)]
#[serde(rename_all = "camelCase")]
pub struct TelemetryConfigSpec {
    /// The components that this configuration is for. Empty or unset means all. Of several
    /// configurations for one component exactly one wins: one that names the component before one
    /// for all, then the oldest, then the first by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub components: Vec<Component>,

    /// What every metric, span and log record says about its origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<ResourceSpec>,

    /// The destinations, for metrics, traces and logs to refer to by name. One that nothing refers
    /// to is not used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(
        merge_strategy = ListMerge::Map(vec!["name".into()]),
        validation = ("self.filter(e, e.type == 'Prometheus').size() <= 1",
            "at most one exporter may have type Prometheus")
    )]
    pub exporters: Vec<Exporter>,

    /// Where metrics go. Unset means to Prometheus, at :8000/metrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<MetricsSpec>,

    /// Where spans go. Unset means nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traces: Option<TracesSpec>,

    /// Where log records go, beside the console. Unset means nowhere else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<LogsSpec>,
}

/// A component of Pharos.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Component {
    /// Answers the API server's AdmissionReviews.
    Admission,
    /// Evaluates policies over what is already in the cluster.
    BackgroundScan,
}

/// Whether a signal is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Mode {
    /// It goes to its exporters.
    #[default]
    Enabled,
    /// It goes nowhere.
    Disabled,
}

// === impl Component ===

impl Component {
    /// Every component, the one that decides for a shared process first.
    pub const ALL: [Self; 2] = [Self::Admission, Self::BackgroundScan];

    /// The component's name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admission => "Admission",
            Self::BackgroundScan => "BackgroundScan",
        }
    }
}

#[cfg(test)]
mod tests;
