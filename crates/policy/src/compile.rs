//! From policies to [`CompiledPolicy`], with every problem at once.
//!
//! Enter at [`compile_validating_policy`]. [`Compilation`] collects problems; a [`RuleCompilation`]
//! compiles the expressions of one rule, which share variables, and is what every kind of policy
//! makes its rules with.

use std::collections::BTreeMap;
use std::mem;
use std::time::Duration;

use pharos_api::policy::cluster_policy::ApplyRules;
use pharos_api::policy::{
    AutogenStatus, Evaluation, EvaluationMode, FailurePolicy, NamespacedValidatingPolicy,
    PolicyException, Toggle, ValidatingPolicy, ValidatingPolicySpec, ValidationAction,
};

use crate::actions::Actions;
use crate::autogen;
use crate::cel::{Problem, Reason, Sight};
use crate::error::{CompileError, CompileErrors};
use crate::exception::CompiledException;
use crate::kind::{PolicyKey, PolicyKind};
use crate::lookups::Lookups;
use crate::matching::Matcher;
use crate::policy::{CompiledPolicy, Origin};
use crate::rule::{OnError, Registration, Rule, RuleSource};

pub(crate) use rule::{INPUTS, RuleCompilation};

mod exception;
mod rule;

/// Problems found so far.
#[derive(Default)]
pub(crate) struct Compilation {
    errors: Vec<CompileError>,
}

/// Compiles a policy for the whole cluster, or says everything that is wrong with it.
pub fn compile_validating_policy(
    policy: &ValidatingPolicy,
    lookups: &Lookups,
) -> Result<CompiledPolicy, CompileErrors> {
    let key = |name: &str| PolicyKey {
        kind: PolicyKind::ValidatingPolicy,
        namespace: None,
        name: name.into(),
    };
    compile(policy.metadata.name.as_deref(), key, &policy.spec, &Sight::of_cluster(lookups))
}

/// Compiles a policy for one namespace, or says everything that is wrong with it. It looks up what is
/// in that namespace.
pub fn compile_namespaced_validating_policy(
    policy: &NamespacedValidatingPolicy,
    lookups: &Lookups,
) -> Result<CompiledPolicy, CompileErrors> {
    let namespace = policy.metadata.namespace.as_deref().unwrap_or_default();
    let key = |name: &str| PolicyKey {
        kind: PolicyKind::NamespacedValidatingPolicy,
        namespace: Some(namespace.into()),
        name: name.into(),
    };
    let sight = Sight::of_namespace(lookups, namespace);
    let compiled = compile(policy.metadata.name.as_deref(), key, &policy.spec, &sight);
    if namespace.is_empty() {
        let mut compilation = Compilation::default();
        compilation.invalid("metadata.namespace", "a policy of this kind must be in a namespace");
        return compilation.finish(()).and(compiled);
    }
    compiled
}

/// Compiles an exception, or says everything that is wrong with it.
pub fn compile_exception(exception: &PolicyException) -> Result<CompiledException, CompileErrors> {
    exception::compile(exception)
}

fn compile(
    name: Option<&str>,
    key: impl FnOnce(&str) -> PolicyKey,
    spec: &ValidatingPolicySpec,
    sight: &Sight,
) -> Result<CompiledPolicy, CompileErrors> {
    let mut compilation = Compilation::default();
    let origins = compilation.origins(spec.evaluation.as_ref());
    // What is right or wrong in another mode is not known here.
    if let Some(errors) = CompileErrors::new(mem::take(&mut compilation.errors)) {
        return Err(errors);
    }
    let name = compilation.name(name);
    let written = compilation.validating_rule(spec, sight, "", RuleSource::Written, "spec");
    let autogen = autogen::generate(spec, &mut compilation.errors);
    let asked = spec.webhook_configuration.as_ref().and_then(|webhook| webhook.timeout_seconds);
    let timeout = compilation.timeout(asked);
    let mut rules: Vec<_> = written.into_iter().collect();
    // What is wrong with the policy is as wrong with what is generated from it.
    if compilation.errors.is_empty() {
        for (of, generated) in &autogen.generated {
            let (name, source) = (of.rule_name(), RuleSource::Generated(*of));
            let path = format!("status.autogen.configs[{}].spec", of.as_str());
            rules.extend(compilation.validating_rule(&generated.spec, sight, name, source, &path));
        }
    }
    let configs = autogen.generated.into_iter().map(|(of, it)| (of.as_str().to_owned(), it));
    compilation.finish(CompiledPolicy {
        key: key(name),
        failure_policy: failure_policy(spec),
        origins,
        timeout,
        match_policy: spec
            .match_constraints
            .as_ref()
            .and_then(|constraints| constraints.match_policy)
            .unwrap_or_default(),
        match_conditions: spec.match_conditions.clone(),
        actions: actions(&spec.validation_actions),
        apply_rules: ApplyRules::All,
        rules,
        autogen: AutogenStatus { configs: configs.collect() },
    })
}

/// A policy that says nothing fails closed, as with Kyverno.
fn failure_policy(spec: &ValidatingPolicySpec) -> FailurePolicy {
    spec.failure_policy.unwrap_or(FailurePolicy::Fail)
}

fn actions(actions: &[ValidationAction]) -> Actions {
    match actions {
        [] => Actions::from_iter([ValidationAction::Deny]),
        actions => actions.iter().copied().collect(),
    }
}

// === impl Compilation ===

impl Compilation {
    /// What was compiled, if nothing is wrong.
    pub(crate) fn finish<T>(self, compiled: T) -> Result<T, CompileErrors> {
        CompileErrors::new(self.errors).map_or(Ok(compiled), Err)
    }

    pub(crate) fn name<'a>(&mut self, name: Option<&'a str>) -> &'a str {
        if name.is_none_or(str::is_empty) {
            self.invalid("metadata.name", "a policy must have a name");
        }
        name.unwrap_or_default()
    }

    /// The rule that a ValidatingPolicy's spec is; none if it has problems, which are added.
    fn validating_rule(
        &mut self,
        spec: &ValidatingPolicySpec,
        sight: &Sight,
        name: &str,
        source: RuleSource,
        path: &str,
    ) -> Option<Rule> {
        // All fields by name, so that a new one cannot be overlooked.
        let ValidatingPolicySpec {
            match_constraints,
            match_conditions,
            variables,
            validations,
            audit_annotations,
            validation_actions,
            failure_policy: _,
            evaluation: _,
            autogen: _,
            webhook_configuration: _,
        } = spec;
        let constraints = match_constraints.clone().unwrap_or_default();
        let matcher = Matcher::resources(&constraints, path, &mut self.errors);
        let mut rule = RuleCompilation::new(path, INPUTS, sight.clone());
        rule.conditions(match_conditions, "matchConditions");
        rule.variables(variables, "variables");
        rule.validations(validations, "validations");
        rule.audit_annotations(audit_annotations, "auditAnnotations");
        let body = rule.finish(&mut self.errors);
        if validations.is_empty() && audit_annotations.is_empty() {
            self.invalid(format!("{path}.validations"), "at least one validation is needed");
        }
        Some(Rule {
            name: name.into(),
            source,
            actions: actions(validation_actions),
            overrides: Vec::new(),
            failure_policy: failure_policy(spec),
            on_error: OnError::Error,
            matcher,
            registration: Registration::Resources(constraints.resource_rules),
            report_properties: BTreeMap::new(),
            body: body?,
        })
    }

    fn origins(&mut self, evaluation: Option<&Evaluation>) -> Vec<Origin> {
        let Evaluation { mode, admission, background } = evaluation.cloned().unwrap_or_default();
        if let Some(mode @ (EvaluationMode::Json | EvaluationMode::Http | EvaluationMode::Envoy)) =
            mode
        {
            self.unsupported("spec.evaluation.mode", &format!("mode {}", mode.as_str()));
        }
        [(Origin::Admission, admission), (Origin::BackgroundScan, background)]
            .into_iter()
            .filter(|(_, toggle)| toggle.is_none_or(|Toggle { enabled }| enabled))
            .map(|(origin, _)| origin)
            .collect()
    }

    /// What is asked for, in seconds, as the API server takes it.
    pub(crate) fn timeout(&mut self, seconds: Option<i32>) -> Option<Duration> {
        match u64::try_from(seconds?) {
            Ok(seconds @ 1..=30) => Some(Duration::from_secs(seconds)),
            _ => {
                self.invalid("spec.webhookConfiguration.timeoutSeconds", "must be from 1 to 30");
                None
            }
        }
    }

    pub(crate) fn errors(&mut self) -> &mut Vec<CompileError> {
        &mut self.errors
    }

    pub(crate) fn invalid(&mut self, path: impl Into<String>, message: &str) {
        self.errors.push(CompileError::field(path, Reason::Invalid, message));
    }

    pub(crate) fn unsupported(&mut self, path: impl Into<String>, what: &str) {
        self.errors.push(CompileError::unsupported(path, what));
    }
}

/// Adds the problems of an expression to the others.
fn keep<T>(
    errors: &mut Vec<CompileError>,
    path: &str,
    source: &str,
    compiled: Result<T, Vec<Problem>>,
) -> Option<T> {
    compiled
        .map_err(|problems| {
            let located = |problem| CompileError::expression(path, source, problem);
            errors.extend(problems.into_iter().map(located));
        })
        .ok()
}
