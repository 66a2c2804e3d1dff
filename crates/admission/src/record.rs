//! The one place where a review becomes telemetry. It never waits and never fails.

use std::time::Duration;

use pharos_api::policy::ValidationAction;
use pharos_instruments::{
    AdmissionReviewFacts, BackgroundMode, ExecutionCause, Instruments, Operation, PolicyResult,
    ValidatingPolicyFacts, ValidationMode, Webhook,
};
use pharos_policy::{CompiledPolicy, Evaluation, Origin, PolicyOutcome, Request};

use crate::enforce::{Decision, Verdict};

/// Where facts go: the instruments of the process, or the list of a test.
pub(crate) trait Facts: Send + Sync {
    fn review(&self, facts: &AdmissionReviewFacts<'_>);
    fn policy(&self, facts: &ValidatingPolicyFacts<'_>);
    fn refusal(&self, reason: &'static str);
}

// === impl Facts ===

impl Facts for Instruments {
    fn review(&self, facts: &AdmissionReviewFacts<'_>) {
        self.record_review(facts);
    }

    fn policy(&self, facts: &ValidatingPolicyFacts<'_>) {
        self.record_policy(facts);
    }

    fn refusal(&self, reason: &'static str) {
        self.record_refusal(reason);
    }
}

/// Records a review that got its answer, and what each policy said.
pub(crate) fn record(
    facts: &dyn Facts,
    request: &Request<'_>,
    evaluation: &Evaluation<'_>,
    verdict: &Verdict,
    duration: Duration,
) {
    for outcome in &evaluation.outcomes {
        facts.policy(&policy_facts(request, outcome));
    }
    facts.review(&AdmissionReviewFacts {
        webhook: Webhook::Validating,
        operation: operation(request),
        kind: request.kind.kind,
        namespace: request.namespace.unwrap_or_default(),
        allowed: verdict.decision == Decision::Allow,
        duration,
    });
}

fn policy_facts<'a>(
    request: &Request<'a>,
    outcome: &'a PolicyOutcome<'_>,
) -> ValidatingPolicyFacts<'a> {
    ValidatingPolicyFacts {
        policy_name: outcome.policy.name(),
        policy_namespace: "",
        validation_mode: validation_mode(outcome.policy),
        background_mode: background_mode(outcome.policy),
        kind: request.kind.kind,
        namespace: request.namespace.unwrap_or_default(),
        cause: ExecutionCause::AdmissionRequest(operation(request)),
        result: match outcome.result {
            pharos_policy::PolicyResult::Pass => PolicyResult::Pass,
            pharos_policy::PolicyResult::Fail { .. } => PolicyResult::Fail,
            pharos_policy::PolicyResult::Error { .. } => PolicyResult::Error,
            pharos_policy::PolicyResult::Skip => PolicyResult::Skip,
        },
        duration: outcome.elapsed,
    }
}

fn validation_mode(policy: &CompiledPolicy) -> ValidationMode {
    if policy.actions().contains(&ValidationAction::Deny) {
        ValidationMode::Deny
    } else {
        ValidationMode::Audit
    }
}

fn background_mode(policy: &CompiledPolicy) -> BackgroundMode {
    if policy.is_evaluated_for(Origin::BackgroundScan) {
        BackgroundMode::Enabled
    } else {
        BackgroundMode::Disabled
    }
}

fn operation(request: &Request<'_>) -> Operation {
    match request.operation {
        pharos_policy::Operation::Create => Operation::Create,
        pharos_policy::Operation::Update => Operation::Update,
        pharos_policy::Operation::Delete => Operation::Delete,
        pharos_policy::Operation::Connect => Operation::Connect,
    }
}
