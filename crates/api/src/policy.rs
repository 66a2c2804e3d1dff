//! Kyverno's policies, as far as Pharos evaluates them.
//!
//! The field names and their meaning are Kyverno's: what its CRD stores, this one stores, so that a
//! policy can move between the two unchanged. Only what no evaluation can use is refused here;
//! whether an expression compiles is the engine's to say, in the policy's status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

mod evaluation;
mod matching;

pub use evaluation::{
    Autogen, Evaluation, EvaluationMode, PodControllersAutogen, Toggle, VapAutogen,
    WebhookConfiguration,
};
pub use matching::{
    MatchPolicy, MatchResources, NamedRuleWithOperations, OperationType, ResourceScope,
};

/// What a ValidatingPolicy asks of which resources.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "policies.kyverno.io",
    version = "v1",
    kind = "ValidatingPolicy",
    plural = "validatingpolicies",
    shortname = "vpol",
    category = "kyverno",
    status = "ValidatingPolicyStatus",
    derive = "PartialEq",
    doc = "ValidatingPolicy says what resources must be like, in CEL.",
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditionStatus.ready",
        description = "Whether the policy is evaluated"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct ValidatingPolicySpec {
    /// Which requests the policy is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_constraints: Option<MatchResources>,

    /// Conditions that must all be true for a request to be validated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub match_conditions: Vec<MatchCondition>,

    /// Expressions that later variables and the validations can use as variables.NAME.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub variables: Vec<Variable>,

    /// What must be true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub validations: Vec<Validation>,

    /// Annotations for the API server's audit event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub audit_annotations: Vec<AuditAnnotation>,

    /// What happens when a validation is false. Deny refuses the request, Warn lets it pass with a
    /// warning to the client, Audit reports it. Unset means Deny.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub validation_actions: Vec<ValidationAction>,

    /// What happens when the policy cannot be evaluated or Pharos does not answer: Fail refuses the
    /// request, Ignore lets it pass. Unset means Ignore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "FailurePolicy")]
    pub failure_policy: Option<FailurePolicy>,

    /// When the policy is evaluated, and over what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<Evaluation>,

    /// What is generated from the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autogen: Option<Autogen>,

    /// How the API server calls the webhook for this policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_configuration: Option<WebhookConfiguration>,
}

/// A condition for a request to be validated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MatchCondition {
    /// A name, unique among the conditions.
    #[schemars(length(min = 1, max = 317))]
    pub name: String,

    /// A CEL expression that is true or false.
    #[schemars(length(min = 1, max = 65_536))]
    pub expression: String,
}

/// A named expression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Variable {
    /// The name: a CEL identifier, unique among the variables.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,

    /// A CEL expression. It is evaluated when first used.
    #[schemars(length(min = 1, max = 65_536))]
    pub expression: String,
}

/// Something that must be true.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Validation {
    /// A CEL expression that is true or false.
    #[schemars(length(min = 1, max = 65_536))]
    pub expression: String,

    /// What the client is told if it is false. Unset means the expression itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16_384))]
    pub message: Option<String>,

    /// A CEL expression for what the client is told; used in place of message if it gives a string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65_536))]
    pub message_expression: Option<String>,

    /// The reason in the API server's answer: Unauthorized, Forbidden, Invalid or
    /// RequestEntityTooLarge. Unset means Invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub reason: Option<String>,
}

/// An annotation for the API server's audit event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditAnnotation {
    /// The annotation's key, unique among the annotations.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,

    /// A CEL expression for its value: a string, or null for no annotation.
    #[schemars(length(min = 1, max = 65_536))]
    pub value_expression: String,
}

/// What happens when a validation is false.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum ValidationAction {
    /// The request is refused.
    Deny,
    /// It is reported.
    Audit,
    /// The client is warned.
    Warn,
}

/// What happens when a policy cannot be evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum FailurePolicy {
    /// The request passes.
    #[default]
    Ignore,
    /// The request is refused.
    Fail,
}

/// What the engine makes of the policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValidatingPolicyStatus {
    /// Whether the policy is evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition_status: Option<PolicyConditionStatus>,
}

/// Whether a policy is evaluated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyConditionStatus {
    /// The summary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,

    /// What is wrong: which expression, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32_768))]
    pub message: Option<String>,

    /// The steps on the way to ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

#[cfg(test)]
mod tests;
