//! A rule of a ClusterPolicy or a Policy.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{FailureAction, FailureActionOverride, Match};
use crate::policy::{AuditAnnotation, MatchCondition, Validation, Variable};
use crate::schema;

/// A rule of a policy.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyRule {
    /// The name, unique in the policy.
    #[schemars(length(max = 63))]
    pub name: String,

    /// Which requests the rule is about.
    #[serde(rename = "match")]
    pub matches: Match,

    /// Which of them it is not about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude: Option<Match>,

    /// Conditions in CEL that must all be true for the rule to be applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub cel_preconditions: Vec<MatchCondition>,

    /// What must be true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate: Option<ValidateRule>,

    /// Changes the resource. Not evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any_object")]
    pub mutate: Option<Value>,

    /// Makes another resource. Not evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any_object")]
    pub generate: Option<Value>,

    /// Verifies images. Not evaluated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::any_objects")]
    pub verify_images: Vec<Value>,

    /// Data for JMESPath. Not evaluated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::any_objects")]
    pub context: Vec<Value>,

    /// Conditions in JMESPath. Not evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::anything")]
    pub preconditions: Option<Value>,

    /// Where images are in a resource, for rules that verify them. Not evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any_object")]
    pub image_extractors: Option<Value>,

    /// Whether requests of background controllers are skipped. Unset means true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip_background_requests: Option<bool>,

    /// Added to what is reported.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::texts")]
    pub report_properties: BTreeMap<String, String>,
}

/// What must be true: one of `cel` and those that are not evaluated.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ValidateRule {
    /// Enforce refuses the request, Audit reports it. Unset means validationFailureAction of the
    /// policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "FailureAction")]
    pub failure_action: Option<FailureAction>,

    /// Other actions for some namespaces; the first that matches counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub failure_action_overrides: Vec<FailureActionOverride>,

    /// Whether a resource that failed the rule before may be updated. Of no effect on expressions in
    /// CEL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_existing_violations: Option<bool>,

    /// What the client is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16_384))]
    pub message: Option<String>,

    /// Expressions in CEL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cel: Option<CelRule>,

    /// A pattern. Not evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::anything")]
    pub pattern: Option<Value>,

    /// Patterns of which one must match. Not evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::anything")]
    pub any_pattern: Option<Value>,

    /// Conditions in JMESPath that must be false. Not evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any_object")]
    pub deny: Option<Value>,

    /// The same for each element of a list. Not evaluated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::any_objects")]
    pub foreach: Vec<Value>,

    /// The Pod Security Standards. Not evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any_object")]
    pub pod_security: Option<Value>,

    /// Signatures of manifests. Not evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::any_object")]
    pub manifests: Option<Value>,

    /// An assertion tree. Not evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::anything")]
    pub assert: Option<Value>,
}

/// Expressions in CEL.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CelRule {
    /// What must be true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub expressions: Vec<Validation>,

    /// Expressions that later variables and the expressions can use as variables.NAME.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub variables: Vec<Variable>,

    /// Annotations for the API server's audit event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub audit_annotations: Vec<AuditAnnotation>,

    /// The kind of the parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param_kind: Option<ParamKind>,

    /// Where the parameters are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param_ref: Option<ParamRef>,

    /// Whether a ValidatingAdmissionPolicy is generated. Unset means false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generate: Option<bool>,
}

/// A kind of parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParamKind {
    /// The API group and version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 317))]
    pub api_version: Option<String>,

    /// The kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub kind: Option<String>,
}

/// Where parameters are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ParamRef {
    /// The name of an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub name: Option<String>,

    /// The namespace of the objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub namespace: Option<String>,

    /// Labels of objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub selector: Option<LabelSelector>,

    /// Allow or Deny, where there is no such object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub parameter_not_found_action: Option<String>,
}
