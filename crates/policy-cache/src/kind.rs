//! The kinds that are watched: those that are evaluated, exceptions from them, and those of which
//! only the status says that they are not.

use pharos_cluster::served::CustomKind;
use pharos_policy::PolicyKind;

/// A kind of Kyverno's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "Kyverno's own names")]
pub enum Kind {
    ValidatingPolicy,
    NamespacedValidatingPolicy,
    ClusterPolicy,
    Policy,
    PolicyException,
    /// One that this version does not evaluate.
    Other(CustomKind),
}

const POLICIES: &str = "policies.kyverno.io";
const KYVERNO: &str = "kyverno.io";
/// Kyverno's own preference does not count: what every version says is the same.
const VERSIONS: &[&str] = &["v1", "v1beta1", "v1alpha1"];

const EVALUATED: [Kind; 5] = [
    Kind::ValidatingPolicy,
    Kind::NamespacedValidatingPolicy,
    Kind::ClusterPolicy,
    Kind::Policy,
    Kind::PolicyException,
];

const OTHERS: [CustomKind; 8] = [
    of(POLICIES, "MutatingPolicy", "mutatingpolicies"),
    of(POLICIES, "NamespacedMutatingPolicy", "namespacedmutatingpolicies"),
    of(POLICIES, "GeneratingPolicy", "generatingpolicies"),
    of(POLICIES, "NamespacedGeneratingPolicy", "namespacedgeneratingpolicies"),
    of(POLICIES, "ImageValidatingPolicy", "imagevalidatingpolicies"),
    of(POLICIES, "NamespacedImageValidatingPolicy", "namespacedimagevalidatingpolicies"),
    of(POLICIES, "DeletingPolicy", "deletingpolicies"),
    of(POLICIES, "NamespacedDeletingPolicy", "namespaceddeletingpolicies"),
];

const fn of(group: &'static str, kind: &'static str, plural: &'static str) -> CustomKind {
    CustomKind { group, kind, plural, versions: VERSIONS }
}

// === impl Kind ===

impl From<PolicyKind> for Kind {
    fn from(kind: PolicyKind) -> Self {
        match kind {
            PolicyKind::ValidatingPolicy => Self::ValidatingPolicy,
            PolicyKind::NamespacedValidatingPolicy => Self::NamespacedValidatingPolicy,
            PolicyKind::ClusterPolicy => Self::ClusterPolicy,
            PolicyKind::Policy => Self::Policy,
        }
    }
}

impl Kind {
    /// Every kind, those that are evaluated first.
    pub fn all() -> impl Iterator<Item = Self> {
        EVALUATED.into_iter().chain(OTHERS.map(Self::Other))
    }

    /// How it is served.
    pub const fn custom(self) -> CustomKind {
        match self {
            Self::ValidatingPolicy => of(POLICIES, "ValidatingPolicy", "validatingpolicies"),
            Self::NamespacedValidatingPolicy => {
                of(POLICIES, "NamespacedValidatingPolicy", "namespacedvalidatingpolicies")
            }
            Self::ClusterPolicy => {
                CustomKind { versions: &["v1"], ..of(KYVERNO, "ClusterPolicy", "clusterpolicies") }
            }
            Self::Policy => CustomKind { versions: &["v1"], ..of(KYVERNO, "Policy", "policies") },
            Self::PolicyException => of(POLICIES, "PolicyException", "policyexceptions"),
            Self::Other(kind) => kind,
        }
    }

    /// The kind's name.
    pub const fn name(self) -> &'static str {
        self.custom().kind
    }

    /// Whether a policy may be missed while objects of the kind are not known.
    pub const fn is_evaluated(self) -> bool {
        !matches!(self, Self::Other(_))
    }

    /// Whether its objects have a status to be written.
    pub const fn has_status(self) -> bool {
        !matches!(self, Self::PolicyException)
    }

    /// Whether its status has the shape of `kyverno.io`.
    pub const fn is_of_kyverno_io(self) -> bool {
        matches!(self, Self::ClusterPolicy | Self::Policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pharos_api::policy::UNEVALUATED;

    #[test]
    fn every_kind_that_is_stored_and_not_evaluated_is_watched() {
        let others = Kind::all().filter(|kind| !kind.is_evaluated()).map(Kind::custom);
        let others: Vec<_> = others.map(|it| (it.kind, it.plural.to_owned())).collect();
        for kind in UNEVALUATED {
            assert!(others.contains(&(kind.kind, kind.plural.to_owned())), "{kind:?}");
            assert!(others.contains(&(kind.namespaced_kind, kind.namespaced_plural())), "{kind:?}");
        }
        assert_eq!(others.len(), 2 * UNEVALUATED.len());
    }
}
