//! PolicyException: what a policy is not held against.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EvaluationMode, MatchCondition};
use crate::schema;

/// Which resources are exempt from which policies.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "policies.kyverno.io",
    version = "v1",
    kind = "PolicyException",
    plural = "policyexceptions",
    shortname = "polex",
    category = "kyverno",
    namespaced,
    derive = "PartialEq",
    doc = "PolicyException exempts resources from policies, by conditions in CEL.",
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "EXPIRES",
        type_ = "string",
        json_path = ".spec.expiresAt",
        priority = 1,
        description = "When it stops to be applied"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct PolicyExceptionSpec {
    /// The policies that it is an exception from.
    #[schemars(length(max = 1024))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub policy_refs: Vec<PolicyReference>,

    /// Conditions that must all be true for the exception to apply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub match_conditions: Vec<MatchCondition>,

    /// Images, with wildcards, that expressions of the policies see as exceptions.allowedImages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), inner(length(max = 4096)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub images: Vec<String>,

    /// Values that expressions of the policies see as exceptions.allowedValues.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), inner(length(max = 4096)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub allowed_values: Vec<String>,

    /// What is reported for a resource that is exempt. Unset means skip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ReportResult")]
    pub report_result: Option<ReportResult>,

    /// When the exception ends. Unset means never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::time")]
    pub expires_at: Option<Time>,

    /// Notes for people: a ticket, who approved it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::texts")]
    pub properties: BTreeMap<String, String>,

    /// Kubernetes for resources of a cluster; the others are for other engines. Unset means
    /// Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "EvaluationMode")]
    pub evaluation_mode: Option<EvaluationMode>,
}

/// A policy, by kind and name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyReference {
    /// The policy's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// The policy's kind, as in ValidatingPolicy.
    #[schemars(length(min = 1, max = 63))]
    pub kind: String,
}

/// What is reported for a resource that is exempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReportResult {
    /// That the policy was skipped.
    #[default]
    Skip,
    /// That the policy was passed.
    Pass,
}
