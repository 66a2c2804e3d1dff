//! Rules for what has Pods, from rules for Pods.
//!
//! A rule is generated from the text of the one that was written: the fields of a Pod that its
//! expressions name are replaced by those of the template, everywhere in the rule.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use pharos_api::policy::cluster_policy::{
    AUTOGEN_CONTROLLERS, ClusterPolicySpec, Match, PolicyRule, ResourceDescription,
};

use super::kind::bare;
use crate::rule::Autogen;

/// Kinds with a template of a Pod, and how a generated rule names them.
const CONTROLLERS: [(&str, &str); 6] = [
    ("DaemonSet", "apps/v1/DaemonSet"),
    ("Deployment", "apps/v1/Deployment"),
    ("Job", "batch/v1/Job"),
    ("ReplicaSet", "apps/v1/ReplicaSet"),
    ("ReplicationController", "v1/ReplicationController"),
    ("StatefulSet", "apps/v1/StatefulSet"),
];
const CRON_JOB: (&str, &str) = ("CronJob", "batch/v1/CronJob");
/// What rules may say only of Pods and of these, for any to be generated.
const WITH_PODS: [&str; 8] = [
    "Pod",
    "DaemonSet",
    "Deployment",
    "Job",
    "StatefulSet",
    "ReplicaSet",
    "ReplicationController",
    "CronJob",
];
const PREFIX: &str = "autogen-";
/// The longest name of a rule, in bytes.
const MAX_NAME: usize = 63;

/// A rule that was generated.
pub(super) struct Generated {
    pub(super) rule: PolicyRule,
    pub(super) autogen: Autogen,
    /// The position of the rule that it comes from.
    pub(super) from: usize,
    /// The kinds that it is about.
    pub(super) kinds: Vec<&'static str>,
}

/// The rules that are generated from those of a policy, as its annotation says, in their order.
pub(super) fn generate(spec: &ClusterPolicySpec, annotation: Option<&str>) -> Vec<Generated> {
    if !can_generate(spec) {
        return Vec::new();
    }
    let wanted = |kind: &str| annotation.is_none_or(|list| list.split(',').any(|it| it == kind));
    let controllers: Vec<_> = CONTROLLERS.into_iter().filter(|(kind, _)| wanted(kind)).collect();
    let cron_jobs: Vec<_> = [CRON_JOB].into_iter().filter(|(kind, _)| wanted(kind)).collect();
    let rules = spec.rules.iter().enumerate().filter(|(_, rule)| is_about_pods(rule));
    rules
        .flat_map(|(from, rule)| {
            [(Autogen::Defaults, &controllers), (Autogen::CronJobs, &cron_jobs)]
                .into_iter()
                .filter(|(_, kinds)| !kinds.is_empty())
                .filter_map(move |(autogen, kinds)| {
                    let names: Vec<_> = kinds.iter().map(|(_, name)| (*name).to_owned()).collect();
                    let rule = generated(rule, autogen, &names)?;
                    let kinds = kinds.iter().map(|(kind, _)| *kind).collect();
                    Some(Generated { rule, autogen, from, kinds })
                })
        })
        .collect()
}

/// The annotation with which a policy says for what rules are generated.
pub(super) fn annotation(metadata: &ObjectMeta) -> Option<&str> {
    metadata.annotations.as_ref()?.get(AUTOGEN_CONTROLLERS).map(String::as_str)
}

/// One rule that says which Pods by name, labels or annotations, or speaks of Pods and others in one
/// breath, and there are none: what it means is not true of the controllers.
fn can_generate(spec: &ClusterPolicySpec) -> bool {
    let mut needed = false;
    for rule in &spec.rules {
        if rule.generate.is_some() {
            return false;
        }
        for resources in
            descriptions(&rule.matches).chain(rule.exclude.iter().flat_map(descriptions))
        {
            let ResourceDescription { kinds, name, names, annotations, selector, .. } = resources;
            let mixed = kinds.len() > 1 && names_pods(kinds);
            let named = name.as_ref().is_some_and(|name| !name.is_empty()) || !names.is_empty();
            if mixed || named || selector.is_some() || !annotations.is_empty() {
                return false;
            }
            needed |= kinds.iter().any(|kind| WITH_PODS.contains(&kind.as_str()));
        }
    }
    needed
}

fn is_about_pods(rule: &PolicyRule) -> bool {
    let kinds = |filters: &Match| -> Vec<String> {
        descriptions(filters).flat_map(|it| it.kinds.iter().cloned()).collect()
    };
    let excluded = rule.exclude.as_ref().map(kinds).unwrap_or_default();
    !rule.name.starts_with(PREFIX)
        && names_pods(&kinds(&rule.matches))
        && (excluded.is_empty() || names_pods(&excluded))
}

fn names_pods(kinds: &[String]) -> bool {
    kinds.iter().any(|kind| bare(kind) == "Pod")
}

fn descriptions(filters: &Match) -> impl Iterator<Item = &ResourceDescription> {
    let listed = filters.any.iter().chain(&filters.all).filter_map(|it| it.resources.as_ref());
    filters.resources.iter().chain(listed)
}

/// None for a rule whose text is no rule any more, with the fields replaced.
fn generated(rule: &PolicyRule, autogen: Autogen, kinds: &[String]) -> Option<PolicyRule> {
    let mut generated = rule.clone();
    let prefix = match autogen {
        Autogen::Defaults => PREFIX,
        Autogen::CronJobs => "autogen-cronjob-",
    };
    generated.name = format!("{prefix}{}", rule.name);
    generated.name.truncate(generated.name.floor_char_boundary(MAX_NAME));
    replace_kinds(&mut generated.matches, autogen, kinds);
    if generated.matches.any.is_empty() && generated.matches.all.is_empty() {
        generated.matches.resources.get_or_insert_default().kinds = kinds.to_vec();
    }
    if let Some(exclude) = &mut generated.exclude {
        replace_kinds(exclude, autogen, kinds);
        let single = exclude.any.is_empty() && exclude.all.is_empty();
        if let Some(resources) = exclude.resources.as_mut().filter(|_| single)
            && !resources.kinds.is_empty()
        {
            resources.kinds = kinds.to_vec();
        }
    }
    serde_json::from_str(&in_template(&serde_json::to_string(&generated).ok()?, autogen)).ok()
}

/// For CronJobs every filter gets the kind, as Kyverno has it.
fn replace_kinds(filters: &mut Match, autogen: Autogen, kinds: &[String]) {
    let list = if filters.any.is_empty() { &mut filters.all } else { &mut filters.any };
    for filter in list {
        let about_pods = filter.resources.as_ref().is_some_and(|it| names_pods(&it.kinds));
        if about_pods || autogen == Autogen::CronJobs {
            filter.resources.get_or_insert_default().kinds = kinds.to_vec();
        }
    }
}

fn in_template(text: &str, autogen: Autogen) -> String {
    let (spec, metadata) = match autogen {
        Autogen::Defaults => (".spec.template.spec", ".spec.template.metadata"),
        Autogen::CronJobs => {
            (".spec.jobTemplate.spec.template.spec", ".spec.jobTemplate.spec.template.metadata")
        }
    };
    // `spec` before `metadata`: the first brings no `metadata` directly behind an object.
    ["object", "oldObject"].into_iter().fold(text.to_owned(), |text, object| {
        text.replace(&format!("{object}.spec"), &format!("{object}{spec}"))
            .replace(&format!("{object}.metadata"), &format!("{object}{metadata}"))
    })
}

#[cfg(test)]
mod tests;
