//! A PolicyException that is ready to be looked at.

use std::sync::Arc;

use jiff::Timestamp;
use pharos_api::policy::ReportResult;

use crate::kind::{PolicyKey, PolicyKind};
use crate::rule::RuleBody;

/// An exception without problems. It is made once per change of the exception.
#[derive(Debug)]
pub struct CompiledException {
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) policies: Vec<PolicyRef>,
    pub(crate) expires_at: Option<Timestamp>,
    /// Its conditions, and nothing else.
    pub(crate) conditions: RuleBody,
    pub(crate) scope: Scope,
    pub(crate) report_result: ReportResult,
    /// Of several, the highest decides what is reported.
    pub(crate) priority: i64,
}

/// A policy that an exception is from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PolicyRef {
    pub(crate) kind: PolicyKind,
    pub(crate) name: Arc<str>,
}

/// What an exception excepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The request: the policy is not evaluated.
    Everything,
    /// What expressions of the policy do with these, as `exceptions`.
    Allows { images: Vec<String>, values: Vec<String> },
}

// === impl CompiledException ===

impl CompiledException {
    /// The namespace that it is in.
    pub fn namespace(&self) -> &Arc<str> {
        &self.namespace
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Whether it is from that policy. As with Kyverno, an exception names no namespace, and is from
    /// the policies of that name in all of them.
    pub fn is_from(&self, policy: &PolicyKey) -> bool {
        self.policies.iter().any(|it| it.kind == policy.kind && it.name == policy.name)
    }

    /// Whether its time is over.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| now > at)
    }

    /// When its time is over, if ever.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// Whether looking at it takes knowing the request's namespace.
    pub(crate) fn needs_namespace(&self) -> bool {
        self.conditions.needs_namespace()
    }
}
