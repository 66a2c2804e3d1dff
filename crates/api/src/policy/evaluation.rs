//! When a policy is evaluated, and what is made from it.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::yes;

/// When a policy is evaluated, and over what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Evaluation {
    /// Kubernetes for resources of a cluster, JSON for any other document; HTTP and Envoy are for
    /// other engines. Unset means Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "EvaluationMode")]
    pub mode: Option<EvaluationMode>,

    /// Whether it is evaluated when a resource changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admission: Option<Toggle>,

    /// Whether it is evaluated over what is already in the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<Toggle>,
}

/// What a policy is evaluated over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum EvaluationMode {
    /// Resources of a cluster.
    #[default]
    Kubernetes,
    /// Any JSON document.
    #[serde(rename = "JSON")]
    Json,
    /// Requests of HTTP.
    #[serde(rename = "HTTP")]
    Http,
    /// Requests that Envoy asks about.
    Envoy,
}

/// A switch that is on unless it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Toggle {
    /// False switches it off.
    #[serde(default = "yes")]
    pub enabled: bool,
}

/// What is generated from a policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Autogen {
    /// Rules for the controllers of Pods, from rules for Pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_controllers: Option<PodControllersAutogen>,

    /// A ValidatingAdmissionPolicy, which the API server evaluates by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validating_admission_policy: Option<VapAutogen>,
}

/// Which controllers of Pods get rules.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PodControllersAutogen {
    /// The controllers. An empty list means none; unset means deployments, daemonsets,
    /// statefulsets, replicasets, jobs and cronjobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 253)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub controllers: Option<Vec<String>>,
}

/// Whether a ValidatingAdmissionPolicy is generated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VapAutogen {
    /// True generates one. Unset means false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// How the API server calls the webhook for a policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookConfiguration {
    /// How long the API server waits for the answer, in seconds. Unset means 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 30))]
    pub timeout_seconds: Option<i32>,
}

// === impl EvaluationMode ===

impl EvaluationMode {
    /// The mode as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kubernetes => "Kubernetes",
            Self::Json => "JSON",
            Self::Http => "HTTP",
            Self::Envoy => "Envoy",
        }
    }
}
