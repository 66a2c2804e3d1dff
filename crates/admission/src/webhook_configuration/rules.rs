//! The rules of one webhook, from the rules of its policies. Pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::admissionregistration::v1::RuleWithOperations;
use pharos_api::policy::{NamedRuleWithOperations, OperationType, ResourceScope};

/// The union of what the policies match, one rule per resource.
///
/// Single groups, versions and resources are always a valid rule; the lists that policies hold need
/// not be (`["*", "apps"]`), and one refused rule would refuse all policies. Selectors and names
/// cannot be united: each policy applies its own.
pub(super) fn union<'a>(
    rules: impl Iterator<Item = &'a NamedRuleWithOperations>,
) -> Vec<RuleWithOperations> {
    let mut union: BTreeMap<(&str, &str, &str, &str), BTreeSet<&str>> = BTreeMap::new();
    for rule in rules {
        for key in resources(rule) {
            union.entry(key).or_default().extend(rule.operations.iter().map(operation));
        }
    }
    union.retain(|_, operations| !operations.is_empty());
    union
        .into_iter()
        .map(|((group, version, resource, scope), operations)| RuleWithOperations {
            api_groups: Some(vec![group.to_owned()]),
            api_versions: Some(vec![version.to_owned()]),
            resources: Some(vec![resource.to_owned()]),
            scope: Some(scope.to_owned()),
            operations: Some(if operations.contains("*") {
                vec!["*".to_owned()]
            } else {
                operations.into_iter().map(str::to_owned).collect()
            }),
        })
        .collect()
}

fn resources(rule: &NamedRuleWithOperations) -> Vec<(&str, &str, &str, &'static str)> {
    let scope = match rule.scope.unwrap_or_default() {
        ResourceScope::Cluster => "Cluster",
        ResourceScope::Namespaced => "Namespaced",
        ResourceScope::All => "*",
    };
    let mut keys = Vec::new();
    for group in &rule.api_groups {
        for version in rule.api_versions.iter().filter(|version| !version.is_empty()) {
            for resource in rule.resources.iter().filter(|resource| !resource.is_empty()) {
                keys.push((&**group, &**version, &**resource, scope));
            }
        }
    }
    keys
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
