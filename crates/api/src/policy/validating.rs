//! ValidatingPolicy, and NamespacedValidatingPolicy, which is the same for one namespace.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::namespaced::namespaced;
use super::{
    AuditAnnotation, Autogen, Evaluation, FailurePolicy, MatchCondition, MatchResources,
    ValidatingPolicyStatus, Validation, Variable, WebhookConfiguration,
};

/// What a ValidatingPolicy asks of which resources.
#[expect(clippy::duplicated_attributes, reason = "clippy takes the columns for one list")]
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
    printcolumn(name = "AGE", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "READY",
        type_ = "string",
        json_path = ".status.conditionStatus.ready",
        description = "Whether the policy is evaluated"
    ),
    printcolumn(
        name = "MESSAGE",
        type_ = "string",
        json_path = ".status.conditionStatus.message",
        priority = 1,
        description = "What is wrong with it"
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
    /// request, Ignore lets it pass. Unset means Fail.
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

namespaced! {
    /// A ValidatingPolicy for the resources of its own namespace.
    NamespacedValidatingPolicy {
        group: "policies.kyverno.io",
        version: "v1",
        plural: "namespacedvalidatingpolicies",
        short_name: "nvpol",
        spec: ValidatingPolicySpec,
        status: ValidatingPolicyStatus,
    }
}
