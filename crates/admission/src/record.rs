//! The one place where a review becomes telemetry. It never waits and never fails.

use std::time::Duration;

use pharos_instruments::{
    AdmissionReviewFacts, Answer, BackgroundMode, Because, ChangeType, Instruments, Operation,
    PolicyFacts, PolicyInfo, PolicyKind, PolicyResult, PolicyRun, ReportCircuit, ReportFate,
    RequestDetails, RuleFacts, Subject, Target, ValidationMode, Webhook,
};
use pharos_policy::{
    CompiledPolicy, Evaluation, Json, Origin, PolicyOutcome, Request, RuleOutcome, RuleResult,
};

use crate::enforce::{Decision, Verdict};

/// Where facts go: the instruments of the process, or the list of a test.
pub(crate) trait Facts: Send + Sync {
    /// The beginning of a review.
    fn begin(&self, request: &Request<'_>) -> Subject {
        Subject::of_request(operation(request), request.kind.kind, request.namespace)
    }
    /// What one policy said, rule by rule.
    fn policy(
        &self,
        _subject: &Subject,
        _run: &PolicyRun<'_>,
        _rules: &mut dyn Iterator<Item = RuleFacts<'_>>,
    ) {
    }
    fn review(&self, subject: &Subject, facts: &AdmissionReviewFacts<'_>);
    fn refusal(&self, reason: &'static str);
    /// What became of a policy.
    fn policy_changed(&self, _policy: &PolicyFacts<'_>, _change: ChangeType) {}
    /// Which policies there are now.
    fn policies(&self, _policies: Vec<PolicyInfo>) {}
    /// A step of what keeps something as it should be, by Kyverno's name for it.
    fn reconciled(&self, _controller: &'static str) {}
    /// A policy of a deprecated kind that is to be stored, in this version.
    fn deprecated(&self, _version: &'static str, _kind: PolicyKind) {}
    /// An Event that was not published; the reason is from a closed set.
    fn event_dropped(&self, _reason: &'static str) {}
    /// What so many policies said about requests is in no report; the reason is from a closed set.
    fn admission_results_lost(&self, _reason: &'static str, _count: usize) {}
    /// What policies said about an object is in its report.
    fn admission_reported(&self) {}
}

// === impl Facts ===

impl Facts for Instruments {
    fn begin(&self, request: &Request<'_>) -> Subject {
        let Request { kind, namespace, .. } = *request;
        let (operation, is_dry_run) = (operation(request), request.is_dry_run());
        self.begin_review(operation, is_dry_run, kind.kind, namespace, &|| details(request))
    }

    fn policy(
        &self,
        subject: &Subject,
        run: &PolicyRun<'_>,
        rules: &mut dyn Iterator<Item = RuleFacts<'_>>,
    ) {
        self.record_policy(subject, run, rules);
    }

    fn review(&self, subject: &Subject, facts: &AdmissionReviewFacts<'_>) {
        self.record_review(subject, facts);
    }

    fn refusal(&self, reason: &'static str) {
        self.record_refusal(reason);
    }

    fn policy_changed(&self, policy: &PolicyFacts<'_>, change: ChangeType) {
        self.record_policy_change(policy, change);
    }

    fn policies(&self, policies: Vec<PolicyInfo>) {
        self.set_policies(policies);
    }

    fn reconciled(&self, controller: &'static str) {
        self.record_reconcile(controller);
    }

    fn deprecated(&self, version: &'static str, kind: PolicyKind) {
        self.record_deprecated_request(version, kind, "");
    }

    fn event_dropped(&self, _reason: &'static str) {
        self.record_dropped_events(1);
    }

    fn admission_results_lost(&self, reason: &'static str, count: usize) {
        self.record_lost_admission_results(reason, u64::try_from(count).unwrap_or(u64::MAX));
        self.record_report(ReportCircuit::Admission, ReportFate::Dropped);
    }

    fn admission_reported(&self) {
        self.record_report(ReportCircuit::Admission, ReportFate::Kept);
    }
}

/// Records a review that got its answer, and what each policy said.
pub(crate) fn record(
    facts: &dyn Facts,
    subject: &Subject,
    evaluation: &Evaluation<'_>,
    verdict: &Verdict,
    duration: Duration,
) {
    for outcome in &evaluation.outcomes {
        let PolicyOutcome { policy, ref rules, started, elapsed: duration } = *outcome;
        let policy = policy_facts(policy);
        let run = PolicyRun { policy, started, duration };
        facts.policy(subject, &run, &mut rules.iter().map(|rule| rule_facts(policy, rule)));
    }
    let answer = match &verdict.decision {
        Decision::Allow => Answer::Allowed,
        Decision::Deny { message, reason } => {
            Answer::Denied { code: reason.code(), reason: reason.as_str(), message }
        }
    };
    let warnings = &verdict.warnings;
    let webhook = Webhook::Validating;
    facts.review(subject, &AdmissionReviewFacts { webhook, answer, warnings, duration });
}

/// A policy, as records name it.
pub(crate) fn policy_facts(policy: &CompiledPolicy) -> PolicyFacts<'_> {
    PolicyFacts {
        kind: match policy.kind() {
            pharos_policy::PolicyKind::ValidatingPolicy => PolicyKind::ValidatingPolicy,
            pharos_policy::PolicyKind::NamespacedValidatingPolicy => {
                PolicyKind::NamespacedValidatingPolicy
            }
            pharos_policy::PolicyKind::ClusterPolicy => PolicyKind::ClusterPolicy,
            pharos_policy::PolicyKind::Policy => PolicyKind::Policy,
        },
        namespace: policy.namespace().map(|namespace| &**namespace),
        name: policy.name(),
        validation_mode: if policy.enforces() {
            ValidationMode::Deny
        } else {
            ValidationMode::Audit
        },
        background_mode: if policy.is_evaluated_for(Origin::BackgroundScan) {
            BackgroundMode::Enabled
        } else {
            BackgroundMode::Disabled
        },
    }
}

fn rule_facts<'a>(policy: PolicyFacts<'a>, rule: &'a RuleOutcome<'_>) -> RuleFacts<'a> {
    let (result, because) = match &rule.result {
        RuleResult::Pass => (PolicyResult::Pass, None),
        RuleResult::Skip { .. } => (PolicyResult::Skip, None),
        RuleResult::Fail { message, validation, .. } => {
            (PolicyResult::Fail, Some(Because { message, validation: Some(*validation) }))
        }
        RuleResult::Error { message, validation } => {
            (PolicyResult::Error, Some(Because { message, validation: *validation }))
        }
    };
    RuleFacts {
        policy,
        rule: rule.rule.name(),
        result,
        because,
        started: rule.started,
        duration: rule.elapsed,
    }
}

/// What only spans tell about a request.
fn details<'a>(request: &Request<'a>) -> RequestDetails<'a> {
    let text = |pointer: &str| request.raw.pointer(pointer).and_then(Json::as_str);
    let any = |pointer: &str| text(pointer).unwrap_or_default();
    let original = text("/requestKind/kind").map(|kind| Target {
        kind_group: any("/requestKind/group"),
        kind_version: any("/requestKind/version"),
        kind,
        resource_group: any("/requestResource/group"),
        resource_version: any("/requestResource/version"),
        resource: any("/requestResource/resource"),
        sub_resource: any("/requestSubResource"),
    });
    RequestDetails {
        uid: request.uid,
        name: request.name,
        namespace: request.namespace.unwrap_or_default(),
        dry_run: request.is_dry_run(),
        target: Target {
            kind_group: request.kind.group,
            kind_version: request.kind.version,
            kind: request.kind.kind,
            resource_group: request.resource.group,
            resource_version: request.resource.version,
            resource: request.resource.resource,
            sub_resource: request.sub_resource.unwrap_or_default(),
        },
        original,
        user_name: request.user_name(),
        user_uid: any("/userInfo/uid"),
        user_groups: request.user_groups().collect(),
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
