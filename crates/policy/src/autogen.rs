//! Rules for the controllers of Pods, from a rule for Pods.
//!
//! Enter at [`generate`]. As Kyverno does, and only where it does: one rule about Pods as they are,
//! without a selector of objects, exclusions or names. What is generated is a spec of its own, which
//! the policy's status shows and which is compiled like a written one.
//!
//! [`rewrite`] says what becomes of an expression.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use pharos_api::policy::{
    Autogen as AutogenSpec, AutogenConfiguration, AutogenTarget, MatchResources,
    NamedRuleWithOperations, OperationType, PodControllersAutogen, ValidatingPolicySpec,
    VapAutogen,
};
use serde_json::Value;

use crate::error::CompileError;
use crate::rule::Autogen;

mod rewrite;

/// What was generated from a policy.
#[derive(Debug, Default)]
pub(crate) struct Generated {
    pub(crate) generated: Vec<(Autogen, AutogenConfiguration)>,
}

/// A controller of Pods.
struct Controller {
    group: &'static str,
    version: &'static str,
    resource: &'static str,
    kind: &'static str,
    autogen: Autogen,
}

/// In the order in which status shows them.
const CONTROLLERS: &[Controller] = &[
    Controller::new("apps", "daemonsets", "DaemonSet", Autogen::Defaults),
    Controller::new("apps", "deployments", "Deployment", Autogen::Defaults),
    Controller::new("apps", "replicasets", "ReplicaSet", Autogen::Defaults),
    Controller::new("apps", "statefulsets", "StatefulSet", Autogen::Defaults),
    Controller::new("batch", "cronjobs", "CronJob", Autogen::CronJobs),
    Controller::new("batch", "jobs", "Job", Autogen::Defaults),
];

const PATH: &str = "spec.autogen.podControllers.controllers";

/// What is to be generated from a policy; what it asks for and this version does not generate is
/// added to `errors`.
pub(crate) fn generate(spec: &ValidatingPolicySpec, errors: &mut Vec<CompileError>) -> Generated {
    refuse_admission_policy(spec.autogen.as_ref(), errors);
    // Where nothing is generated, it does not matter what for.
    let Some(rule) = spec.match_constraints.as_ref().and_then(rule_for_pods) else {
        return Generated::default();
    };
    let asked = controllers(spec.autogen.as_ref(), errors);
    let mut groups = BTreeMap::<Autogen, Vec<&Controller>>::new();
    for controller in CONTROLLERS {
        if asked.as_ref().is_none_or(|asked| asked.contains(controller.resource)) {
            groups.entry(controller.autogen).or_default().push(controller);
        }
    }
    let selector = spec.match_constraints.as_ref().and_then(|it| it.namespace_selector.as_ref());
    let generate = |(autogen, controllers): (Autogen, Vec<&Controller>)| {
        let constraints = constraints(&controllers, &rule.operations, selector);
        let spec = ValidatingPolicySpec { match_constraints: Some(constraints), ..spec.clone() };
        let spec = rewritten(&spec, autogen)?;
        let targets = controllers.iter().map(|controller| controller.target()).collect();
        Some((autogen, AutogenConfiguration { targets, spec }))
    };
    Generated { generated: groups.into_iter().filter_map(generate).collect() }
}

/// A ValidatingAdmissionPolicy in the place of a policy is not generated.
fn refuse_admission_policy(autogen: Option<&AutogenSpec>, errors: &mut Vec<CompileError>) {
    let asked = autogen.and_then(|autogen| autogen.validating_admission_policy.as_ref());
    if let Some(VapAutogen { enabled: Some(true) }) = asked {
        let path = "spec.autogen.validatingAdmissionPolicy.enabled";
        errors.push(CompileError::unsupported(path, "generating a ValidatingAdmissionPolicy"));
    }
}

/// The controllers that the policy names; none if it leaves that to us. A name with a capital letter,
/// as in `Deployment`, is that of no resource, and nothing is generated for it, as with Kyverno.
fn controllers<'a>(
    autogen: Option<&'a AutogenSpec>,
    errors: &mut Vec<CompileError>,
) -> Option<BTreeSet<&'a str>> {
    let PodControllersAutogen { controllers } = autogen?.pod_controllers.as_ref()?;
    let asked: BTreeSet<_> = controllers.as_ref()?.iter().map(String::as_str).collect();
    let is_known = |name: &str| CONTROLLERS.iter().any(|controller| controller.resource == name);
    let is_resource = |name: &str| !name.chars().any(char::is_uppercase);
    for name in asked.iter().filter(|name| !is_known(name) && is_resource(name)) {
        errors.push(CompileError::unsupported(PATH, &format!("generating rules for {name}")));
    }
    Some(asked)
}

/// The policy's one rule, if it is about Pods and nothing but a namespace narrows it down.
fn rule_for_pods(constraints: &MatchResources) -> Option<&NamedRuleWithOperations> {
    let selects = |selector: &LabelSelector| {
        selector.match_labels.as_ref().is_some_and(|labels| !labels.is_empty())
            || selector.match_expressions.as_ref().is_some_and(|all| !all.is_empty())
    };
    let [rule] = constraints.resource_rules.as_slice() else {
        return None;
    };
    let is_for_pods = constraints.exclude_resource_rules.is_empty()
        && !constraints.object_selector.as_ref().is_some_and(selects)
        && rule.resource_names.is_empty()
        && rule.api_groups == [""]
        && rule.api_versions == ["v1"]
        && rule.resources == ["pods"];
    is_for_pods.then_some(rule)
}

/// One rule for each version of a group.
fn constraints(
    controllers: &[&Controller],
    operations: &[OperationType],
    namespace_selector: Option<&LabelSelector>,
) -> MatchResources {
    let mut resources = BTreeMap::<_, Vec<String>>::new();
    for controller in controllers {
        let of_version = resources.entry((controller.group, controller.version)).or_default();
        of_version.push(controller.resource.to_owned());
    }
    let rule =
        |((group, version), resources): ((&str, &str), Vec<String>)| NamedRuleWithOperations {
            api_groups: vec![group.to_owned()],
            api_versions: vec![version.to_owned()],
            operations: operations.to_vec(),
            resources,
            ..NamedRuleWithOperations::default()
        };
    MatchResources {
        resource_rules: resources.into_iter().map(rule).collect(),
        namespace_selector: namespace_selector.cloned(),
        ..MatchResources::default()
    }
}

/// The spec with everything in it rewritten that names a part of a Pod, messages included. None would
/// mean that a name of an enum changed, which has no part of a Pod in it.
fn rewritten(spec: &ValidatingPolicySpec, autogen: Autogen) -> Option<ValidatingPolicySpec> {
    let mut spec = serde_json::to_value(spec).ok()?;
    rewrite_strings(&mut spec, autogen);
    serde_json::from_value(spec).ok()
}

/// The depth is that of a spec, which is fixed.
fn rewrite_strings(value: &mut Value, autogen: Autogen) {
    match value {
        Value::String(text) => *text = rewrite::rewrite(text, autogen),
        Value::Array(values) => values.iter_mut().for_each(|it| rewrite_strings(it, autogen)),
        Value::Object(fields) => fields.values_mut().for_each(|it| rewrite_strings(it, autogen)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

// === impl Controller ===

impl Controller {
    const fn new(
        group: &'static str,
        resource: &'static str,
        kind: &'static str,
        autogen: Autogen,
    ) -> Self {
        Self { group, version: "v1", resource, kind, autogen }
    }

    fn target(&self) -> AutogenTarget {
        AutogenTarget {
            group: self.group.to_owned(),
            version: self.version.to_owned(),
            resource: self.resource.to_owned(),
            kind: self.kind.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
