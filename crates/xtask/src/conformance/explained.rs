//! Why a suite does not hold: a sentence for each.

use super::results::Suite;

/// Kinds that are not evaluated, and what is missing.
const KINDS: &[(&str, &str)] = &[
    (
        "GeneratingPolicy",
        "GeneratingPolicies, which make resources from others, are not evaluated.",
    ),
    ("MutatingPolicy", "MutatingPolicies, which change resources, are not evaluated."),
];

/// Suites, by their folder.
const SUITES: &[(&str, &str)] = &[
    (
        "validating-policy/other-vpol/advanced-restrict-image-registries",
        "The policy reads a ConfigMap of the cluster with resource.Get, which this version refuses by name.",
    ),
    (
        "validating-policy/other-vpol/check-hpa-exists",
        "The policy lists HorizontalPodAutoscalers of the cluster with resource.List, which this version refuses by name.",
    ),
    (
        "validating-policy/other-vpol/check-nvidia-gpu",
        "The policy asks a registry about an image with image.GetMetadata, which this version refuses by name.",
    ),
];

/// The sentence about a suite, if there is one.
pub(super) fn explanation(suite: &Suite) -> Option<&'static str> {
    let of_suite = SUITES.iter().find(|(folder, _)| *folder == suite.file);
    let has = |kind: &str| suite.kinds().contains(&kind);
    let of_kind = || KINDS.iter().find(|(kind, _)| has(kind));
    of_suite.or_else(of_kind).map(|(_, why)| *why)
}
