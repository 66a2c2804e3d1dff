//! Why a suite does not hold: a sentence for each kind of policy.

use super::results::Suite;

/// Kinds that are not evaluated, and what is missing.
const KINDS: &[(&str, &str)] = &[
    (
        "GeneratingPolicy",
        "GeneratingPolicies, which make resources from others, are not evaluated.",
    ),
    ("MutatingPolicy", "MutatingPolicies, which change resources, are not evaluated."),
];

/// The sentence about a suite, if there is one.
pub(super) fn explanation(suite: &Suite) -> Option<&'static str> {
    let kinds = suite.kinds();
    KINDS.iter().find(|(kind, _)| kinds.contains(kind)).map(|(_, why)| *why)
}
