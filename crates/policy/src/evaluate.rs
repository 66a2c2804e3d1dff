//! Evaluation: a request and a set of policies in, facts out.

use std::time::{Duration, Instant};

use crate::actions::Actions;
use crate::cel::{Bindings, Inputs, NamespaceObject, Scope};
use crate::clock::Clock;
use crate::exception::CompiledException;
use crate::policy::{CompiledPolicy, StatusReason};
use crate::request::Request;
use crate::rule::{Rule, Validation};
use crate::set::PolicySet;

/// A message longer than this is not a message; the fallback is used.
const MAX_MESSAGE: usize = 5 << 10;

/// What came out of the policies that are about a request, in the order of their keys.
#[derive(Debug, Default)]
pub struct Evaluation<'p> {
    /// One for each of them.
    pub outcomes: Vec<PolicyOutcome<'p>>,
}

/// What came out of one policy.
#[derive(Debug)]
pub struct PolicyOutcome<'p> {
    /// The policy.
    pub policy: &'p CompiledPolicy,
    /// What came out of its rules that are about the request, in their order; at least one.
    pub rules: Vec<RuleOutcome<'p>>,
    /// When it began.
    pub started: Instant,
    /// How long it took.
    pub elapsed: Duration,
}

/// What came out of one rule.
#[derive(Debug)]
pub struct RuleOutcome<'p> {
    /// The rule.
    pub rule: &'p Rule,
    /// What came out.
    pub result: RuleResult,
    /// What follows when the result is a failure.
    pub actions: Actions,
    /// The exceptions that made the result what it is.
    pub exceptions: Vec<&'p CompiledException>,
    /// Key and value, in the order of the policy.
    pub audit_annotations: Vec<(&'p str, String)>,
    /// When it began.
    pub started: Instant,
    /// How long it took.
    pub elapsed: Duration,
    /// How many steps the evaluation of its expressions took.
    pub steps: u64,
}

/// What a rule says about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleResult {
    /// Every validation is true.
    Pass,
    /// A validation is false. Those after it are not evaluated.
    Fail {
        /// What to tell the client.
        message: String,
        /// The position of the validation.
        validation: usize,
        /// The reason to answer with.
        reason: StatusReason,
    },
    /// The rule could not be evaluated.
    Error {
        /// What could not, and why.
        message: String,
        /// The position of the validation, if it was one.
        validation: Option<usize>,
    },
    /// The rule was not applied.
    Skip {
        /// Why not.
        because: Skipped,
    },
}

/// Why a rule was not applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Skipped {
    /// A match condition is false.
    MatchCondition,
    /// Exceptions say so.
    Exception,
}

/// Evaluates the policies that are about a request. Where there are none, nothing is allocated and
/// the clock is not read.
pub fn evaluate<'p>(
    policies: &'p PolicySet,
    request: &Request<'_>,
    clock: &dyn Clock,
) -> Evaluation<'p> {
    let inputs = Inputs::new(
        request.object,
        request.old_object,
        request.raw,
        match (request.namespace, request.namespace_object) {
            // Its own namespace is what the request is about.
            _ if request.is_namespace() => NamespaceObject::None,
            (_, Some(namespace)) => NamespaceObject::Known(namespace),
            (Some(_), None) => NamespaceObject::Unknown,
            (None, None) => NamespaceObject::None,
        },
    );
    let outcome = |policy: &'p CompiledPolicy| {
        let rules: Vec<_> = policy
            .rules()
            .iter()
            .filter_map(|rule| outcome(rule, request, &inputs, clock))
            .collect();
        let (first, last) = (rules.first()?, rules.last()?);
        let started = first.started;
        let elapsed = last.started.saturating_duration_since(started) + last.elapsed;
        Some(PolicyOutcome { policy, rules, started, elapsed })
    };
    Evaluation { outcomes: policies.about(request.resource).filter_map(outcome).collect() }
}

fn outcome<'p>(
    rule: &'p Rule,
    request: &Request<'_>,
    inputs: &Inputs<'_>,
    clock: &dyn Clock,
) -> Option<RuleOutcome<'p>> {
    let unmatched = match rule.matcher.matches(request) {
        Ok(false) => return None,
        Ok(true) => None,
        Err(error) => Some(RuleResult::Error { message: error.to_string(), validation: None }),
    };
    let started = clock.instant();
    let result = unmatched.unwrap_or_else(|| judge(rule, inputs));
    Some(RuleOutcome {
        rule,
        result,
        actions: rule.actions_for(request),
        exceptions: Vec::new(),
        audit_annotations: Vec::new(),
        started,
        elapsed: clock.instant().saturating_duration_since(started),
        steps: 0,
    })
}

fn judge(rule: &Rule, inputs: &Inputs<'_>) -> RuleResult {
    let bindings = Bindings::new(inputs, &rule.program);
    let scope = Scope::new(&bindings);
    match meets_conditions(rule, &scope) {
        Err(message) => return RuleResult::Error { message, validation: None },
        Ok(false) => return RuleResult::Skip { because: Skipped::MatchCondition },
        Ok(true) => {}
    }
    for (index, validation) in rule.validations.iter().enumerate() {
        match scope.truth(&validation.expression) {
            Ok(true) => {}
            Ok(false) => {
                return RuleResult::Fail {
                    message: message(validation, &scope),
                    validation: index,
                    reason: validation.reason,
                };
            }
            Err(error) => {
                return RuleResult::Error {
                    message: format!("spec.validations[{index}].expression: {error}"),
                    validation: Some(index),
                };
            }
        }
    }
    RuleResult::Pass
}

/// One false condition decides, whatever the others say; otherwise the first error does.
fn meets_conditions(rule: &Rule, scope: &Scope<'_, '_>) -> Result<bool, String> {
    let mut first_error = None;
    for condition in &rule.conditions {
        match scope.truth(&condition.expression) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(error) => {
                first_error.get_or_insert_with(|| {
                    format!("spec.matchConditions[{}].expression: {error}", condition.name)
                });
            }
        }
    }
    first_error.map_or(Ok(true), Err)
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

// === impl RuleResult ===

impl RuleResult {
    /// The result as policy reports and metrics name it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail { .. } => "fail",
            Self::Error { .. } => "error",
            Self::Skip { .. } => "skip",
        }
    }
}
