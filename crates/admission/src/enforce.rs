//! From what the policies say to what the API server is told, in the words that Kyverno's users know.
//! Pure.

use std::collections::BTreeMap;

use pharos_api::policy::{FailurePolicy, ValidationAction};
use pharos_policy::{CompiledPolicy, Evaluation, RuleOutcome, RuleResult, StatusReason};

mod limits;

pub(crate) use limits::bounded;

/// What the API server is told.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Verdict {
    pub(crate) decision: Decision,
    /// For whoever made the request.
    pub(crate) warnings: Vec<String>,
    /// For the API server's audit log.
    pub(crate) audit_annotations: BTreeMap<String, String>,
}

/// Whether the request passes.
#[derive(Debug, Default, PartialEq)]
pub(crate) enum Decision {
    #[default]
    Allow,
    Deny {
        /// What every policy that denies says.
        message: String,
        /// The reason of the first of them.
        reason: StatusReason,
    },
}

/// Applies each rule's actions to what came out of it.
///
/// A rule that cannot be evaluated acts like one that is violated if its webhook fails closed, as
/// if the webhook could not be called; otherwise it does nothing. Auditing shows in the metrics and
/// in Events.
pub(crate) fn enforce(evaluation: &Evaluation<'_>, failure_policy: FailurePolicy) -> Verdict {
    let mut denials = Vec::new();
    let mut warnings = Vec::new();
    let mut first_reason = None;
    let rules = evaluation
        .outcomes
        .iter()
        .flat_map(|outcome| outcome.rules.iter().map(|rule| (outcome.policy, rule)));
    for (policy, rule) in rules {
        let Some((message, reason)) = violation(policy, rule, failure_policy) else {
            continue;
        };
        for action in rule.actions.iter() {
            match action {
                ValidationAction::Deny => {
                    first_reason.get_or_insert(reason);
                    denials.push(message.clone());
                }
                ValidationAction::Warn => warnings.push(message.clone()),
                ValidationAction::Audit => {}
            }
        }
    }
    let decision = match first_reason {
        Some(reason) => Decision::Deny { message: limits::message(&denials.join("; ")), reason },
        None => Decision::Allow,
    };
    let audit_annotations = limits::annotations([]);
    Verdict { decision, warnings: bounded(warnings), audit_annotations }
}

fn violation(
    policy: &CompiledPolicy,
    rule: &RuleOutcome<'_>,
    failure_policy: FailurePolicy,
) -> Option<(String, StatusReason)> {
    let (what, message, reason) = match (&rule.result, failure_policy) {
        (RuleResult::Fail { message, reason, .. }, _) => ("failed", message, *reason),
        (RuleResult::Error { message, .. }, FailurePolicy::Fail) => {
            ("error", message, StatusReason::default())
        }
        (RuleResult::Error { .. }, FailurePolicy::Ignore)
        | (RuleResult::Pass | RuleResult::Skip { .. }, _) => return None,
    };
    Some((format!("Policy {} {what}: {message}", policy.name()), reason))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::testing::policy;
    use pharos_policy::{PolicyOutcome, Skipped};
    use serde_json::json;

    fn compiled(name: &str, actions: &[&str]) -> CompiledPolicy {
        let policy = policy(name, json!({"validationActions": actions}));
        pharos_policy::compile_validating_policy(&policy).unwrap()
    }

    fn fail(message: &str, reason: StatusReason) -> RuleResult {
        RuleResult::Fail { message: message.to_owned(), validation: 0, reason }
    }

    fn error(message: &str) -> RuleResult {
        RuleResult::Error { message: message.to_owned(), validation: Some(0) }
    }

    #[test]
    fn actions_and_failure_policy_decide() {
        use FailurePolicy::{Fail, Ignore};
        use StatusReason::{Forbidden, Invalid};
        let (unset, deny) = (compiled("u", &[]), compiled("d", &["Deny"]));
        let (warn, audit) = (compiled("w", &["Warn"]), compiled("a", &["Audit"]));
        let both = compiled("b", &["Deny", "Warn"]);
        let no = || fail("no", Invalid);
        let cases = [
            ("nothing", vec![], Ignore, None, &[][..]),
            ("pass", vec![(&deny, RuleResult::Pass)], Fail, None, &[]),
            (
                "skip",
                vec![(&deny, RuleResult::Skip { because: Skipped::MatchCondition })],
                Fail,
                None,
                &[],
            ),
            ("deny", vec![(&deny, no())], Ignore, Some(("Policy d failed: no", Invalid)), &[]),
            (
                "deny is the default",
                vec![(&unset, no())],
                Ignore,
                Some(("Policy u failed: no", Invalid)),
                &[],
            ),
            ("warn", vec![(&warn, no())], Fail, None, &["Policy w failed: no"]),
            ("audit", vec![(&audit, no())], Fail, None, &[]),
            (
                "both",
                vec![(&both, no())],
                Ignore,
                Some(("Policy b failed: no", Invalid)),
                &["Policy b failed: no"],
            ),
            (
                "the first reason, all messages",
                vec![(&warn, no()), (&both, fail("x", Forbidden)), (&deny, no())],
                Ignore,
                Some(("Policy b failed: x; Policy d failed: no", Forbidden)),
                &["Policy w failed: no", "Policy b failed: x"],
            ),
            ("an error, open", vec![(&deny, error("e"))], Ignore, None, &[]),
            (
                "an error, closed",
                vec![(&deny, error("e"))],
                Fail,
                Some(("Policy d error: e", Invalid)),
                &[],
            ),
            (
                "an error of a warning, closed",
                vec![(&warn, error("e"))],
                Fail,
                None,
                &["Policy w error: e"],
            ),
            (
                "a warning is one line",
                vec![(&warn, fail("a\nb", Invalid))],
                Fail,
                None,
                &["Policy w failed: a b"],
            ),
        ];
        for (what, outcomes, failure_policy, denial, warnings) in cases {
            let outcomes = outcomes
                .into_iter()
                .map(|(policy, result)| {
                    let (started, elapsed) = (Instant::now(), Duration::ZERO);
                    let rule = RuleOutcome {
                        rule: &policy.rules()[0],
                        result,
                        actions: policy.actions(),
                        exceptions: Vec::new(),
                        audit_annotations: Vec::new(),
                        started,
                        elapsed,
                        steps: 0,
                    };
                    PolicyOutcome { policy, rules: vec![rule], started, elapsed }
                })
                .collect();
            let verdict = enforce(&Evaluation { outcomes }, failure_policy);
            let decision = match denial {
                None => Decision::Allow,
                Some((message, reason)) => Decision::Deny { message: message.to_owned(), reason },
            };
            assert_eq!(verdict.decision, decision, "{what}");
            assert_eq!(verdict.warnings, warnings, "{what}");
        }
    }
}
