//! Evaluation: a request and a set of policies in, facts out.

use std::time::{Duration, Instant};

use crate::cel::{Bindings, Inputs, NamespaceObject, Scope};
use crate::policy::{CompiledPolicy, StatusReason, Validation};
use crate::request::Request;
use crate::set::PolicySet;

/// A message longer than this is not a message; the fallback is used.
const MAX_MESSAGE: usize = 5 << 10;

/// What came out of the policies that are about a request, in the order of their names.
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
    /// What came out.
    pub result: PolicyResult,
    /// When it began.
    pub started: Instant,
    /// How long it took.
    pub elapsed: Duration,
}

/// What a policy says about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyResult {
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
    /// The policy could not be evaluated.
    Error {
        /// What could not, and why.
        message: String,
        /// The position of the validation, if it was one.
        validation: Option<usize>,
    },
    /// A match condition is false.
    Skip,
}

/// Evaluates the policies that are about a request. Where there are none, nothing is allocated and
/// the clock is not read.
pub fn evaluate<'p>(
    policies: &'p PolicySet,
    request: &Request<'_>,
    clock: &dyn Fn() -> Instant,
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
        let result = match policy.matcher.matches(request) {
            Ok(false) => return None,
            Ok(true) => None,
            Err(error) => {
                Some(PolicyResult::Error { message: error.to_string(), validation: None })
            }
        };
        let started = clock();
        let result = result.unwrap_or_else(|| judge(policy, &inputs));
        let elapsed = clock().saturating_duration_since(started);
        Some(PolicyOutcome { policy, result, started, elapsed })
    };
    Evaluation { outcomes: policies.about(request.resource).filter_map(outcome).collect() }
}

fn judge(policy: &CompiledPolicy, inputs: &Inputs<'_>) -> PolicyResult {
    let bindings = Bindings::new(inputs, &policy.program);
    let scope = Scope::new(&bindings);
    match meets_conditions(policy, &scope) {
        Err(message) => {
            return PolicyResult::Error { message, validation: None };
        }
        Ok(false) => return PolicyResult::Skip,
        Ok(true) => {}
    }
    for (index, validation) in policy.validations.iter().enumerate() {
        match scope.truth(&validation.expression) {
            Ok(true) => {}
            Ok(false) => {
                return PolicyResult::Fail {
                    message: message(validation, &scope),
                    validation: index,
                    reason: validation.reason,
                };
            }
            Err(error) => {
                return PolicyResult::Error {
                    message: format!("spec.validations[{index}].expression: {error}"),
                    validation: Some(index),
                };
            }
        }
    }
    PolicyResult::Pass
}

/// One false condition decides, whatever the others say; otherwise the first error does.
fn meets_conditions(policy: &CompiledPolicy, scope: &Scope<'_, '_>) -> Result<bool, String> {
    let mut first_error = None;
    for condition in &policy.conditions {
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

// === impl PolicyResult ===

impl PolicyResult {
    /// The result as policy reports and metrics name it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail { .. } => "fail",
            Self::Error { .. } => "error",
            Self::Skip => "skip",
        }
    }
}
