//! What exceptions change about a rule.

use std::sync::Arc;

use pharos_api::policy::{FailurePolicy, ReportResult};

use super::judge::{Conditions, Judge, conditions};
use crate::cel::{Bindings, Scope};
use crate::exception::{self, CompiledException};

/// What follows from the exceptions that apply to a request.
pub(super) enum Exemption<'p> {
    /// The rule is not applied.
    Exempt {
        /// All that apply; at least one.
        exceptions: Vec<&'p CompiledException>,
        /// What is reported in its place.
        report: ReportResult,
    },
    /// It is applied.
    Allowed,
}

/// Finds the exceptions that apply. One that cannot be evaluated is an error to a policy that fails
/// closed, unless another one has exempted the request before, and does not apply to one that fails
/// open.
pub(super) fn exempt<'p>(
    exceptions: &'p [Arc<CompiledException>],
    judge: &Judge<'_, '_>,
    failure_policy: FailurePolicy,
) -> Result<Exemption<'p>, String> {
    let mut applying = Vec::new();
    let mut is_exempt = false;
    for exception in exceptions {
        if exception.expires_at().is_some() && exception.has_expired(judge.clock.now()) {
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
    Ok(if is_exempt {
        let report = report(&applying);
        Exemption::Exempt { exceptions: applying, report }
    } else {
        Exemption::Allowed
    })
}

fn applies(exception: &CompiledException, judge: &Judge<'_, '_>) -> Conditions {
    let bindings = Bindings::new(judge.inputs, &exception.conditions.program);
    conditions(&exception.conditions.conditions, &Scope::new(&bindings))
}

/// What the first of the highest priority says; priorities below zero count as zero.
fn report(applying: &[&CompiledException]) -> ReportResult {
    let priority = |exception: &&&CompiledException| exception.priority.max(0);
    // Of equal ones, `max_by_key` takes the last.
    let decisive = applying.iter().rev().max_by_key(priority);
    decisive.map(|exception| exception.report_result).unwrap_or_default()
}
