//! The expressions that policies of several kinds are made of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
