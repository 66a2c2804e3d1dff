//! Kinds of Kyverno that Pharos stores and does not evaluate.
//!
//! They are known so that a repository of policies can be applied as it is, and so that a policy
//! that does nothing says so in its status. What their spec says is kept and not looked into.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::PolicyConditionStatus;

/// A kind that is not evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnevaluatedKind {
    /// The kind.
    pub kind: &'static str,
    /// The kind in a namespace: the same with another name.
    pub namespaced_kind: &'static str,
    /// The name of its resources.
    pub plural: &'static str,
    /// The short name of `kubectl`; that of the kind in a namespace has an `n` before it.
    pub short_name: &'static str,
    /// What it is for, to describe it by.
    pub(crate) purpose: &'static str,
}

/// Every kind of the group `policies.kyverno.io` that is not evaluated.
pub const UNEVALUATED: [UnevaluatedKind; 4] = [
    UnevaluatedKind {
        kind: "MutatingPolicy",
        namespaced_kind: "NamespacedMutatingPolicy",
        plural: "mutatingpolicies",
        short_name: "mpol",
        purpose: "changes resources",
    },
    UnevaluatedKind {
        kind: "GeneratingPolicy",
        namespaced_kind: "NamespacedGeneratingPolicy",
        plural: "generatingpolicies",
        short_name: "gpol",
        purpose: "makes resources from others",
    },
    UnevaluatedKind {
        kind: "ImageValidatingPolicy",
        namespaced_kind: "NamespacedImageValidatingPolicy",
        plural: "imagevalidatingpolicies",
        short_name: "ivpol",
        purpose: "verifies images",
    },
    UnevaluatedKind {
        kind: "DeletingPolicy",
        namespaced_kind: "NamespacedDeletingPolicy",
        plural: "deletingpolicies",
        short_name: "dpol",
        purpose: "deletes resources by a schedule",
    },
];

/// Whatever the kind's own engine reads.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "policies.kyverno.io",
    version = "v1",
    kind = "UnevaluatedPolicy",
    plural = "unevaluatedpolicies",
    category = "kyverno",
    status = "UnevaluatedPolicyStatus",
    derive = "PartialEq",
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "READY",
        type_ = "string",
        json_path = ".status.conditionStatus.ready",
        description = "Whether the policy is evaluated"
    )
)]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct UnevaluatedPolicySpec {
    /// The fields, as they were written.
    #[serde(flatten)]
    #[schemars(skip)]
    pub fields: BTreeMap<String, Value>,
}

/// What the engine says about a policy that it does not evaluate.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-preserve-unknown-fields" = true))]
pub struct UnevaluatedPolicyStatus {
    /// That the policy is not evaluated, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition_status: Option<PolicyConditionStatus>,
}

// === impl UnevaluatedKind ===

impl UnevaluatedKind {
    /// The name of the resources of the kind in a namespace.
    pub fn namespaced_plural(&self) -> String {
        format!("namespaced{}", self.plural)
    }
}
