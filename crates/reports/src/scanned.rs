//! What background scans ask about: the creation of an object, of what policies name for creations.
//!
//! What they never ask about is told by admission, if by anybody.

use pharos_api::policy::{NamedRuleWithOperations, OperationType};
use pharos_policy::wildcard::matches;
use pharos_policy::{CompiledPolicy, KindPattern, Operation, RegisteredKind, Registration, Rule};

/// A resource, as it is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "Kubernetes' own names")]
pub struct Served<'a> {
    pub group: &'a str,
    pub version: &'a str,
    pub resource: &'a str,
    pub kind: &'a str,
}

/// Reports are what is written here, and Events come and go faster than anybody could read about them.
const NEVER: [(&str, &str); 8] = [
    ("wgpolicyk8s.io", "*"),
    ("openreports.io", "*"),
    ("reports.kyverno.io", "*"),
    ("metrics.k8s.io", "*"),
    ("", "events"),
    ("events.k8s.io", "events"),
    // Renewed every few seconds, one for each node and each leader.
    ("coordination.k8s.io", "leases"),
    ("", "componentstatuses"),
];

/// Whether there are no reports about objects of this resource, whatever policies say.
pub fn is_never_reported(group: &str, resource: &str) -> bool {
    NEVER.iter().any(|(of, name)| *of == group && (*name == "*" || *name == resource))
}

/// Whether any rule of a policy is asked about objects of that resource.
pub fn names(policy: &CompiledPolicy, served: Served<'_>) -> bool {
    policy.rules().iter().any(|rule| rule_names(rule, served))
}

/// Whether a rule is asked about objects of that resource.
pub fn rule_names(rule: &Rule, served: Served<'_>) -> bool {
    let Served { group, version, resource, kind } = served;
    match rule.registration() {
        Registration::Resources(rules) => {
            rules.iter().any(|rule| names_resource(rule, group, version, resource))
        }
        Registration::Kinds(kinds) => kinds.iter().any(|it| names_kind(it, group, version, kind)),
    }
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
