//! What happens to a resource that fails a rule.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// What happens to a resource that fails a rule. Both spellings are stored as they are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum FailureAction {
    /// It is reported.
    #[default]
    Audit,
    /// It is refused.
    Enforce,
    /// `Audit`, as it was once spelled.
    #[serde(rename = "audit")]
    AuditLowercase,
    /// `Enforce`, as it was once spelled.
    #[serde(rename = "enforce")]
    EnforceLowercase,
}

/// Another action for some namespaces.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureActionOverride {
    /// The action. Unset means Audit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "FailureAction")]
    pub action: Option<FailureAction>,

    /// Names of namespaces, with wildcards. Empty means that only the selector decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), inner(length(max = 253)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub namespaces: Vec<String>,

    /// Labels of namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub namespace_selector: Option<LabelSelector>,
}

// === impl FailureAction ===

impl FailureAction {
    /// Whether the request is refused.
    pub fn enforces(self) -> bool {
        match self {
            Self::Enforce | Self::EnforceLowercase => true,
            Self::Audit | Self::AuditLowercase => false,
        }
    }
}
