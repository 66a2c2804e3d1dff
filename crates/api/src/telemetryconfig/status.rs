//! What is in force. The leader alone writes it, and only when it changes.
//!
//! Reasons are mostly strings here although their sets are closed (see [`crate::condition`]): a
//! replica must be able to read what a newer one wrote.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Component;
use crate::schema::{self, REASON};

/// How many replicas `status.replicas` shows at most.
pub const SHOWN_REPLICAS: usize = 64;

/// What is in force.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TelemetryConfigStatus {
    /// The metadata.generation that the conditions are about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,

    /// The newest metadata.generation that every live replica runs. Unset until there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub programmed_generation: Option<i64>,

    /// How many replicas run observedGeneration, of the components that the object is active for.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub replicas_programmed: i32,

    /// How many replicas are alive, of the components that the object is active for.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub replicas_live: i32,

    /// replicasProgrammed and replicasLive as one string, as in "4/5".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub programmed_replicas: Option<String>,

    /// For which components the object is active, and who overrides it for the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["component".into()]))]
    pub components: Vec<ComponentStatus>,

    /// The names of the exporters in use, as one string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub exporters: Option<String>,

    /// When the first of the certificates that the object refers to expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub next_certificate_expiry_time: Option<Time>,

    /// Ready, Accepted, ResolvedRefs, Programmed and ExportHealthy; all are always there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,

    /// The replicas one by one: first those that do not run this generation, then those with a
    /// failing exporter, then by name; 64 at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = SHOWN_REPLICAS))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["podName".into()]))]
    pub replicas: Vec<ReplicaStatus>,
}

/// What the object is to one component.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComponentStatus {
    /// The component.
    pub component: Component,

    /// Active where this object decides, Overridden where another does.
    pub state: ComponentState,

    /// The name of the object that decides, where it is not this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub by: Option<String>,

    /// Why another object decides: Conflicted where it won the component, SharedProcess where the
    /// component runs in one process with another, whose configuration decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "OverriddenReason")]
    pub reason: Option<OverriddenReason>,

    /// How many replicas of the component run this object's observedGeneration.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub replicas_programmed: i32,

    /// How many replicas of the component are alive.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub replicas_live: i32,
}

/// Whether the object decides for a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ComponentState {
    /// It does.
    Active,
    /// Another object does.
    Overridden,
}

/// Why another object decides for a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum OverriddenReason {
    /// It won the component.
    Conflicted,
    /// The component runs in one process with another, whose configuration decides.
    SharedProcess,
}

/// What one replica makes of the object.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplicaStatus {
    /// The replica's Pod, or what stands for it outside of a cluster.
    #[schemars(length(min = 1, max = 253))]
    pub pod_name: String,

    /// The components that it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub components: Vec<Component>,

    /// Applying, then either Programmed or Failed. After Failed it runs what it ran before.
    pub state: ReplicaState,

    /// The metadata.generation that state is about.
    #[schemars(range(min = 0))]
    pub observed_generation: i64,

    /// Equal for replicas that run the same configuration with the same versions of what it refers
    /// to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub config_hash: Option<String>,

    /// Why it failed, in one word for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = REASON))]
    pub reason: Option<String>,

    /// Why it failed, in a sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub message: Option<String>,

    /// When state last changed.
    #[schemars(schema_with = "schema::time")]
    pub last_transition_time: Time,

    /// The replica's exporters, by name and signal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 24))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into(), "signal".into()]))]
    pub exporters: Vec<ExporterStatus>,
}

/// How far a replica is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ReplicaState {
    /// It is building what the object asks for.
    Applying,
    /// It runs what the object asks for.
    Programmed,
    /// It could not, and runs what it ran before.
    Failed,
}

/// How an exporter of one replica does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExporterStatus {
    /// The exporter's name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,

    /// The signal that it exports.
    pub signal: Signal,

    /// NotYetExported until the first export is answered, then Healthy or Failing.
    pub state: ExporterState,

    /// Why it fails, in one word for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), regex(pattern = REASON))]
    pub reason: Option<String>,

    /// Why it fails, in a sentence for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub message: Option<String>,

    /// When state last changed.
    #[schemars(schema_with = "schema::time")]
    pub last_transition_time: Time,
}

/// What an exporter exports.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[expect(missing_docs, reason = "OpenTelemetry's own names")]
pub enum Signal {
    Metrics,
    Traces,
    Logs,
}

/// How an exporter does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ExporterState {
    /// No export has been answered yet.
    NotYetExported,
    /// Exports succeed.
    Healthy,
    /// Exports fail.
    Failing,
}
