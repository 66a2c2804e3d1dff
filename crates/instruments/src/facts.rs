//! What is recorded: facts that callers have anyway, with Kyverno's words for them.

use std::time::Duration;

/// One answered AdmissionReview.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionReviewFacts<'a> {
    /// Which kind of webhook was called.
    pub webhook: Webhook,
    /// What the request wanted to do.
    pub operation: Operation,
    /// The kind of the resource, such as `Pod`.
    pub kind: &'a str,
    /// The namespace of the resource; empty for a cluster-scoped one.
    pub namespace: &'a str,
    /// Whether the answer allowed it.
    pub allowed: bool,
    /// From reading the body to the answer.
    pub duration: Duration,
}

/// What one ValidatingPolicy said about one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidatingPolicyFacts<'a> {
    /// The policy.
    pub policy_name: &'a str,
    /// Its namespace; empty for a cluster-scoped one.
    pub policy_namespace: &'a str,
    /// What a failure of the policy leads to.
    pub validation_mode: ValidationMode,
    /// Whether the policy is part of background scans.
    pub background_mode: BackgroundMode,
    /// The kind of the resource, such as `Pod`.
    pub kind: &'a str,
    /// The namespace of the resource; empty for a cluster-scoped one.
    pub namespace: &'a str,
    /// Why the policy was evaluated.
    pub cause: ExecutionCause,
    /// What it said.
    pub result: PolicyResult,
    /// How long it took.
    pub duration: Duration,
}

/// Which kind of webhook was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Webhook {
    /// One of a MutatingWebhookConfiguration.
    Mutating,
    /// One of a ValidatingWebhookConfiguration.
    Validating,
}

/// What a request wanted to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// CREATE.
    Create,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// CONNECT.
    Connect,
}

/// Why a policy was evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutionCause {
    /// Somebody asked for something.
    AdmissionRequest(Operation),
    /// Nobody asked for anything.
    BackgroundScan,
}

/// What a failure of a policy leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValidationMode {
    /// The request is denied.
    Deny,
    /// It is noted.
    Audit,
}

/// Whether a policy is part of background scans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackgroundMode {
    /// It is.
    Enabled,
    /// It is not.
    Disabled,
}

/// What a policy said about a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyResult {
    /// The resource is as the policy wants it.
    Pass,
    /// It is not.
    Fail,
    /// It is not, and the policy only warns.
    Warning,
    /// The policy could not be evaluated.
    Error,
    /// The policy has nothing to say about it.
    Skip,
}

// === impl Webhook ===

impl Webhook {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Mutating => "MutatingWebhookConfiguration",
            Self::Validating => "ValidatingWebhookConfiguration",
        }
    }
}

// === impl Operation ===

impl Operation {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Connect => "connect",
        }
    }
}

// === impl ExecutionCause ===

impl ExecutionCause {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::AdmissionRequest(_) => "admission_request",
            Self::BackgroundScan => "background_scan",
        }
    }

    pub(crate) fn operation(self) -> &'static str {
        match self {
            Self::AdmissionRequest(operation) => operation.as_str(),
            Self::BackgroundScan => "",
        }
    }
}

// === impl ValidationMode ===

impl ValidationMode {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "Deny",
            Self::Audit => "Audit",
        }
    }
}

// === impl BackgroundMode ===

impl BackgroundMode {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "true",
            Self::Disabled => "false",
        }
    }
}

// === impl PolicyResult ===

impl PolicyResult {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Skip => "skip",
        }
    }
}
