//! Policies and what their rules said, with Kyverno's words: two sets of words, because it has one
//! for `policies.kyverno.io` and one for `kyverno.io`.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// A policy as every record about it names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyFacts<'a> {
    /// What it is.
    pub kind: PolicyKind,
    /// Its namespace, if its kind has one.
    pub namespace: Option<&'a str>,
    /// Its name.
    pub name: &'a str,
    /// What a violation leads to.
    pub validation_mode: ValidationMode,
    /// Whether the policy is part of background scans.
    pub background_mode: BackgroundMode,
}

/// A policy that is in the cluster, and its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyInfo {
    /// What it is.
    pub kind: PolicyKind,
    /// Its namespace, if its kind has one.
    pub namespace: Option<Arc<str>>,
    /// Its name.
    pub name: Arc<str>,
    /// What a violation leads to.
    pub validation_mode: ValidationMode,
    /// Whether the policy is part of background scans.
    pub background_mode: BackgroundMode,
    /// Whether it is evaluated: its condition `Ready`.
    pub is_ready: bool,
    /// The names of its rules, written and generated.
    pub rules: Vec<Arc<str>>,
}

/// One policy that was evaluated for a review.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolicyRun<'a> {
    /// The policy.
    pub policy: PolicyFacts<'a>,
    /// When its evaluation began.
    pub started: Instant,
    /// How long all of its rules took.
    pub duration: Duration,
}

/// What one rule said about one resource. A ValidatingPolicy has one rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RuleFacts<'a> {
    /// The policy that it is of.
    pub policy: PolicyFacts<'a>,
    /// Its name.
    pub rule: &'a str,
    /// What it said.
    pub result: PolicyResult,
    /// Why, if it did not pass.
    pub because: Option<Because<'a>>,
    /// When its evaluation began.
    pub started: Instant,
    /// How long it took.
    pub duration: Duration,
}

/// Why a policy did not pass. Only spans tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Because<'a> {
    /// What a user is told.
    pub message: &'a str,
    /// The position of the validation that decided, if it was one.
    pub validation: Option<usize>,
}

/// What a policy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "Kyverno's own names")]
pub enum PolicyKind {
    ValidatingPolicy,
    NamespacedValidatingPolicy,
    ClusterPolicy,
    Policy,
}

/// What a violation of a policy leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValidationMode {
    /// The request is denied.
    Deny,
    /// It is noted, or whoever made it is warned.
    Audit,
}

/// Whether a policy is part of background scans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BackgroundMode {
    /// It is.
    Enabled,
    /// It is not.
    Disabled,
}

/// What became of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeType {
    /// It is there, for the first time since the process started.
    Created,
    /// Its spec is another.
    Updated,
    /// It is gone.
    Deleted,
}

/// What a policy said about a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

// === impl PolicyInfo ===

impl PolicyInfo {
    /// The policy, without its rules.
    pub fn facts(&self) -> PolicyFacts<'_> {
        PolicyFacts {
            kind: self.kind,
            namespace: self.namespace.as_deref(),
            name: &self.name,
            validation_mode: self.validation_mode,
            background_mode: self.background_mode,
        }
    }
}

// === impl PolicyFacts ===

impl<'a> PolicyFacts<'a> {
    /// In the instruments for ValidatingPolicies.
    pub(crate) fn cel_namespace(&self) -> &'a str {
        self.namespace.unwrap_or("")
    }

    /// In the instruments that were made for ClusterPolicies.
    pub(crate) fn rule_namespace(&self) -> &'a str {
        self.namespace.unwrap_or("-")
    }

    pub(crate) fn policy_type(&self) -> &'static str {
        if self.namespace.is_some() { "namespaced" } else { "cluster" }
    }
}

// === impl PolicyKind ===

impl PolicyKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ValidatingPolicy => "ValidatingPolicy",
            Self::NamespacedValidatingPolicy => "NamespacedValidatingPolicy",
            Self::ClusterPolicy => "ClusterPolicy",
            Self::Policy => "Policy",
        }
    }

    pub(crate) fn group(self) -> &'static str {
        if self.is_of_rules() { "kyverno.io" } else { "policies.kyverno.io" }
    }

    /// Whether a policy of this kind has any number of named rules.
    pub(crate) fn is_of_rules(self) -> bool {
        matches!(self, Self::ClusterPolicy | Self::Policy)
    }
}

// === impl ValidationMode ===

impl ValidationMode {
    /// In the instruments for ValidatingPolicies, and in spans.
    pub(crate) fn action(self) -> &'static str {
        match self {
            Self::Deny => "Deny",
            Self::Audit => "Audit",
        }
    }

    /// In the instruments that were made for ClusterPolicies.
    pub(crate) fn mode(self) -> &'static str {
        match self {
            Self::Deny => "enforce",
            Self::Audit => "audit",
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

// === impl ChangeType ===

impl ChangeType {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        }
    }
}

// === impl PolicyResult ===

impl PolicyResult {
    /// In the instruments for ValidatingPolicies, and in spans.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            other => other.of_rule(),
        }
    }

    /// In the instruments for ClusterPolicies.
    pub(crate) fn of_rule(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Warning => "warn",
            Self::Error => "error",
            Self::Skip => "skip",
        }
    }
}
