//! What the engine says about policies of `policies.kyverno.io`.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::ValidatingPolicySpec;
use crate::schema;

/// What the engine makes of the policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ValidatingPolicyStatus {
    /// Whether the policy is evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition_status: Option<PolicyConditionStatus>,

    /// What was generated for the controllers of Pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autogen: Option<AutogenStatus>,

    /// Whether the API server evaluates the policy by itself, as a ValidatingAdmissionPolicy that was
    /// generated from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generated: Option<bool>,
}

/// What was generated for the controllers of Pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AutogenStatus {
    /// Generated policies by their names: defaults for controllers with a template of a Pod, cronjobs
    /// for those with a template of a Job.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "autogen_configurations")]
    pub configs: BTreeMap<String, AutogenConfiguration>,
}

/// A policy that was generated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AutogenConfiguration {
    /// The controllers that it is about.
    pub targets: Vec<AutogenTarget>,

    /// What it asks of them.
    pub spec: ValidatingPolicySpec,
}

/// A kind of controller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutogenTarget {
    /// The API group; empty for the core group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,

    /// The API version.
    pub version: String,

    /// The plural name.
    pub resource: String,

    /// The kind.
    pub kind: String,
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

/// Without the fields of the spec, which stand under `spec` already: they are many.
fn autogen_configurations(_: &mut SchemaGenerator) -> Schema {
    let text = |description: &str| json_schema!({ "description": description, "type": "string", "maxLength": 253 });
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {
            "type": "object",
            "required": ["spec", "targets"],
            "properties": {
                "targets": {
                    "description": "The controllers that it is about.",
                    "type": "array", "maxItems": 64, "x-kubernetes-list-type": "atomic",
                    "items": {
                        "type": "object",
                        "required": ["kind", "resource", "version"],
                        "properties": {
                            "group": text("The API group; empty for the core group."),
                            "version": text("The API version."),
                            "resource": text("The plural name."),
                            "kind": text("The kind."),
                        },
                    },
                },
                "spec": {
                    "description": "What it asks of them.",
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                },
            },
        },
    })
}
