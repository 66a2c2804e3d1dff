//! Whether a policy names a resource for what background scans ask: the creation of an object.

use pharos_api::policy::{NamedRuleWithOperations, OperationType};
use pharos_policy::wildcard::matches;
use pharos_policy::{CompiledPolicy, KindPattern, Operation, RegisteredKind, Registration, Rule};

/// Whether any rule of a policy is about objects of that kind.
pub(super) fn names(
    policy: &CompiledPolicy,
    group: &str,
    version: &str,
    resource: &str,
    kind: &str,
) -> bool {
    let about = |rule: &Rule| match rule.registration() {
        Registration::Resources(rules) => {
            rules.iter().any(|rule| names_resource(rule, group, version, resource))
        }
        Registration::Kinds(kinds) => kinds.iter().any(|it| names_kind(it, group, version, kind)),
    };
    policy.rules().iter().any(about)
}

fn names_resource(
    rule: &NamedRuleWithOperations,
    group: &str,
    version: &str,
    resource: &str,
) -> bool {
    let has = |names: &[String], name: &str| names.iter().any(|it| it == "*" || it == name);
    let creation = |it: &OperationType| matches!(it, OperationType::All | OperationType::Create);
    // `*/*` is every resource and every part of one; a part is nothing that can be listed.
    let named = |it: &String| it == "*" || it == "*/*" || it == resource;
    has(&rule.api_groups, group)
        && has(&rule.api_versions, version)
        && rule.resources.iter().any(named)
        && rule.operations.iter().any(creation)
}

fn names_kind(registered: &RegisteredKind, group: &str, version: &str, kind: &str) -> bool {
    let KindPattern { group: groups, version: versions, kind: kinds, sub_resource } =
        &registered.kind;
    sub_resource.is_empty()
        && matches(groups, group)
        && matches(versions, version)
        && matches(kinds, kind)
        && registered.operations.contains(&Operation::Create)
}
