//! What the engine says about a ClusterPolicy or a Policy.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PolicyRule;
use crate::schema;

/// What the engine makes of the policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClusterPolicyStatus {
    /// The condition Ready says the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,

    /// Ready says whether the policy is evaluated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,

    /// What was generated for the controllers of Pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autogen: Option<GeneratedRules>,

    /// How many rules there are of each kind, with those that were generated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rulecount: Option<RuleCount>,

    /// Whether the API server evaluates the policy by itself, as a ValidatingAdmissionPolicy that was
    /// generated from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validatingadmissionpolicy: Option<GeneratedAdmissionPolicy>,
}

/// What was generated for the controllers of Pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GeneratedRules {
    /// The rules. Their fields are those of spec.rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::any_objects")]
    pub rules: Vec<PolicyRule>,
}

/// How many rules there are of each kind.
#[derive(KubeSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleCount {
    /// Rules that validate.
    #[schemars(range(min = 0))]
    pub validate: i32,
    /// Rules that mutate.
    #[schemars(range(min = 0))]
    pub mutate: i32,
    /// Rules that generate.
    #[schemars(range(min = 0))]
    pub generate: i32,
    /// Rules that verify images.
    #[schemars(range(min = 0))]
    pub verifyimages: i32,
}

/// Whether a ValidatingAdmissionPolicy was generated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GeneratedAdmissionPolicy {
    /// Whether it was.
    pub generated: bool,
    /// Why it was not.
    #[schemars(length(max = 32_768))]
    pub message: String,
}
