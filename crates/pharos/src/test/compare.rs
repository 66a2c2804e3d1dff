//! What came out beside what was to come out. Pure.
//!
//! The comparison is Kyverno's, so that a test which holds there holds here: resources are found by
//! name, whatever their kind; a name that no resource has means all of them; and a policy that is
//! not about a resource is taken for a pass, which the report tells apart.

use pharos_policy::Operation;
use serde::Serialize;

use super::suite::{Expectation, ResourceSpec};
use crate::judge::{Judgement, ObjectId, PolicyId, RuleResult, Verdict};

/// What all policies say about all objects.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) policies: Vec<PolicyId>,
    /// Why each of them says nothing about any object, where it does not.
    pub(super) problems: Vec<Option<Verdict>>,
    pub(super) objects: Vec<ObjectId>,
    pub(super) runs: Vec<Run>,
}

/// What they say if this is done to the objects.
#[derive(Debug)]
pub(super) struct Run {
    /// None for what is done unless a result says otherwise.
    pub(super) operation: Option<Operation>,
    /// By object and policy.
    pub(super) verdicts: Vec<Vec<Verdict>>,
}

/// One line of a report: a result about one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// The policy as the test names it.
    pub(super) policy: String,
    /// The rule; empty for a policy that is a rule by itself.
    pub(super) rule: String,
    /// API version, kind, namespace and name.
    pub(super) resource: String,
    /// Whether it is as it is to be.
    pub(super) outcome: Outcome,
    /// Why, in a few words.
    pub(super) reason: String,
    /// What the policy says, or why it says nothing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) message: String,
}

/// What a check comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// It is as it is to be.
    Pass,
    /// The policy is not about the resource; Kyverno takes that for a pass.
    Excluded,
    /// It is not as it is to be.
    Fail,
    /// This version cannot say.
    Unsupported,
}

/// The checks of one expected result.
pub(super) fn compare(expected: &Expectation, judged: &Judged) -> Vec<Check> {
    let operation = expected.operation();
    let run = judged.runs.iter().find(|run| run.operation == operation);
    let Some(run) = run else { return Vec::new() };
    if judged.objects.is_empty() {
        return vec![about_nothing(expected, judged)];
    }
    let about = selected(expected, &judged.objects).into_iter().filter_map(|index| {
        let (object, verdicts) = (judged.objects.get(index)?, run.verdicts.get(index)?);
        Some((object, verdicts))
    });
    let check = |(object, verdicts): (&ObjectId, &Vec<Verdict>)| {
        let of_policy = judged.policies.iter().zip(verdicts);
        let of_policy = of_policy.filter(|(policy, _)| policy.name == expected.policy_name());
        let mut checks = Checks { expected, object, checks: Vec::new() };
        of_policy.for_each(|(policy, verdict)| checks.add(policy, verdict));
        checks.finish()
    };
    about.flat_map(check).collect()
}

/// The check of a result where there is no object, as in a test of other payloads. With Kyverno, a
/// result about no resource holds; nothing would be tested here.
fn about_nothing(expected: &Expectation, judged: &Judged) -> Check {
    let of_policy = judged.policies.iter().zip(&judged.problems);
    let mut of_policy = of_policy.filter(|(policy, _)| policy.name == expected.policy_name());
    let (outcome, reason, message) = match of_policy.find_map(|(_, problem)| problem.as_ref()) {
        Some(Verdict::Unsupported(why)) => (Outcome::Unsupported, "Unsupported", why.as_str()),
        _ => (Outcome::Fail, "Not found", "the test has no resource"),
    };
    Check {
        policy: expected.policy.clone(),
        rule: expected.rule.clone(),
        resource: String::new(),
        outcome,
        reason: reason.to_owned(),
        message: message.to_owned(),
    }
}

/// The positions of the objects that a result is about.
fn selected(expected: &Expectation, objects: &[ObjectId]) -> Vec<usize> {
    let mut selected: Vec<usize> = Vec::new();
    let mut select = |matches: &dyn Fn(&ObjectId) -> bool| {
        let found = objects.iter().enumerate().filter(|(_, object)| matches(object));
        selected.extend(found.map(|(index, _)| index));
    };
    for name in &expected.resources {
        match name.split_once('/') {
            Some((namespace, name)) => {
                select(&|object| object.namespace == namespace && object.name == name);
            }
            None => select(&|object| object.name == *name),
        }
    }
    for ResourceSpec { group, version, namespace, name, .. } in &expected.resource_specs {
        let api_version = match group.as_str() {
            "" => version.clone(),
            group => format!("{group}/{version}"),
        };
        select(&|object| {
            (&object.api_version, &object.namespace, &object.name)
                == (&api_version, namespace, name)
        });
    }
    if selected.is_empty() {
        selected = (0..objects.len()).collect();
    }
    selected
}

/// The checks of one result about one object.
struct Checks<'a> {
    expected: &'a Expectation,
    object: &'a ObjectId,
    checks: Vec<Check>,
}

// === impl Checks ===

impl Checks<'_> {
    fn add(&mut self, policy: &PolicyId, verdict: &Verdict) {
        match verdict {
            Verdict::Judged(rules) => {
                let asked_for = rules.iter().filter(|it| is_asked_for(self.expected, policy, it));
                let checks: Vec<_> = asked_for.map(|rule| self.judged(rule)).collect();
                self.checks.extend(checks);
                if self.checks.is_empty() {
                    self.checks.push(self.excluded());
                }
            }
            Verdict::Excluded if self.checks.is_empty() => self.checks.push(self.excluded()),
            Verdict::Excluded => {}
            Verdict::Unsupported(why) => {
                self.checks.push(self.check(Outcome::Unsupported, "Unsupported", why));
            }
            Verdict::Invalid(why) => {
                // Kyverno skips a policy that is not valid, and so does a test that counts on it.
                let outcome = match self.expected.result {
                    RuleResult::Skip => Outcome::Pass,
                    _ => Outcome::Fail,
                };
                self.checks.push(self.check(outcome, "Invalid policy", why));
            }
        }
    }

    fn finish(self) -> Vec<Check> {
        if self.checks.is_empty() {
            let why = "the test has no policy of that name";
            return vec![self.check(Outcome::Fail, "Not found", why)];
        }
        self.checks
    }

    fn judged(&self, judgement: &Judgement) -> Check {
        let (wanted, got) = (self.expected.result, judgement.result);
        let (outcome, reason) = match wanted == got {
            true => (Outcome::Pass, "Ok".to_owned()),
            false => (Outcome::Fail, format!("Want {}, got {}", wanted.as_str(), got.as_str())),
        };
        let check = self.check(outcome, &reason, &judgement.message);
        Check { rule: judgement.rule.clone(), ..check }
    }

    fn excluded(&self) -> Check {
        self.check(Outcome::Excluded, "Excluded", "")
    }

    fn check(&self, outcome: Outcome, reason: &str, message: &str) -> Check {
        Check {
            policy: self.expected.policy.clone(),
            rule: self.expected.rule.clone(),
            resource: self.object.to_string(),
            outcome,
            reason: reason.to_owned(),
            message: message.to_owned(),
        }
    }
}

/// Whether a result is about that rule: it, or one that is generated from it.
fn is_asked_for(expected: &Expectation, policy: &PolicyId, judgement: &Judgement) -> bool {
    let (asked_for, rule) = (expected.rule.as_str(), judgement.rule.as_str());
    let written = rule
        .strip_prefix("autogen-cronjob-")
        .or_else(|| rule.strip_prefix("autogen-"))
        .unwrap_or(rule);
    asked_for.is_empty() || policy.is_ruleless() || rule == asked_for || written == asked_for
}

// === impl Outcome ===

impl Outcome {
    /// The word in the table.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pass | Self::Excluded => "Pass",
            Self::Fail => "Fail",
            Self::Unsupported => "Unsupported",
        }
    }
}

#[cfg(test)]
mod tests;
