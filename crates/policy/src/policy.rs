//! A policy that is ready to be evaluated.

use std::sync::Arc;
use std::time::Duration;

use pharos_api::policy::{FailurePolicy, MatchResources, ValidationAction};

use crate::cel::{Expression, Program};
use crate::matching::Matcher;

/// A policy without problems. It is made by [`compile()`](crate::compile()), once per change of the policy.
#[derive(Debug)]
pub struct CompiledPolicy {
    pub(crate) name: Arc<str>,
    pub(crate) actions: Vec<ValidationAction>,
    pub(crate) failure_policy: FailurePolicy,
    pub(crate) origins: Vec<Origin>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) constraints: MatchResources,
    pub(crate) matcher: Matcher,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) program: Program,
    pub(crate) validations: Vec<Validation>,
}

/// Why a policy is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A request is to be admitted.
    Admission,
    /// What is in the cluster is looked at.
    BackgroundScan,
}

/// The reason in the API server's answer to a denied request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "Kubernetes' own names")]
pub enum StatusReason {
    Unauthorized,
    Forbidden,
    #[default]
    Invalid,
    RequestEntityTooLarge,
}

/// A condition for the request to be validated.
#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) name: String,
    pub(crate) expression: Expression,
}

/// Something that must be true.
#[derive(Debug)]
pub(crate) struct Validation {
    pub(crate) expression: Expression,
    pub(crate) message: Option<String>,
    pub(crate) message_expression: Option<Expression>,
    pub(crate) reason: StatusReason,
}

// === impl CompiledPolicy ===

impl CompiledPolicy {
    /// The policy's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The policy's name, for whoever keeps it: every record of telemetry does.
    pub fn shared_name(&self) -> &Arc<str> {
        &self.name
    }

    /// What happens when a validation is false; at least one action.
    pub fn actions(&self) -> &[ValidationAction] {
        &self.actions
    }

    /// What happens when the policy cannot be evaluated.
    pub fn failure_policy(&self) -> FailurePolicy {
        self.failure_policy
    }

    /// Whether the policy is evaluated for that reason.
    pub fn is_evaluated_for(&self, origin: Origin) -> bool {
        self.origins.contains(&origin)
    }

    /// How long the API server is to wait for the webhook, where the policy says so.
    pub fn webhook_timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// What the policy is about, as it was written.
    pub fn match_constraints(&self) -> &MatchResources {
        &self.constraints
    }

    /// Whether evaluating it takes knowing the request's namespace.
    pub fn needs_namespace(&self) -> bool {
        let validation = |validation: &Validation| {
            validation.expression.needs_namespace()
                || validation.message_expression.as_ref().is_some_and(Expression::needs_namespace)
        };
        self.matcher.needs_namespace()
            || self.conditions.iter().any(|condition| condition.expression.needs_namespace())
            || self.validations.iter().any(validation)
    }
}

// === impl StatusReason ===

impl StatusReason {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "Unauthorized" => Some(Self::Unauthorized),
            "Forbidden" => Some(Self::Forbidden),
            "Invalid" => Some(Self::Invalid),
            "RequestEntityTooLarge" => Some(Self::RequestEntityTooLarge),
            _ => None,
        }
    }

    /// The name that Kubernetes uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::Invalid => "Invalid",
            Self::RequestEntityTooLarge => "RequestEntityTooLarge",
        }
    }

    /// The HTTP status code that goes with it.
    pub fn code(self) -> u16 {
        match self {
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::Invalid => 422,
            Self::RequestEntityTooLarge => 413,
        }
    }
}
