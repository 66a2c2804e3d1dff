//! Which policy: its kind, and what tells it from the others of its kind.

use std::fmt;
use std::sync::Arc;

/// The kinds of policies that are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "Kyverno's own names")]
pub enum PolicyKind {
    ValidatingPolicy,
    NamespacedValidatingPolicy,
    ClusterPolicy,
    Policy,
}

/// What tells a policy from all others. Keys order by kind, then namespace, then name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyKey {
    /// The kind.
    pub kind: PolicyKind,
    /// The namespace that the policy is in and about; none for a kind of the whole cluster.
    pub namespace: Option<Arc<str>>,
    /// The name.
    pub name: Arc<str>,
}

// === impl PolicyKind ===

impl PolicyKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [
        Self::ValidatingPolicy,
        Self::NamespacedValidatingPolicy,
        Self::ClusterPolicy,
        Self::Policy,
    ];

    /// The kind as manifests name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ValidatingPolicy => "ValidatingPolicy",
            Self::NamespacedValidatingPolicy => "NamespacedValidatingPolicy",
            Self::ClusterPolicy => "ClusterPolicy",
            Self::Policy => "Policy",
        }
    }

    /// The kind of that name, if policies of it are evaluated.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether policies of that kind are in a namespace, and only see what is in it.
    pub fn is_namespaced(self) -> bool {
        match self {
            Self::NamespacedValidatingPolicy | Self::Policy => true,
            Self::ValidatingPolicy | Self::ClusterPolicy => false,
        }
    }
}

// === impl PolicyKey ===

/// As in `NamespacedValidatingPolicy team-a/no-latest`.
impl fmt::Display for PolicyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind.as_str())?;
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)
    }
}
