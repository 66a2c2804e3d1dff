//! What Roles grant, compared with what the API server was asked for.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::Context;
use pharos_testkit::{AuditRecord, ControlPlane};
use serde_json::Value;

use super::release::Release;

/// One verb on one resource, of one name where the rule lists names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Right {
    group: String,
    /// With the subresource, as in a Role.
    resource: String,
    verb: String,
    name: Option<String>,
}

/// Every right that the chart grants the replicas of a release.
pub(super) async fn granted(
    cluster: &ControlPlane,
    release: &Release<'_>,
) -> anyhow::Result<BTreeSet<Right>> {
    let namespace = release.namespace;
    of_roles(cluster, namespace, "pharos", &format!("pharos-admission.{namespace}.first")).await
}

/// Every right that it grants those of them that scan, but for what policies are about.
pub(super) async fn granted_to_scans(
    cluster: &ControlPlane,
    release: &Release<'_>,
) -> anyhow::Result<BTreeSet<Right>> {
    let namespace = release.namespace;
    let cluster_role = format!("pharos-background-scan.{namespace}.first");
    of_roles(cluster, namespace, "pharos-scan", &cluster_role).await
}

async fn of_roles(
    cluster: &ControlPlane,
    namespace: &str,
    role: &str,
    cluster_role: &str,
) -> anyhow::Result<BTreeSet<Right>> {
    let role = ["get", "role", role, "-n", namespace, "-o", "json"];
    let cluster_role = ["get", "clusterrole", cluster_role, "-o", "json"];
    let mut rights = BTreeSet::new();
    for role in [&role[..], &cluster_role] {
        let role: Value = serde_json::from_str(&cluster.kubectl(role).await?)?;
        for rule in role["rules"].as_array().context("a Role without rules")? {
            rights.extend(of_rule(rule));
        }
    }
    Ok(rights)
}

fn of_rule(rule: &Value) -> Vec<Right> {
    let list = |field: &str| -> Vec<String> {
        let entries = rule[field].as_array().into_iter().flatten();
        entries.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (groups, resources, verbs) = (list("apiGroups"), list("resources"), list("verbs"));
    let mut names: Vec<_> = list("resourceNames").into_iter().map(Some).collect();
    if names.is_empty() {
        names.push(None);
    }
    let mut rights = Vec::new();
    for group in &groups {
        for resource in &resources {
            for verb in &verbs {
                rights.extend(names.iter().map(|name| Right {
                    group: group.clone(),
                    resource: resource.clone(),
                    verb: verb.clone(),
                    name: name.clone(),
                }));
            }
        }
    }
    rights
}

/// The rights that none of these requests needed.
pub(super) fn unused(granted: &BTreeSet<Right>, requests: &[AuditRecord]) -> Vec<Right> {
    let needed_by = |right: &&Right| requests.iter().any(|request| right.allows(request));
    // What a rule without names is for is what no rule with names allows.
    let by_name = |request: &AuditRecord| {
        granted.iter().any(|right| right.name.is_some() && right.allows(request))
    };
    let needed = |right: &&Right| match right.name {
        Some(_) => needed_by(right),
        None => requests.iter().any(|request| right.allows(request) && !by_name(request)),
    };
    granted.iter().filter(|right| !needed(right)).cloned().collect()
}

// === impl Right ===

impl Right {
    /// Whether it is there for the policy on Secrets: it lets a replica make a TelemetryConfig that
    /// names one of these, and no request needs it.
    pub(super) fn lets_name(&self, secrets: &[&str]) -> bool {
        let named = self.name.as_deref().is_some_and(|name| secrets.contains(&name));
        named && self.verb == "get" && self.group.is_empty() && self.resource == "secrets"
    }

    fn allows(&self, request: &AuditRecord) -> bool {
        let resource = match request.subresource.as_str() {
            "" => request.resource.clone(),
            subresource => format!("{}/{subresource}", request.resource),
        };
        // What server-side apply makes is asked for as a patch.
        let verb = request.verb == self.verb
            || (self.verb == "create" && request.verb == "patch" && request.code == 201);
        verb && self.group == request.api_group
            && self.resource == resource
            && self.name.as_ref().is_none_or(|name| *name == request.name)
    }
}

impl fmt::Display for Right {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, resource, verb, name } = self;
        write!(formatter, "{verb} {group}/{resource} {}", name.as_deref().unwrap_or("of any name"))
    }
}
