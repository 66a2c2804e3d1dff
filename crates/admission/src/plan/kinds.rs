//! From kinds, as ClusterPolicies name them, to the resources that the API server serves. Pure.

use std::collections::{BTreeMap, BTreeSet};

use pharos_api::policy::{NamedRuleWithOperations, OperationType};
use pharos_cluster::discovery::{Resource, Resources};
use pharos_policy::{KindPattern, Operation, RegisteredKind};

use pharos_policy::wildcard::matches;

/// The part of a Pod by which `kubectl debug` adds containers.
const MORE_CONTAINERS: &str = "ephemeralcontainers";

/// Rules for the resources that these kinds name, as far as they are served now.
pub(super) fn resolved(
    kinds: &[RegisteredKind],
    resources: &Resources,
) -> Vec<NamedRuleWithOperations> {
    let mut by_operations: BTreeMap<BTreeSet<Operation>, Vec<&KindPattern>> = BTreeMap::new();
    for RegisteredKind { kind, operations } in kinds {
        let operations = operations.iter().copied().collect();
        by_operations.entry(operations).or_default().push(kind);
    }
    let rules = by_operations.into_iter().flat_map(|(operations, patterns)| {
        let operations: Vec<_> = operations.into_iter().map(registered).collect();
        with_operations(&patterns, &operations, resources)
    });
    rules.collect()
}

fn registered(operation: Operation) -> OperationType {
    match operation {
        Operation::Create => OperationType::Create,
        Operation::Update => OperationType::Update,
        Operation::Delete => OperationType::Delete,
        Operation::Connect => OperationType::Connect,
    }
}

fn with_operations(
    patterns: &[&KindPattern],
    operations: &[OperationType],
    resources: &Resources,
) -> Vec<NamedRuleWithOperations> {
    if patterns.iter().any(|pattern| names_everything(pattern)) {
        return vec![rule("*", "*", ["*/*".to_owned()].into(), operations)];
    }
    let mut named: BTreeMap<(&str, &str), BTreeSet<String>> = BTreeMap::new();
    for (group, version, plural, resource) in resources.iter() {
        let about =
            patterns.iter().filter(|it| matches(&it.group, group) && matches(&it.version, version));
        let names = about.flat_map(|pattern| named_by(pattern, plural, resource));
        let names: BTreeSet<_> = names.collect();
        if !names.is_empty() {
            named.entry((group, version)).or_default().extend(names);
        }
    }
    let rules = named.into_iter();
    rules.map(|((group, version), names)| rule(group, version, names, operations)).collect()
}

fn names_everything(KindPattern { group, version, kind, .. }: &KindPattern) -> bool {
    [group, version, kind].into_iter().all(|part| part == "*")
}

/// The resource or those of its parts that a pattern names. Who names Pods names what makes their
/// containers more, too: such a rule is about both.
fn named_by(pattern: &KindPattern, plural: &str, resource: &Resource) -> Vec<String> {
    if pattern.sub_resource.is_empty() {
        if !matches(&pattern.kind, &resource.kind) {
            return Vec::new();
        }
        let has_more = plural == "pods" && resource.subresources.contains_key(MORE_CONTAINERS);
        let more = has_more.then(|| format!("{plural}/{MORE_CONTAINERS}"));
        return std::iter::once(plural.to_owned()).chain(more).collect();
    }
    // A part may be named by the kind of what it is a part of, or by the kind that is written to it.
    let parts = resource.subresources.iter().filter(|(part, written)| {
        let kind = matches(&pattern.kind, &resource.kind) || matches(&pattern.kind, written);
        kind && matches(&pattern.sub_resource, part)
    });
    parts.map(|(part, _)| format!("{plural}/{part}")).collect()
}

fn rule(
    group: &str,
    version: &str,
    resources: BTreeSet<String>,
    operations: &[OperationType],
) -> NamedRuleWithOperations {
    NamedRuleWithOperations {
        api_groups: vec![group.to_owned()],
        api_versions: vec![version.to_owned()],
        resources: resources.into_iter().collect(),
        operations: operations.to_vec(),
        ..NamedRuleWithOperations::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn served() -> Resources {
        let of = |plural: &str, kind: &str, parts: &[(&str, &str)]| {
            let parts = parts
                .iter()
                .map(|(part, kind)| json!({"subresource": part, "responseKind": {"kind": kind}}));
            let parts: Vec<_> = parts.collect();
            json!({"resource": plural, "responseKind": {"kind": kind}, "subresources": parts})
        };
        let parts = [("ephemeralcontainers", "Pod"), ("exec", "PodExecOptions"), ("status", "Pod")];
        let pods = of("pods", "Pod", &parts);
        let deployments = of("deployments", "Deployment", &[("scale", "Scale")]);
        let groups = json!([
            {"metadata": {}, "versions": [{"version": "v1", "resources": [pods]}]},
            {"metadata": {"name": "apps"}, "versions": [
                {"version": "v1", "resources": [deployments.clone(), of("daemonsets", "DaemonSet", &[])]},
                {"version": "v1beta1", "resources": [deployments]},
            ]},
        ]);
        serde_json::from_value::<Vec<_>>(groups).unwrap().into_iter().collect()
    }

    fn lines(pattern: [&str; 4]) -> Vec<String> {
        let [group, version, kind, sub_resource] = pattern.map(str::to_owned);
        let kind = KindPattern { group, version, kind, sub_resource };
        let operations = vec![Operation::Create];
        let rules = resolved(&[RegisteredKind { kind, operations }], &served());
        let created = |rule: &NamedRuleWithOperations| rule.operations == [OperationType::Create];
        assert!(rules.iter().all(created));
        let line = |rule: &NamedRuleWithOperations| {
            format!("{}/{}/{}", rule.api_groups[0], rule.api_versions[0], rule.resources.join(","))
        };
        rules.iter().map(line).collect()
    }

    #[test]
    fn kinds_are_resolved_to_what_is_served() {
        let cases: [([&str; 4], &[&str]); 9] = [
            (["*", "*", "Pod", ""], &["/v1/pods,pods/ephemeralcontainers"]),
            (["", "v1", "P?d", ""], &["/v1/pods,pods/ephemeralcontainers"]),
            (["apps", "*", "Deployment", ""], &["apps/v1/deployments", "apps/v1beta1/deployments"]),
            (["apps", "v1", "D*", ""], &["apps/v1/daemonsets,deployments"]),
            (["*", "*", "Pod", "exec"], &["/v1/pods/exec"]),
            (["*", "*", "PodExecOptions", "*"], &["/v1/pods/exec"]),
            (["*", "v1", "*", "scale"], &["apps/v1/deployments/scale"]),
            (["*", "*", "*", ""], &["*/*/*/*"]),
            (["*", "*", "Unheard", ""], &[]),
        ];
        for (pattern, expected) in cases {
            assert_eq!(lines(pattern), expected, "{pattern:?}");
        }
    }
}
