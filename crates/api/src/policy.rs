//! Kyverno's policies: those that Pharos evaluates, and the kinds that it knows only by name.
//!
//! The field names and their meaning are Kyverno's: what its CRD stores, this one stores, so that a
//! policy can move between the two unchanged. Nothing gets a default on the way, so that what was
//! written is what is read. Only what no evaluation can use is refused here; whether an expression
//! compiles is the engine's to say, in the policy's status.
//!
//! Enter at [`ValidatingPolicy`], [`PolicyException`] and [`cluster_policy::ClusterPolicy`];
//! [`UNEVALUATED`] lists the kinds that are stored and refused in their status.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub mod cluster_policy;

mod evaluation;
mod exception;
mod expression;
mod matching;
mod namespaced;
mod status;
mod unevaluated;
mod validating;

pub use evaluation::{
    Autogen, Evaluation, EvaluationMode, PodControllersAutogen, Toggle, VapAutogen,
    WebhookConfiguration,
};
pub use exception::{PolicyException, PolicyExceptionSpec, PolicyReference, ReportResult};
pub use expression::{AuditAnnotation, MatchCondition, Validation, Variable};
pub use matching::{
    MatchPolicy, MatchResources, NamedRuleWithOperations, OperationType, ResourceScope,
};
pub use status::{
    AutogenConfiguration, AutogenStatus, AutogenTarget, PolicyConditionStatus,
    ValidatingPolicyStatus,
};
pub use unevaluated::{UNEVALUATED, UnevaluatedKind, UnevaluatedPolicy, UnevaluatedPolicySpec};
pub use validating::{
    NamespacedValidatingPolicy, ValidatingPolicy, ValidatingPolicySpec, ValidationAction,
};

/// What happens when a policy cannot be evaluated.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum FailurePolicy {
    /// The request passes.
    #[default]
    Ignore,
    /// The request is refused.
    Fail,
}

#[cfg(test)]
mod tests;
