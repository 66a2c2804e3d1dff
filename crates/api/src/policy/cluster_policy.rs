//! ClusterPolicy and Policy of `kyverno.io/v1`: rules, of which those with `validate.cel` are
//! evaluated.
//!
//! What decides about such a rule is typed. The other kinds of rules, and what only they use, are
//! kept as they were written, each under its own name, so that whoever compiles a policy can say
//! what it is that will not be done.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::namespaced::namespaced;
use super::{FailurePolicy, MatchCondition};

mod action;
mod matching;
mod rule;
mod status;

pub use action::{FailureAction, FailureActionOverride};
pub use matching::{Match, RequestOperation, ResourceDescription, ResourceFilter, Subject};
pub use rule::{CelRule, ParamKind, ParamRef, PolicyRule, ValidateRule};
pub use status::{ClusterPolicyStatus, GeneratedAdmissionPolicy, GeneratedRules, RuleCount};

/// The annotation that says for which controllers of Pods rules are generated: their kinds,
/// separated by commas, or `none`.
pub const AUTOGEN_CONTROLLERS: &str = "pod-policies.kyverno.io/autogen-controllers";

/// Rules about resources.
#[expect(clippy::duplicated_attributes, reason = "clippy takes the columns for one list")]
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "kyverno.io",
    version = "v1",
    kind = "ClusterPolicy",
    plural = "clusterpolicies",
    shortname = "cpol",
    category = "kyverno",
    status = "ClusterPolicyStatus",
    derive = "PartialEq",
    doc = "ClusterPolicy has rules about resources; those in CEL are evaluated.",
    printcolumn(name = "ADMISSION", type_ = "boolean", json_path = ".spec.admission"),
    printcolumn(name = "BACKGROUND", type_ = "boolean", json_path = ".spec.background"),
    printcolumn(
        name = "READY",
        type_ = "string",
        json_path = ".status.conditions[?(@.type == \"Ready\")].status"
    ),
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "FAILURE POLICY",
        type_ = "string",
        json_path = ".spec.failurePolicy",
        priority = 1
    ),
    printcolumn(
        name = "VALIDATE",
        type_ = "integer",
        json_path = ".status.rulecount.validate",
        priority = 1
    ),
    printcolumn(
        name = "MUTATE",
        type_ = "integer",
        json_path = ".status.rulecount.mutate",
        priority = 1
    ),
    printcolumn(
        name = "GENERATE",
        type_ = "integer",
        json_path = ".status.rulecount.generate",
        priority = 1
    ),
    printcolumn(
        name = "VERIFY IMAGES",
        type_ = "integer",
        json_path = ".status.rulecount.verifyimages",
        priority = 1
    ),
    printcolumn(
        name = "MESSAGE",
        type_ = "string",
        json_path = ".status.conditions[?(@.type == \"Ready\")].message"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ClusterPolicySpec {
    /// The rules, in the order in which they are applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub rules: Vec<PolicyRule>,

    /// One stops at the first rule that is about the resource. Unset means All.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ApplyRules")]
    pub apply_rules: Option<ApplyRules>,

    /// Stands in for webhookConfiguration.failurePolicy where that is unset. Unset means Fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "FailurePolicy")]
    pub failure_policy: Option<FailurePolicy>,

    /// Stands in for failureAction of rules where that is unset. Unset means Audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "FailureAction")]
    pub validation_failure_action: Option<FailureAction>,

    /// Stands in for failureActionOverrides of rules where that is unset.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub validation_failure_action_overrides: Vec<FailureActionOverride>,

    /// True warns the client of what is only reported. Unset means false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emit_warning: Option<bool>,

    /// Whether the rules are applied when a resource changes. Unset means true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admission: Option<bool>,

    /// Whether the rules are applied to what is already in the cluster. Unset means true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<bool>,

    /// Has no effect any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_validation: Option<bool>,

    /// Stands in for webhookConfiguration.timeoutSeconds where that is unset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 30))]
    pub webhook_timeout_seconds: Option<i32>,

    /// For rules that mutate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutate_existing_on_policy_update: Option<bool>,

    /// For rules that generate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generate_existing_on_policy_update: Option<bool>,

    /// For rules that generate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generate_existing: Option<bool>,

    /// For rules that generate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_server_side_apply: Option<bool>,

    /// How the API server calls the webhook for this policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_configuration: Option<ClusterPolicyWebhook>,
}

/// How many rules of a policy are applied to a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ApplyRules {
    /// All that are about it.
    #[default]
    All,
    /// The first that is about it.
    One,
}

/// How the API server calls the webhook for a policy.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterPolicyWebhook {
    /// What happens when the policy cannot be evaluated or Pharos does not answer. Unset means Fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "FailurePolicy")]
    pub failure_policy: Option<FailurePolicy>,

    /// How long the API server waits for the answer, in seconds. Unset means 10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 30))]
    pub timeout_seconds: Option<i32>,

    /// Conditions that must all be true for a request to be sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub match_conditions: Vec<MatchCondition>,
}

namespaced! {
    /// A ClusterPolicy for the resources of its own namespace.
    Policy {
        group: "kyverno.io",
        version: "v1",
        plural: "policies",
        short_name: "pol",
        spec: ClusterPolicySpec,
        status: ClusterPolicyStatus,
    }
}
