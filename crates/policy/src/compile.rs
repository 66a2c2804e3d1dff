//! From a ValidatingPolicy to a [`CompiledPolicy`], with every problem at once.

use std::collections::BTreeSet;
use std::time::Duration;

use pharos_api::policy::{
    Autogen, Evaluation, EvaluationMode, MatchCondition, MatchResources, PodControllersAutogen,
    Toggle, ValidatingPolicy, ValidatingPolicySpec, Validation as ValidationSpec, ValidationAction,
    VapAutogen, Variable, WebhookConfiguration,
};

use crate::actions::Actions;
use crate::cel::{Compiler, Expected, Expression, Problem, Reason, Variables};
use crate::error::{CompileError, CompileErrors};
use crate::kind::{PolicyKey, PolicyKind};
use crate::matching::Matcher;
use crate::policy::{CompiledPolicy, Origin, StatusReason};
use crate::rule::{Condition, Registration, Rule, RuleSource, Validation};

/// A compilation under way.
#[derive(Default)]
struct Compilation {
    compiler: Compiler,
    errors: Vec<CompileError>,
}

/// Compiles a policy, or says everything that is wrong with it.
pub fn compile_validating_policy(
    policy: &ValidatingPolicy,
) -> Result<CompiledPolicy, CompileErrors> {
    // All fields by name, so that a new one cannot be overlooked.
    let ValidatingPolicySpec {
        match_constraints,
        match_conditions,
        variables,
        validations,
        audit_annotations,
        validation_actions,
        failure_policy,
        evaluation,
        autogen,
        webhook_configuration,
    } = &policy.spec;
    let mut compilation = Compilation::default();
    let name = compilation.name(policy.metadata.name.as_deref());
    let constraints = match_constraints.clone().unwrap_or_default();
    let matcher = compilation.matcher(&constraints);
    let conditions = compilation.conditions(match_conditions);
    compilation.variables(variables);
    let validations = compilation.validations(validations);
    if !audit_annotations.is_empty() {
        compilation.unsupported("spec.auditAnnotations", "audit annotations");
    }
    let origins = compilation.origins(evaluation.as_ref());
    compilation.autogen(autogen.as_ref());
    let timeout = compilation.timeout(webhook_configuration.as_ref());

    let Compilation { compiler, errors } = compilation;
    match (CompileErrors::new(errors), compiler.finish()) {
        (None, Some(program)) => Ok(CompiledPolicy {
            key: PolicyKey {
                kind: PolicyKind::ValidatingPolicy,
                namespace: None,
                name: name.into(),
            },
            failure_policy: failure_policy.unwrap_or_default(),
            origins,
            timeout,
            match_conditions: match_conditions.clone(),
            actions: actions(validation_actions),
            rules: vec![Rule {
                name: "".into(),
                source: RuleSource::Written,
                actions: actions(validation_actions),
                matcher,
                registration: Registration::Resources(constraints.resource_rules),
                conditions,
                program,
                validations,
            }],
        }),
        (errors, _) => Err(errors.expect("a variable without a value has left its problems")),
    }
}

fn actions(actions: &[ValidationAction]) -> Actions {
    match actions {
        [] => Actions::from_iter([ValidationAction::Deny]),
        actions => actions.iter().copied().collect(),
    }
}

// === impl Compilation ===

impl Compilation {
    fn name(&mut self, name: Option<&str>) -> String {
        if name.is_none_or(str::is_empty) {
            self.invalid("metadata.name", "a policy must have a name");
        }
        name.unwrap_or_default().to_owned()
    }

    fn matcher(&mut self, constraints: &MatchResources) -> Matcher {
        Matcher::compile(constraints, &mut self.errors)
    }

    fn conditions(&mut self, conditions: &[MatchCondition]) -> Vec<Condition> {
        let compile = |(index, condition): (usize, &MatchCondition)| {
            let path = format!("spec.matchConditions[{index}].expression");
            let compiled =
                self.compiler.expression(&condition.expression, Variables::Hidden, Expected::Bool);
            let expression = self.keep(&path, &condition.expression, compiled)?;
            Some(Condition { name: condition.name.clone(), expression })
        };
        conditions.iter().enumerate().filter_map(compile).collect()
    }

    fn variables(&mut self, variables: &[Variable]) {
        let mut names = BTreeSet::new();
        for (index, Variable { name, expression }) in variables.iter().enumerate() {
            let path = format!("spec.variables[{index}]");
            if !is_identifier(name) {
                self.invalid(format!("{path}.name"), "must be a CEL identifier");
            }
            if !names.insert(name) {
                self.invalid(format!("{path}.name"), "there is another variable of that name");
            }
            let compiled = self.compiler.variable(name, expression);
            self.keep(&format!("{path}.expression"), expression, compiled);
        }
    }

    fn validations(&mut self, validations: &[ValidationSpec]) -> Vec<Validation> {
        if validations.is_empty() {
            self.invalid("spec.validations", "at least one validation is needed");
        }
        validations
            .iter()
            .enumerate()
            .filter_map(|(index, validation)| self.validation(index, validation))
            .collect()
    }

    fn validation(&mut self, index: usize, validation: &ValidationSpec) -> Option<Validation> {
        let ValidationSpec { expression, message, message_expression, reason } = validation;
        let path = format!("spec.validations[{index}]");
        let compiled = self.visible(&format!("{path}.expression"), expression, Expected::Bool);
        let message_expression = message_expression.as_ref().and_then(|source| {
            self.visible(&format!("{path}.messageExpression"), source, Expected::String)
        });
        let reason = match reason.as_deref().map(StatusReason::parse) {
            None => StatusReason::default(),
            Some(Some(reason)) => reason,
            Some(None) => {
                let names = "must be Unauthorized, Forbidden, Invalid or RequestEntityTooLarge";
                self.invalid(format!("{path}.reason"), names);
                return None;
            }
        };
        Some(Validation {
            expression: compiled?,
            message: message.clone().filter(|message| !message.trim().is_empty()),
            message_expression,
            reason,
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

    fn autogen(&mut self, autogen: Option<&Autogen>) {
        let Some(Autogen { pod_controllers, validating_admission_policy }) = autogen else {
            return;
        };
        let controllers = pod_controllers
            .as_ref()
            .and_then(|PodControllersAutogen { controllers }| controllers.as_ref());
        if controllers.is_some_and(|controllers| !controllers.is_empty()) {
            let what = "generating rules for the controllers of Pods";
            self.unsupported("spec.autogen.podControllers.controllers", what);
        }
        if let Some(VapAutogen { enabled: Some(true) }) = validating_admission_policy {
            let what = "generating a ValidatingAdmissionPolicy";
            self.unsupported("spec.autogen.validatingAdmissionPolicy.enabled", what);
        }
    }

    fn timeout(&mut self, webhook: Option<&WebhookConfiguration>) -> Option<Duration> {
        let WebhookConfiguration { timeout_seconds } = webhook?;
        match u64::try_from((*timeout_seconds)?) {
            Ok(seconds @ 1..=30) => Some(Duration::from_secs(seconds)),
            _ => {
                self.invalid("spec.webhookConfiguration.timeoutSeconds", "must be from 1 to 30");
                None
            }
        }
    }

    fn visible(&mut self, path: &str, source: &str, expected: Expected) -> Option<Expression> {
        let compiled = self.compiler.expression(source, Variables::Visible, expected);
        self.keep(path, source, compiled)
    }

    /// The value, or the problems added to the others.
    fn keep<T>(
        &mut self,
        path: &str,
        source: &str,
        compiled: Result<T, Vec<Problem>>,
    ) -> Option<T> {
        compiled
            .map_err(|problems| {
                let located = |problem| CompileError::expression(path, source, problem);
                self.errors.extend(problems.into_iter().map(located));
            })
            .ok()
    }

    fn invalid(&mut self, path: impl Into<String>, message: &str) {
        self.errors.push(CompileError::field(path, Reason::Invalid, message));
    }

    fn unsupported(&mut self, path: &str, what: &str) {
        let message = format!("{what} is not something that this version does");
        self.errors.push(CompileError::field(path, Reason::Unsupported, message));
    }
}

fn is_identifier(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|char| char == '_' || char.is_ascii_alphanumeric())
}
