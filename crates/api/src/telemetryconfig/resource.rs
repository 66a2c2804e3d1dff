//! What telemetry says about its origin.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// What every metric, span and log record says about its origin.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceSpec {
    /// Attributes in addition to those that Pharos sets itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub attributes: Vec<ResourceAttribute>,
}

/// A resource attribute.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResourceAttribute {
    /// The attribute's name, as in deployment.environment.name. Pharos sets service.*,
    /// telemetry.sdk.*, k8s.pod.name and k8s.namespace.name itself; they are refused, because the
    /// numbers of several replicas could not be told apart without them.
    #[schemars(length(min = 1, max = 256))]
    #[x_kube(validation = ("!self.startsWith('service.') && !self.startsWith('telemetry.sdk.') && !(self in ['k8s.pod.name', 'k8s.namespace.name'])",
        "this resource attribute is set by Pharos itself"))]
    pub name: String,

    /// The attribute's value.
    #[schemars(length(max = 1024))]
    pub value: String,
}
