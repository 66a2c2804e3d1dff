//! The rules of one webhook, from the rules of its policies. Pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::admissionregistration::v1::RuleWithOperations;
use pharos_api::policy::{NamedRuleWithOperations, OperationType, ResourceScope};

/// What a rule is about, as the API server accepts it: sorted, each name once, and none beside a
/// wildcard that covers it. Both say the same about every request.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Subject<'a> {
    groups: BTreeSet<&'a str>,
    versions: BTreeSet<&'a str>,
    resources: BTreeSet<&'a str>,
    scope: &'static str,
}

/// The union of what the policies match, one rule per subject.
///
/// The lists that policies hold need not be valid as they are (`["*", "apps"]`), and one refused
/// rule would refuse all policies. Selectors and names cannot be united: each policy applies its
/// own.
pub(super) fn union<'a>(
    rules: impl IntoIterator<Item = &'a NamedRuleWithOperations>,
) -> Vec<RuleWithOperations> {
    let mut union: BTreeMap<Subject<'_>, BTreeSet<&str>> = BTreeMap::new();
    for rule in rules {
        let operations = covering(rule.operations.iter().map(operation));
        if let (Some(subject), false) = (Subject::of(rule), operations.is_empty()) {
            union.entry(subject).or_default().extend(operations);
        }
    }
    let owned = |names: BTreeSet<&str>| Some(names.into_iter().map(str::to_owned).collect());
    union
        .into_iter()
        .map(|(subject, operations)| RuleWithOperations {
            api_groups: owned(subject.groups),
            api_versions: owned(subject.versions),
            resources: owned(subject.resources),
            scope: Some(subject.scope.to_owned()),
            operations: owned(covering(operations)),
        })
        .collect()
}

/// The names, or `*` alone if it is among them.
fn covering<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let names: BTreeSet<_> = names.into_iter().collect();
    if names.contains("*") { BTreeSet::from(["*"]) } else { names }
}

/// The resources, without those that a wildcard among them covers.
fn covering_resources<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let names: BTreeSet<_> = names.into_iter().collect();
    let is_covered = |name: &str| {
        let covered_by = |wildcard: &str| name != wildcard && names.contains(wildcard);
        covered_by("*/*")
            || match name.split_once('/') {
                None => covered_by("*"),
                Some((resource, part)) => {
                    covered_by(&format!("{resource}/*")) || covered_by(&format!("*/{part}"))
                }
            }
    };
    names.iter().copied().filter(|name| !is_covered(name)).collect()
}

fn operation(operation: &OperationType) -> &'static str {
    match operation {
        OperationType::Create => "CREATE",
        OperationType::Update => "UPDATE",
        OperationType::Delete => "DELETE",
        OperationType::Connect => "CONNECT",
        OperationType::All => "*",
    }
}

// === impl Subject ===

impl<'a> Subject<'a> {
    /// None if the rule matches nothing.
    fn of(rule: &'a NamedRuleWithOperations) -> Option<Self> {
        let named =
            |names: &'a [String]| names.iter().map(String::as_str).filter(|name| !name.is_empty());
        let groups = covering(rule.api_groups.iter().map(String::as_str));
        let versions = covering(named(&rule.api_versions));
        let resources = covering_resources(named(&rule.resources));
        let scope = match rule.scope.unwrap_or_default() {
            ResourceScope::Cluster => "Cluster",
            ResourceScope::Namespaced => "Namespaced",
            ResourceScope::All => "*",
        };
        let is_empty = groups.is_empty() || versions.is_empty() || resources.is_empty();
        (!is_empty).then_some(Self { groups, versions, resources, scope })
    }
}

#[cfg(test)]
mod tests;
