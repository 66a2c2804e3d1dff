//! What exceptions change about a rule.

use std::sync::Arc;

use pharos_api::policy::{FailurePolicy, ReportResult};

use super::input::allowances;
use super::judge::{Conditions, Judge, conditions};
use crate::cel::{Bindings, Scope};
use crate::exception::{self, CompiledException};
use crate::json::Json;

/// What follows from the exceptions that apply to a request.
pub(super) enum Exemption<'p> {
    /// The rule is not applied.
    Exempt {
        /// All that apply; at least one.
        exceptions: Vec<&'p CompiledException>,
        /// What is reported in its place.
        report: ReportResult,
    },
    /// It is applied, with this as `exceptions`.
    Allows(Json<'p>),
    /// It is applied.
    None,
}

/// Finds the exceptions that apply. One that cannot be evaluated is an error to a policy that fails
/// closed, unless another one has exempted the request before, and does not apply to one that fails
/// open.
pub(super) fn exempt<'p>(
    exceptions: &'p [Arc<CompiledException>],
    judge: &Judge<'_>,
    failure_policy: FailurePolicy,
) -> Result<Exemption<'p>, String> {
    let mut applying = Vec::new();
    let mut is_exempt = false;
    for exception in exceptions {
        if exception.expires_at().is_some() && exception.has_expired((judge.now)()) {
            continue;
        }
        match applies(exception, judge) {
            Conditions::Met => {
                is_exempt |= exception.scope == exception::Scope::Everything;
                applying.push(exception.as_ref());
            }
            Conditions::Unmet => {}
            Conditions::Unknown(error) if failure_policy == FailurePolicy::Fail && !is_exempt => {
                let (namespace, name) = (exception.namespace(), exception.name());
                return Err(format!("PolicyException {namespace}/{name}: {error}"));
            }
            Conditions::Unknown(_) => {}
        }
    }
    Ok(match applying.as_slice() {
        [] => Exemption::None,
        _ if is_exempt => Exemption::Exempt { report: report(&applying), exceptions: applying },
        applying => Exemption::Allows(allowed(applying)),
    })
}

/// What exceptions allow together.
fn allowed<'p>(applying: &[&'p CompiledException]) -> Json<'p> {
    let (mut all_images, mut all_values) = (Vec::new(), Vec::new());
    for exception in applying {
        if let exception::Scope::Allows { images, values } = &exception.scope {
            all_images.extend(images.iter().map(String::as_str));
            all_values.extend(values.iter().map(String::as_str));
        }
    }
    allowances(&all_images, &all_values)
}

fn applies(exception: &CompiledException, judge: &Judge<'_>) -> Conditions {
    let bindings = Bindings::new(judge.inputs(), &exception.conditions.program);
    conditions(
        &exception.conditions.conditions,
        &Scope::new(&bindings, &judge.allowances.of_namespaces),
    )
}

/// What the first of the highest priority says; priorities below zero count as zero.
fn report(applying: &[&CompiledException]) -> ReportResult {
    let priority = |exception: &&&CompiledException| exception.priority.max(0);
    // Of equal ones, `max_by_key` takes the last.
    let decisive = applying.iter().rev().max_by_key(priority);
    decisive.map(|exception| exception.report_result).unwrap_or_default()
}
