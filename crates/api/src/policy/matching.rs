//! Which requests a policy is about: Kubernetes' own `MatchResources`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// Which requests. All that is set must match.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MatchResources {
    /// Operations on resources, of which one must match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub resource_rules: Vec<NamedRuleWithOperations>,

    /// Operations on resources, of which none may match.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub exclude_resource_rules: Vec<NamedRuleWithOperations>,

    /// Labels of the resource's namespace. Resources outside of namespaces always match, except
    /// namespaces, whose own labels count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub namespace_selector: Option<LabelSelector>,

    /// Labels of the resource itself, before or after the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub object_selector: Option<LabelSelector>,

    /// Exact matches only the API groups and versions that the rules name, Equivalent also others
    /// that serve the same resource. Unset means Equivalent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "MatchPolicy")]
    pub match_policy: Option<MatchPolicy>,
}

/// Operations on resources.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamedRuleWithOperations {
    /// API groups; "" is the core group, "*" any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 253)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub api_groups: Vec<String>,

    /// API versions; "*" is any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 63)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub api_versions: Vec<String>,

    /// Operations; "*" is any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 5))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub operations: Vec<OperationType>,

    /// Resources by their plural names, as in pods, pods/log, pods/*, */scale or "*".
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), inner(length(max = 317)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub resources: Vec<String>,

    /// Names of single resources. Empty means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 253)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub resource_names: Vec<String>,

    /// Cluster, Namespaced or "*" for both. Unset means both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ResourceScope")]
    pub scope: Option<ResourceScope>,
}

/// What is done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "Kubernetes' own names")]
pub enum OperationType {
    Create,
    Update,
    Delete,
    Connect,
    #[serde(rename = "*")]
    All,
}

/// Where resources live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ResourceScope {
    /// Outside of namespaces.
    Cluster,
    /// In a namespace.
    Namespaced,
    /// Both.
    #[default]
    #[serde(rename = "*")]
    All,
}

/// Whether other names of a resource match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum MatchPolicy {
    /// Only the groups and versions that are named.
    Exact,
    /// All that serve the same resource.
    #[default]
    Equivalent,
}
