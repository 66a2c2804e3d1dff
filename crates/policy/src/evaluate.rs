//! Evaluation: a request and a set of policies in, facts out.
//!
//! Enter at [`evaluate`]. [`judge`] is what one rule says, [`exempt`] what exceptions from it change.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pharos_api::policy::cluster_policy::ApplyRules;

use crate::actions::Actions;
use crate::clock::Clock;
use crate::exception::CompiledException;
use crate::kind::PolicyKind;
use crate::policy::{CompiledPolicy, StatusReason};
use crate::request::Request;
use crate::rule::{OnError, Rule};
use crate::set::PolicySet;

use input::Absent;
use judge::{Allowances, Judge};

mod exempt;
mod input;
mod judge;

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
    /// A match condition cannot be evaluated, and the policy passes what it cannot judge.
    Unjudged,
    /// Exceptions say so.
    Exception,
}

/// Evaluates the policies that are about a request. Where there are none, nothing is allocated and
/// the clock is not read. What all of them may use is bounded: a rule that comes when the others have
/// used it up is an error.
pub fn evaluate<'p>(
    policies: &'p PolicySet,
    request: &Request<'_>,
    clock: &dyn Clock,
) -> Evaluation<'p> {
    let now = OnceCell::new();
    // The time of day is the same for all policies.
    let now = || *now.get_or_init(|| clock.now());
    let allowances = Allowances::new();
    let judge = |absent| Judge::new(request, clock, &now, &allowances, absent);
    let (of_validating_policies, of_cluster_policies) = (judge(Absent::Empty), judge(Absent::Null));
    let outcome = |(policy, exceptions): (&'p CompiledPolicy, _)| {
        let judge = match policy.kind() {
            PolicyKind::ValidatingPolicy | PolicyKind::NamespacedValidatingPolicy => {
                &of_validating_policies
            }
            PolicyKind::ClusterPolicy | PolicyKind::Policy => &of_cluster_policies,
        };
        let rules = outcomes(policy, exceptions, judge);
        let (first, last) = (rules.first()?, rules.last()?);
        let started = first.started;
        let elapsed = last.started.saturating_duration_since(started) + last.elapsed;
        Some(PolicyOutcome { policy, rules, started, elapsed })
    };
    Evaluation { outcomes: policies.about(request.resource).filter_map(outcome).collect() }
}

/// What the rules of a policy say that are about the request.
fn outcomes<'p>(
    policy: &'p CompiledPolicy,
    exceptions: &'p [Arc<CompiledException>],
    judge: &Judge<'_>,
) -> Vec<RuleOutcome<'p>> {
    let mut outcomes = Vec::new();
    if !policy.sees(judge.request) {
        return outcomes;
    }
    for rule in policy.rules() {
        let unmatched = match rule.matcher.matches(judge.request) {
            Ok(false) => continue,
            Ok(true) => None,
            Err(error) => Some(RuleResult::Error { message: error.to_string(), validation: None }),
        };
        if outcomes.capacity() == 0 {
            // Most policies have one, and a vector of its own accord would make place for four.
            outcomes.reserve_exact(1);
        }
        let started = judge.clock.instant();
        let judged = match unmatched {
            Some(result) => result.into(),
            None => match rule.on_error {
                OnError::Error => judge.judge(policy, rule, exceptions),
                OnError::Fail => judge.judge(policy, rule, exceptions).without_error(),
            },
        };
        let is_applied = matches!(judged.result, RuleResult::Pass | RuleResult::Fail { .. });
        outcomes.push(RuleOutcome {
            rule,
            result: judged.result,
            actions: rule.actions_for(judge.request),
            exceptions: judged.exceptions,
            audit_annotations: judged.annotations,
            started,
            elapsed: judge.clock.instant().saturating_duration_since(started),
            steps: judged.steps,
        });
        if is_applied && policy.apply_rules == ApplyRules::One {
            break;
        }
    }
    outcomes
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
