//! What the policies say, and what it comes to. Pure.

use std::process::ExitCode;

use pharos_api::policy::ValidationAction;
use serde::Serialize;

use crate::judge::{Judgement, ObjectId, Policies, PolicyId, Refusal, RuleResult, Verdict};

/// Everything that is told.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    /// What rules say about resources. Where no rule is about one, nothing is said.
    pub(super) results: Vec<Said>,
    /// Policies that are not evaluated.
    pub(super) problems: Vec<Problem>,
    /// Policies that only the context makes compile.
    #[serde(rename = "refusedByAdmission", skip_serializing_if = "Vec::is_empty")]
    pub(super) refused: Vec<Refusal>,
    pub(super) summary: Summary,
}

/// What a rule says about a resource.
#[derive(Debug, Serialize)]
pub(super) struct Said {
    pub(super) policy: PolicyId,
    /// The rule; empty for a policy that is a rule by itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) rule: String,
    pub(super) resource: ObjectId,
    pub(super) result: RuleResult,
    /// What follows from a violation.
    pub(super) actions: Vec<ValidationAction>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) message: String,
}

/// A policy that is not evaluated.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Problem {
    pub(super) policy: PolicyId,
    pub(super) reason: Unevaluated,
    pub(super) message: String,
}

/// Why a policy is not evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Unevaluated {
    /// This version has not what it needs.
    Unsupported,
    /// Nothing could evaluate it.
    Invalid,
}

/// How many of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Summary {
    pub(super) pass: usize,
    pub(super) fail: usize,
    pub(super) warn: usize,
    pub(super) error: usize,
    pub(super) skip: usize,
}

/// What a violation is that nobody is denied for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audited {
    Fail,
    Warn,
}

// === impl Outcome ===

impl Outcome {
    /// Nothing is said yet; what is not evaluated is known.
    pub(super) fn new(policies: &Policies) -> Self {
        let problem = |policy: &crate::judge::Policy| {
            let (reason, message) = match policy.problem()? {
                Verdict::Unsupported(why) => (Unevaluated::Unsupported, why),
                Verdict::Invalid(why) => (Unevaluated::Invalid, why),
                Verdict::Judged(_) | Verdict::Excluded => return None,
            };
            Some(Problem { policy: policy.id().clone(), reason, message })
        };
        let problems = policies.iter().filter_map(problem).collect();
        let refused = policies.refused_by_admission();
        Self { results: Vec::new(), problems, refused, summary: Summary::default() }
    }

    /// Adds what a policy says about a resource.
    pub(super) fn add(
        &mut self,
        policy: &PolicyId,
        resource: &ObjectId,
        verdict: Verdict,
        audited: Audited,
    ) {
        let Verdict::Judged(rules) = verdict else { return };
        for Judgement { rule, result, message, actions } in rules {
            let denies = actions.contains(&ValidationAction::Deny);
            let result = match (result, audited) {
                (RuleResult::Fail, Audited::Warn) if !denies => RuleResult::Warn,
                (result, _) => result,
            };
            self.summary.count(result);
            self.results.push(Said {
                policy: policy.clone(),
                rule,
                resource: resource.clone(),
                result,
                actions,
                message,
            });
        }
    }

    /// What the exit code says.
    pub(super) fn code(&self) -> ExitCode {
        self.worst().into()
    }

    fn worst(&self) -> u8 {
        match (self.summary.fail + self.summary.error, self.problems.len()) {
            (0, 0) => 0,
            (0, _) => 2,
            _ => 1,
        }
    }
}

// === impl Summary ===

impl Summary {
    fn count(&mut self, result: RuleResult) {
        *match result {
            RuleResult::Pass => &mut self.pass,
            RuleResult::Fail => &mut self.fail,
            RuleResult::Warn => &mut self.warn,
            RuleResult::Error => &mut self.error,
            RuleResult::Skip => &mut self.skip,
        } += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(results: &[RuleResult], actions: &[ValidationAction], audited: Audited) -> Outcome {
        let mut outcome = Outcome::new(&Policies::default());
        let id = |kind: &str| (kind.to_owned(), String::new(), "n".to_owned());
        let (kind, namespace, name) = id("ValidatingPolicy");
        let policy = PolicyId { kind, namespace, name };
        let (kind, namespace, name) = id("Pod");
        let resource = ObjectId { api_version: "v1".to_owned(), kind, namespace, name };
        let judgement = |result: &RuleResult| Judgement {
            rule: String::new(),
            result: *result,
            message: String::new(),
            actions: actions.to_vec(),
        };
        let verdict = Verdict::Judged(results.iter().map(judgement).collect());
        outcome.add(&policy, &resource, verdict, audited);
        outcome
    }

    #[test]
    fn violations_and_errors_count_and_warnings_do_not() {
        use RuleResult::{Error, Fail, Pass, Skip, Warn};
        let worst = |results: &[RuleResult]| {
            outcome(results, &[ValidationAction::Deny], Audited::Warn).worst()
        };
        assert_eq!(worst(&[Pass, Skip, Warn]), 0);
        assert_eq!(worst(&[Pass, Fail]), 1);
        assert_eq!(worst(&[Error]), 1);
    }

    #[test]
    fn a_violation_that_nobody_is_denied_for_may_be_a_warning() {
        let audit = [ValidationAction::Audit];
        let fail = [RuleResult::Fail];
        assert_eq!(outcome(&fail, &audit, Audited::Fail).summary.fail, 1);
        assert_eq!(outcome(&fail, &audit, Audited::Warn).summary.warn, 1);
        let deny = [ValidationAction::Audit, ValidationAction::Deny];
        assert_eq!(outcome(&fail, &deny, Audited::Warn).summary.fail, 1);
    }

    #[test]
    fn a_policy_that_is_not_evaluated_is_no_policy_that_holds() {
        let mut outcome = outcome(&[RuleResult::Pass], &[], Audited::Fail);
        let policy = outcome.results[0].policy.clone();
        outcome.problems.push(Problem {
            policy,
            reason: Unevaluated::Unsupported,
            message: String::new(),
        });
        assert_eq!(outcome.worst(), 2);
    }
}
