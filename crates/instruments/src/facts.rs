//! What is recorded: facts that callers have anyway, with Kyverno's words for them.

use std::time::Duration;

mod policy;

pub use policy::{
    BackgroundMode, Because, ChangeType, PolicyFacts, PolicyInfo, PolicyKind, PolicyResult,
    PolicyRun, RuleFacts, ValidationMode,
};

/// One answered AdmissionReview.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdmissionReviewFacts<'a> {
    /// Which kind of webhook was called.
    pub webhook: Webhook,
    /// The answer.
    pub answer: Answer<'a>,
    /// What whoever made the request is warned of.
    pub warnings: &'a [String],
    /// From reading the body to the answer.
    pub duration: Duration,
}

/// What the API server was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// The request passes.
    Allowed,
    /// It does not.
    Denied {
        /// The status code.
        code: u16,
        /// The reason of the Kubernetes API.
        reason: &'static str,
        /// What the policies say.
        message: &'a str,
    },
}

/// A request as the API server describes it. Only spans tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestDetails<'a> {
    /// The API server's name for the request.
    pub uid: &'a str,
    /// The name of the object; empty if it is yet to be generated.
    pub name: &'a str,
    /// Its namespace; empty for a cluster-scoped one.
    pub namespace: &'a str,
    /// Whether nothing will be stored, whatever the answer is.
    pub dry_run: bool,
    /// What the request is about, as the webhook is registered for it.
    pub target: Target<'a>,
    /// What it was about before the API server converted it, if it says so.
    pub original: Option<Target<'a>>,
    /// Who made it.
    pub user_name: &'a str,
    /// The uid of who made it.
    pub user_uid: &'a str,
    /// The groups of who made it.
    pub user_groups: Vec<&'a str>,
}

/// What a request is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "Kubernetes' own names")]
pub struct Target<'a> {
    pub kind_group: &'a str,
    pub kind_version: &'a str,
    pub kind: &'a str,
    pub resource_group: &'a str,
    pub resource_version: &'a str,
    pub resource: &'a str,
    pub sub_resource: &'a str,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExecutionCause {
    /// Somebody asked for something.
    AdmissionRequest(Operation),
    /// Nobody asked for anything.
    BackgroundScan,
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

    /// As Kubernetes writes it, and Kyverno in spans.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

// === impl Answer ===

impl Answer<'_> {
    pub(crate) fn is_allowed(self) -> bool {
        self == Self::Allowed
    }
}

// === impl Target ===

impl Target<'_> {
    /// What is in a Secret may be in no span, not even in a policy's words about it.
    pub(crate) fn is_secret(&self) -> bool {
        self.resource_group.is_empty() && self.resource == "secrets"
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
