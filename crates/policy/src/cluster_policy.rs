//! ClusterPolicy and Policy: rules in CEL, and what is generated from them.
//!
//! Enter at [`compile_cluster_policy`]. Each rule becomes a [`Rule`] of its own, whose matcher are the
//! [`Filters`] of `match` and `exclude`. Rules of other kinds are refused by name: a policy of which a
//! part would not be applied is not applied at all.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use pharos_api::policy::cluster_policy::{
    CelRule, ClusterPolicy, ClusterPolicySpec, ClusterPolicyWebhook, Policy, PolicyRule,
    ValidateRule,
};
use pharos_api::policy::{FailurePolicy, MatchPolicy};

use crate::cel::{Input, Sight};
use crate::compile::{Compilation, RuleCompilation};
use crate::error::CompileErrors;
use crate::kind::{PolicyKey, PolicyKind};
use crate::matching::Matcher;
use crate::policy::{CompiledPolicy, Origin};
use crate::rule::{OnError, Registration, Rule, RuleSource};

pub(crate) use action::ActionOverride;
pub(crate) use filter::{Filters, Unknown};

mod action;
mod autogen;
mod filter;
mod kind;
mod labels;
mod matching;
mod unsupported;
mod user;

/// Where a rule stands, and what it may be about.
struct Place {
    /// As in `rules[2]`, under `spec`.
    path: String,
    source: RuleSource,
    /// The kinds that a generated rule is about.
    only: Vec<&'static str>,
}

/// Compiles a policy for the whole cluster, or says everything that is wrong with it.
pub fn compile_cluster_policy(policy: &ClusterPolicy) -> Result<CompiledPolicy, CompileErrors> {
    compile(PolicyKind::ClusterPolicy, &policy.metadata, &policy.spec)
}

/// Compiles a policy for one namespace, or says everything that is wrong with it.
pub fn compile_policy(policy: &Policy) -> Result<CompiledPolicy, CompileErrors> {
    compile(PolicyKind::Policy, &policy.metadata, &policy.spec)
}

/// The rules that are generated from those of a ClusterPolicy or a Policy, as its status shows them.
pub fn generated_rules(metadata: &ObjectMeta, spec: &ClusterPolicySpec) -> Vec<PolicyRule> {
    let generated = autogen::generate(spec, autogen::annotation(metadata));
    generated.into_iter().map(|it| it.rule).collect()
}

fn compile(
    kind: PolicyKind,
    metadata: &ObjectMeta,
    spec: &ClusterPolicySpec,
) -> Result<CompiledPolicy, CompileErrors> {
    // All fields by name, so that a new one cannot be overlooked.
    let ClusterPolicySpec {
        rules,
        apply_rules,
        failure_policy,
        validation_failure_action,
        validation_failure_action_overrides: _,
        emit_warning,
        admission,
        background,
        // Of no effect, or about rules that are refused.
        schema_validation: _,
        webhook_timeout_seconds,
        mutate_existing_on_policy_update: _,
        generate_existing_on_policy_update: _,
        generate_existing: _,
        use_server_side_apply: _,
        webhook_configuration,
    } = spec;
    let ClusterPolicyWebhook { failure_policy: of_webhook, timeout_seconds, match_conditions } =
        webhook_configuration.clone().unwrap_or_default();
    let mut compilation = Compilation::default();
    let key = key(&mut compilation, kind, metadata);
    let annotation = autogen::annotation(metadata);
    if annotation == Some("all") {
        let path = "metadata.annotations[pod-policies.kyverno.io/autogen-controllers]";
        compilation.invalid(path, "must be `none` or kinds; without it rules are for all");
    }
    names(&mut compilation, rules);
    let timeout = compilation.timeout(timeout_seconds.or(*webhook_timeout_seconds));
    let compiled = all_rules(&mut compilation, spec, key.namespace.as_ref(), annotation);
    compilation.finish(CompiledPolicy {
        key,
        failure_policy: of_webhook.or(*failure_policy).unwrap_or(FailurePolicy::Fail),
        origins: [(Origin::Admission, admission), (Origin::BackgroundScan, background)]
            .into_iter()
            .filter(|(_, enabled)| enabled.unwrap_or(true))
            .map(|(origin, _)| origin)
            .collect(),
        timeout,
        match_policy: MatchPolicy::Equivalent,
        match_conditions,
        actions: action::actions(
            validation_failure_action.unwrap_or_default(),
            *emit_warning == Some(true),
        ),
        apply_rules: apply_rules.unwrap_or_default(),
        rules: compiled,
        autogen: Default::default(),
    })
}

fn key(compilation: &mut Compilation, kind: PolicyKind, metadata: &ObjectMeta) -> PolicyKey {
    let namespace = metadata.namespace.as_deref().filter(|_| kind.is_namespaced());
    if kind.is_namespaced() && namespace.is_none_or(str::is_empty) {
        compilation.invalid("metadata.namespace", "a policy of this kind must be in a namespace");
    }
    let name = compilation.name(metadata.name.as_deref()).into();
    PolicyKey { kind, namespace: namespace.map(Into::into), name }
}

fn names(compilation: &mut Compilation, rules: &[PolicyRule]) {
    if rules.is_empty() {
        compilation.invalid("spec.rules", "at least one rule is needed");
    }
    let mut names = BTreeSet::new();
    for (index, rule) in rules.iter().enumerate() {
        let path = format!("spec.rules[{index}].name");
        if rule.name.is_empty() {
            compilation.invalid(path, "must not be empty");
        } else if !names.insert(&rule.name) {
            compilation.invalid(path, "there is another rule of that name");
        }
    }
}

/// What is wrong with a rule is as wrong with what is generated from it, and is said once.
fn all_rules(
    compilation: &mut Compilation,
    spec: &ClusterPolicySpec,
    namespace: Option<&Arc<str>>,
    annotation: Option<&str>,
) -> Vec<Rule> {
    let mut compiled = Vec::new();
    for (index, written) in spec.rules.iter().enumerate() {
        let path = format!("rules[{index}]");
        let place = Place { path, source: RuleSource::Written, only: Vec::new() };
        compiled.extend(rule(compilation, spec, written, namespace, place));
    }
    if !compilation.errors().is_empty() {
        return compiled;
    }
    for generated in autogen::generate(spec, annotation) {
        let autogen::Generated { rule: of, autogen, from, kinds } = generated;
        let path = format!("rules[{from}]");
        let place = Place { path, source: RuleSource::Generated(autogen), only: kinds };
        compiled.extend(rule(compilation, spec, &of, namespace, place));
    }
    compiled
}

/// One rule; none if it has problems, which are added to the others.
fn rule(
    compilation: &mut Compilation,
    spec: &ClusterPolicySpec,
    rule: &PolicyRule,
    namespace: Option<&Arc<str>>,
    place: Place,
) -> Option<Rule> {
    let Place { path, source, only } = place;
    for (field, what) in unsupported::of_rule(rule) {
        compilation.unsupported(format!("spec.{path}.{field}"), what);
    }
    let filters = matching::compile(
        &rule.matches,
        rule.exclude.as_ref(),
        namespace.cloned(),
        only,
        &format!("spec.{path}"),
        compilation.errors(),
    );
    let Some((validate, cel)) = in_cel(rule) else {
        if unsupported::of_rule(rule).next().is_none() {
            compilation.invalid(format!("spec.{path}.validate.cel"), "a rule must have one");
        }
        return None;
    };
    let mut body = RuleCompilation::new("spec", Input::ADMISSION, Sight::Nothing);
    if let Some(webhook) = &spec.webhook_configuration {
        body.conditions(&webhook.match_conditions, "webhookConfiguration.matchConditions");
    }
    body.conditions(&rule.cel_preconditions, &format!("{path}.celPreconditions"));
    let field = format!("{path}.validate.cel");
    body.variables(&cel.variables, &format!("{field}.variables"));
    let mut expressions = cel.expressions.clone();
    for expression in &mut expressions {
        expression.message = expression
            .message
            .take()
            .filter(|it| !it.is_empty())
            .or_else(|| validate.message.clone());
    }
    body.validations(&expressions, &format!("{field}.expressions"));
    body.audit_annotations(&cel.audit_annotations, &format!("{field}.auditAnnotations"));
    let body = body.finish(compilation.errors());
    if cel.expressions.is_empty() && cel.audit_annotations.is_empty() {
        compilation.invalid(format!("spec.{field}.expressions"), "at least one is needed");
    }
    let (actions, overrides) =
        action::compile(spec, validate, &format!("spec.{path}"), compilation.errors());
    Some(Rule {
        name: rule.name.as_str().into(),
        source,
        actions,
        overrides,
        failure_policy: FailurePolicy::Fail,
        on_error: OnError::Fail,
        registration: Registration::Kinds(filters.kinds()),
        matcher: Matcher::Filters(filters),
        report_properties: rule.report_properties.clone(),
        body: body?,
    })
}

fn in_cel(rule: &PolicyRule) -> Option<(&ValidateRule, &CelRule)> {
    let validate = rule.validate.as_ref()?;
    Some((validate, validate.cel.as_ref()?))
}

#[cfg(test)]
mod tests;
