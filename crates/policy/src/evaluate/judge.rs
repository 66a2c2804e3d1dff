//! What one rule says about a request.

use std::cell::OnceCell;
use std::sync::Arc;

use jiff::Timestamp;
use pharos_api::policy::{FailurePolicy, ReportResult};

use super::exempt::{Exemption, exempt};
use super::input::{Absent, inputs, inputs_with};
use super::{RuleResult, Skipped};
use crate::cel::{Allowance, Bindings, Inputs, Scope};
use crate::clock::Clock;
use crate::exception::CompiledException;
use crate::policy::{CompiledPolicy, StatusReason};
use crate::request::Request;
use crate::rule::{Annotation, Condition, Rule, Validation};

/// A message longer than this is not a message; the fallback is used.
const MAX_MESSAGE: usize = 5 << 10;
/// What is longer is cut off, as the API server does.
const MAX_ANNOTATION: usize = 10 << 10;

/// Judges a request by the rules that are about it.
pub(super) struct Judge<'j> {
    pub(super) request: &'j Request<'j>,
    pub(super) clock: &'j dyn Clock,
    pub(super) now: &'j dyn Fn() -> Timestamp,
    pub(super) allowances: &'j Allowances,
    absent: Absent,
    /// Made for the first rule.
    inputs: OnceCell<Inputs<'j>>,
}

/// What may be used for a request. Whoever may write policies or exceptions in a namespace cannot use
/// up what the cluster's policies need.
pub(super) struct Allowances {
    pub(super) of_the_cluster: Allowance,
    pub(super) of_namespaces: Allowance,
}

/// What came out of a rule.
pub(super) struct Judged<'p> {
    pub(super) result: RuleResult,
    pub(super) exceptions: Vec<&'p CompiledException>,
    pub(super) annotations: Vec<(&'p str, String)>,
    pub(super) steps: u64,
}

/// What became of conditions.
pub(super) enum Conditions {
    Met,
    Unmet,
    /// One cannot be evaluated, and none is false.
    Unknown(String),
}

// === impl Judge ===

impl<'j> Judge<'j> {
    pub(super) fn new(
        request: &'j Request<'j>,
        clock: &'j dyn Clock,
        now: &'j dyn Fn() -> Timestamp,
        allowances: &'j Allowances,
        absent: Absent,
    ) -> Self {
        Self { request, clock, now, allowances, absent, inputs: OnceCell::new() }
    }

    /// What expressions see that no exception is about.
    pub(super) fn inputs(&self) -> &Inputs<'j> {
        self.inputs.get_or_init(|| inputs(self.request, self.absent, self.now))
    }

    /// Exceptions come first: what is exempt is not looked at.
    pub(super) fn judge<'p>(
        &self,
        policy: &CompiledPolicy,
        rule: &'p Rule,
        exceptions: &'p [Arc<CompiledException>],
    ) -> Judged<'p> {
        match exempt(exceptions, self, rule.failure_policy) {
            Err(message) => RuleResult::Error { message, validation: None }.into(),
            Ok(Exemption::Exempt { exceptions, report }) => {
                let result = match report {
                    ReportResult::Skip => RuleResult::Skip { because: Skipped::Exception },
                    ReportResult::Pass => RuleResult::Pass,
                };
                Judged { exceptions, ..Judged::from(result) }
            }
            Ok(Exemption::None) => apply(rule, self.inputs(), self.allowances.of(policy)),
            Ok(Exemption::Allows(exceptions)) => {
                let inputs = inputs_with(self.request, self.absent, &exceptions, self.now);
                apply(rule, &inputs, self.allowances.of(policy))
            }
        }
    }
}

// === impl Allowances ===

impl Allowances {
    pub(super) fn new() -> Self {
        Self { of_the_cluster: Allowance::of_request(), of_namespaces: Allowance::of_request() }
    }

    fn of(&self, policy: &CompiledPolicy) -> &Allowance {
        match policy.namespace() {
            None => &self.of_the_cluster,
            Some(_) => &self.of_namespaces,
        }
    }
}

fn apply<'p>(rule: &'p Rule, inputs: &Inputs<'_>, allowance: &Allowance) -> Judged<'p> {
    let bindings = Bindings::new(inputs, &rule.body.program);
    let scope = Scope::new(&bindings, allowance);
    let judged = validated(rule, &scope);
    Judged { steps: scope.steps(), ..judged }
}

fn validated<'p>(rule: &'p Rule, scope: &Scope<'_, '_>) -> Judged<'p> {
    match conditions(&rule.body.conditions, scope) {
        Conditions::Met => {}
        Conditions::Unmet => {
            return RuleResult::Skip { because: Skipped::MatchCondition }.into();
        }
        Conditions::Unknown(message) => {
            return match rule.failure_policy {
                FailurePolicy::Ignore => RuleResult::Skip { because: Skipped::Unjudged },
                FailurePolicy::Fail => RuleResult::Error { message, validation: None },
            }
            .into();
        }
    }
    let result = validate(&rule.body.validations, scope);
    let validation = match result {
        RuleResult::Fail { validation, .. } => Some(validation),
        RuleResult::Pass => None,
        RuleResult::Error { .. } | RuleResult::Skip { .. } => return result.into(),
    };
    match annotations(&rule.body.annotations, scope) {
        Ok(annotations) => Judged { annotations, ..Judged::from(result) },
        Err(message) => RuleResult::Error { message, validation }.into(),
    }
}

/// One false condition decides, whatever the others say; otherwise the first error does.
pub(super) fn conditions(conditions: &[Condition], scope: &Scope<'_, '_>) -> Conditions {
    let mut met = Conditions::Met;
    for Condition { path, expression } in conditions {
        match scope.truth(expression) {
            Ok(true) => {}
            Ok(false) => return Conditions::Unmet,
            Err(error) if matches!(met, Conditions::Met) => {
                met = Conditions::Unknown(format!("{path}: {error}"));
            }
            Err(_) => {}
        }
    }
    met
}

fn validate(validations: &[Validation], scope: &Scope<'_, '_>) -> RuleResult {
    for (index, validation) in validations.iter().enumerate() {
        match scope.truth(&validation.expression) {
            Ok(true) => {}
            Ok(false) => {
                return RuleResult::Fail {
                    message: message(validation, scope),
                    validation: index,
                    reason: validation.reason,
                };
            }
            Err(error) => {
                return RuleResult::Error {
                    message: format!("{}: {error}", validation.path),
                    validation: Some(index),
                };
            }
        }
    }
    RuleResult::Pass
}

/// What the client is told: the message expression's value, if it gives a message, else the
/// message, else the expression that is false.
fn message(validation: &Validation, scope: &Scope<'_, '_>) -> String {
    let evaluated = validation
        .message_expression
        .as_ref()
        .and_then(|expression| scope.text(expression).ok())
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty() && !text.contains('\n') && text.len() <= MAX_MESSAGE);
    evaluated
        .or_else(|| validation.message.clone())
        .unwrap_or_else(|| format!("failed expression: {}", validation.expression.source().trim()))
}

/// Those that have a value.
fn annotations<'p>(
    annotations: &'p [Annotation],
    scope: &Scope<'_, '_>,
) -> Result<Vec<(&'p str, String)>, String> {
    let mut values = Vec::new();
    for Annotation { path, key, expression } in annotations {
        let value = scope.value(expression).map_err(|error| format!("{path}: {error}"))?;
        let mut value = value.unwrap_or_default().trim().to_owned();
        value.truncate(value.floor_char_boundary(MAX_ANNOTATION));
        if !value.is_empty() {
            values.push((key.as_str(), value));
        }
    }
    Ok(values)
}

// === impl Judged ===

impl Judged<'_> {
    /// What cannot be judged has failed. Where it was no validation that could not, the first is
    /// named.
    pub(super) fn without_error(self) -> Self {
        let result = match self.result {
            RuleResult::Error { message, validation } => RuleResult::Fail {
                message,
                validation: validation.unwrap_or_default(),
                reason: StatusReason::default(),
            },
            result => result,
        };
        Self { result, ..self }
    }
}

impl From<RuleResult> for Judged<'_> {
    fn from(result: RuleResult) -> Self {
        Self { result, exceptions: Vec::new(), annotations: Vec::new(), steps: 0 }
    }
}
