//! A PolicyException that is ready to be looked at.

use std::sync::Arc;

use jiff::Timestamp;

use crate::kind::PolicyKind;

/// An exception without problems.
#[derive(Debug)]
pub struct CompiledException {
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) policies: Vec<PolicyRef>,
    pub(crate) expires_at: Option<Timestamp>,
}

/// A policy that an exception is from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PolicyRef {
    pub(crate) kind: PolicyKind,
    pub(crate) name: Arc<str>,
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

    /// Whether it is from a policy of that kind and name.
    pub(crate) fn is_from(&self, kind: PolicyKind, name: &str) -> bool {
        self.policies.iter().any(|policy| policy.kind == kind && *policy.name == *name)
    }

    /// Whether its time is over.
    pub(crate) fn has_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| now > at)
    }
}
