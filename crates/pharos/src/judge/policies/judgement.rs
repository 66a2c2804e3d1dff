//! What came out, in words of this command line.

use pharos_api::policy::ValidationAction;
use pharos_policy::{RuleOutcome, Skipped};
use serde::{Deserialize, Serialize};

use super::Violation;

/// What a policy says about an object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Its rules that are about the object say so; at least one.
    Judged(Vec<Judgement>),
    /// It is not about the object.
    Excluded,
    /// This version does not evaluate it, and why.
    Unsupported(String),
    /// Nothing could evaluate it, and why.
    Invalid(String),
}

/// What a rule says about an object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judgement {
    /// The rule's name; empty for a policy that is a rule by itself.
    pub(crate) rule: String,
    /// What came out.
    pub(crate) result: RuleResult,
    /// Why, for people; empty for a pass.
    pub(crate) message: String,
    /// What follows from a violation.
    pub(crate) actions: Vec<ValidationAction>,
}

/// What came out of a rule, as policy reports have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RuleResult {
    Pass,
    Fail,
    Warn,
    Error,
    Skip,
}

// === impl Judgement ===

impl Judgement {
    pub(super) fn of(outcome: &RuleOutcome<'_>, violation: Violation) -> Self {
        let (result, message) = match &outcome.result {
            pharos_policy::RuleResult::Pass => (RuleResult::Pass, ""),
            pharos_policy::RuleResult::Fail { message, .. } => match violation {
                Violation::Fail => (RuleResult::Fail, message.as_str()),
                Violation::Warn => (RuleResult::Warn, message.as_str()),
            },
            pharos_policy::RuleResult::Error { message, .. } => {
                (RuleResult::Error, message.as_str())
            }
            pharos_policy::RuleResult::Skip { because: Skipped::MatchCondition } => {
                (RuleResult::Skip, "a match condition is false")
            }
            pharos_policy::RuleResult::Skip { because: Skipped::Unjudged } => {
                (RuleResult::Skip, "a match condition cannot be evaluated")
            }
            pharos_policy::RuleResult::Skip { because: Skipped::Exception } => {
                (RuleResult::Skip, "an exception says so")
            }
        };
        Self {
            rule: outcome.rule.name().to_string(),
            result,
            message: message.to_owned(),
            actions: outcome.actions.iter().collect(),
        }
    }
}

// === impl RuleResult ===

impl RuleResult {
    /// The word of policy reports.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Skip => "skip",
        }
    }
}
