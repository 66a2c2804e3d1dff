//! From what the policies say to what the API server is told, in the words that Kyverno's users know.
//! Pure.

use std::collections::BTreeMap;

use pharos_api::policy::{FailurePolicy, ValidationAction};
use pharos_policy::{
    CompiledPolicy, Evaluation, PolicyKind, Request, RuleOutcome, RuleResult, StatusReason,
};

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

/// What is denied, by kind of policy: Kyverno tells them in two forms.
#[derive(Default)]
struct Denials<'a> {
    /// The reason of the first.
    reason: Option<StatusReason>,
    /// Of ValidatingPolicies, one sentence each.
    sentences: Vec<String>,
    /// Of ClusterPolicies, the messages by rule.
    rules: BTreeMap<&'a str, BTreeMap<&'a str, &'a str>>,
}

/// Applies the actions of each rule to what came out of it.
///
/// A rule that cannot be evaluated acts like one that is violated if its policy fails closed, as if
/// the webhook could not be called; otherwise it does nothing, whichever webhook is called. Auditing
/// shows in the metrics and in Events.
pub(crate) fn enforce(evaluation: &Evaluation<'_>, request: &Request<'_>) -> Verdict {
    let mut denials = Denials::default();
    let mut warnings = Vec::new();
    let mut annotations = Vec::new();
    for outcome in &evaluation.outcomes {
        let policy = outcome.policy;
        for rule in &outcome.rules {
            let told = rule.audit_annotations.iter();
            annotations.extend(
                told.map(|(key, value)| (full_name(policy), (*key).to_owned(), value.clone())),
            );
            let Some(violation) = Violation::of(policy, rule) else { continue };
            if rule.actions.contains(ValidationAction::Deny) {
                denials.take(&violation);
            }
            if rule.actions.contains(ValidationAction::Warn) {
                warnings.push(violation.warning());
            }
        }
    }
    Verdict {
        decision: denials.decision(request),
        warnings: bounded(warnings),
        audit_annotations: limits::annotations(annotations),
    }
}

/// What a rule says against a request.
struct Violation<'a> {
    policy: &'a CompiledPolicy,
    rule: &'a str,
    /// Whether it is violated or cannot be evaluated, as Kyverno says it.
    what: &'static str,
    message: &'a str,
    reason: StatusReason,
}

fn full_name(policy: &CompiledPolicy) -> String {
    match policy.namespace() {
        Some(namespace) => format!("{namespace}.{}", policy.name()),
        None => policy.name().to_owned(),
    }
}

fn has_named_rules(kind: PolicyKind) -> bool {
    match kind {
        PolicyKind::ClusterPolicy | PolicyKind::Policy => true,
        PolicyKind::ValidatingPolicy | PolicyKind::NamespacedValidatingPolicy => false,
    }
}

// === impl Violation ===

impl<'a> Violation<'a> {
    fn of(policy: &'a CompiledPolicy, rule: &'a RuleOutcome<'_>) -> Option<Self> {
        let (what, message, reason) = match (&rule.result, policy.failure_policy()) {
            (RuleResult::Fail { message, reason, .. }, _) => ("failed", message, *reason),
            (RuleResult::Error { message, .. }, FailurePolicy::Fail) => {
                ("error", message, StatusReason::default())
            }
            (RuleResult::Error { .. }, FailurePolicy::Ignore)
            | (RuleResult::Pass | RuleResult::Skip { .. }, _) => return None,
        };
        Some(Self { policy, rule: rule.rule.name(), what, message, reason })
    }

    fn sentence(&self) -> String {
        format!("Policy {} {}: {}", self.policy.name(), self.what, self.message)
    }

    fn warning(&self) -> String {
        if has_named_rules(self.policy.kind()) {
            format!("policy {}.{}: {}", self.policy.name(), self.rule, self.message)
        } else {
            self.sentence()
        }
    }
}

// === impl Denials ===

impl<'a> Denials<'a> {
    fn take(&mut self, violation: &Violation<'a>) {
        self.reason.get_or_insert(violation.reason);
        if has_named_rules(violation.policy.kind()) {
            let rules = self.rules.entry(violation.policy.name()).or_default();
            rules.insert(violation.rule, violation.message);
        } else {
            self.sentences.push(violation.sentence());
        }
    }

    fn decision(self, request: &Request<'_>) -> Decision {
        let Some(reason) = self.reason else { return Decision::Allow };
        let mut message = self.sentences.join("; ");
        if !self.rules.is_empty() {
            let (kind, name) = (request.kind.kind, request.name);
            let namespace = request.namespace.filter(|_| !request.is_namespace());
            let namespace = namespace.unwrap_or_default();
            // Nothing that is text can be no YAML.
            let rules = serde_saphyr::to_string(&self.rules).unwrap_or_default();
            message.push_str(&format!(
                "\n\nresource {kind}/{namespace}/{name} was blocked due to the following policies \n\n{rules}"
            ));
        }
        Decision::Deny { message: limits::message(&message), reason }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::testing::policy;
    use pharos_policy::{Json, Lookups, PolicyOutcome, Skipped, compile_validating_policy};
    use serde_json::json;

    /// A policy that fails open.
    fn compiled(name: &str, actions: &[&str]) -> CompiledPolicy {
        of_spec(name, json!({"validationActions": actions, "failurePolicy": "Ignore"}))
    }

    fn closed(name: &str, actions: &[&str]) -> CompiledPolicy {
        of_spec(name, json!({"validationActions": actions, "failurePolicy": "Fail"}))
    }

    fn of_spec(name: &str, spec: serde_json::Value) -> CompiledPolicy {
        compile_validating_policy(&policy(name, spec), &Lookups::Refused).unwrap()
    }

    fn fail(message: &str, reason: StatusReason) -> RuleResult {
        RuleResult::Fail { message: message.to_owned(), validation: 0, reason }
    }

    fn error(message: &str) -> RuleResult {
        RuleResult::Error { message: message.to_owned(), validation: Some(0) }
    }

    fn review() -> serde_json::Value {
        json!({
            "uid": "1", "operation": "CREATE", "name": "web", "namespace": "shop",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
        })
    }

    #[test]
    fn actions_and_failure_policy_decide() {
        use StatusReason::{Forbidden, Invalid};
        let (unset, deny) = (compiled("u", &[]), compiled("d", &["Deny"]));
        let (warn, audit) = (compiled("w", &["Warn"]), compiled("a", &["Audit"]));
        let both = compiled("b", &["Deny", "Warn"]);
        let (closed_deny, closed_warn) = (closed("d", &["Deny"]), closed("w", &["Warn"]));
        let no = || fail("no", Invalid);
        let cases = [
            ("nothing", vec![], None, &[][..]),
            ("pass", vec![(&deny, RuleResult::Pass)], None, &[]),
            (
                "skip",
                vec![(&deny, RuleResult::Skip { because: Skipped::MatchCondition })],
                None,
                &[],
            ),
            ("deny", vec![(&deny, no())], Some(("Policy d failed: no", Invalid)), &[]),
            (
                "deny is the default",
                vec![(&unset, no())],
                Some(("Policy u failed: no", Invalid)),
                &[],
            ),
            ("warn", vec![(&warn, no())], None, &["Policy w failed: no"]),
            ("audit", vec![(&audit, no())], None, &[]),
            (
                "both",
                vec![(&both, no())],
                Some(("Policy b failed: no", Invalid)),
                &["Policy b failed: no"],
            ),
            (
                "the first reason, all messages",
                vec![(&warn, no()), (&both, fail("x", Forbidden)), (&deny, no())],
                Some(("Policy b failed: x; Policy d failed: no", Forbidden)),
                &["Policy w failed: no", "Policy b failed: x"],
            ),
            ("an error, open", vec![(&deny, error("e"))], None, &[]),
            (
                "an error, closed",
                vec![(&closed_deny, error("e"))],
                Some(("Policy d error: e", Invalid)),
                &[],
            ),
            (
                "errors of one that is open and one that is closed",
                vec![(&both, error("open")), (&closed_deny, error("e"))],
                Some(("Policy d error: e", Invalid)),
                &[],
            ),
            (
                "an error of a warning, closed",
                vec![(&closed_warn, error("e"))],
                None,
                &["Policy w error: e"],
            ),
            (
                "a warning is one line",
                vec![(&warn, fail("a\nb", Invalid))],
                None,
                &["Policy w failed: a b"],
            ),
        ];
        for (what, outcomes, denial, warnings) in cases {
            let review = Json::from(review());
            let request = Request::parse(&review).unwrap();
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
            let verdict = enforce(&Evaluation { outcomes }, &request);
            let decision = match denial {
                None => Decision::Allow,
                Some((message, reason)) => Decision::Deny { message: message.to_owned(), reason },
            };
            assert_eq!(verdict.decision, decision, "{what}");
            assert_eq!(verdict.warnings, warnings, "{what}");
        }
    }
}
