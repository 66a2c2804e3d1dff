//! The one place where a scan becomes telemetry. It never waits and never fails.

use pharos_instruments::{
    BackgroundMode, Because, Instruments, PolicyFacts, PolicyKind, PolicyResult, PolicyRun,
    ReportCircuit, ReportFate, RuleFacts, ScanProgress, ValidationMode,
};
use pharos_policy::{CompiledPolicy, Evaluation, PolicyOutcome, RuleOutcome, RuleResult};

/// Where facts go: the instruments of the process, or the list of a test.
pub(crate) trait Facts: Send + Sync {
    /// What one policy said about an object of that kind, rule by rule.
    fn policy(
        &self,
        kind: &str,
        namespace: Option<&str>,
        run: &PolicyRun<'_>,
        rules: &mut dyn Iterator<Item = RuleFacts<'_>>,
    );
    /// A step of what keeps reports as they should be.
    fn reconciled(&self);
    /// Such a step failed, and is done again.
    fn requeued(&self);
    /// A report was to be written or deleted.
    fn report(&self, fate: ReportFate);
    /// How far it is.
    fn progress(&self, progress: ScanProgress);
}

/// Kyverno's name for what keeps reports.
const CONTROLLER: &str = "background-scan-controller";

// === impl Facts ===

impl Facts for Instruments {
    fn policy(
        &self,
        kind: &str,
        namespace: Option<&str>,
        run: &PolicyRun<'_>,
        rules: &mut dyn Iterator<Item = RuleFacts<'_>>,
    ) {
        self.record_policy(&self.begin_scan(kind, namespace), run, rules);
    }

    fn reconciled(&self) {
        self.record_reconcile(CONTROLLER);
    }

    fn requeued(&self) {
        self.record_requeue(CONTROLLER, 1);
    }

    fn report(&self, fate: ReportFate) {
        self.record_report(ReportCircuit::BackgroundScan, fate);
    }

    fn progress(&self, progress: ScanProgress) {
        self.set_scan_progress(progress);
    }
}

/// Records what each policy said about an object.
pub(crate) fn record(
    facts: &dyn Facts,
    kind: &str,
    namespace: Option<&str>,
    evaluation: &Evaluation<'_>,
) {
    for outcome in &evaluation.outcomes {
        let PolicyOutcome { policy, ref rules, started, elapsed: duration } = *outcome;
        let policy = policy_facts(policy);
        let run = PolicyRun { policy, started, duration };
        facts.policy(kind, namespace, &run, &mut rules.iter().map(|it| rule_facts(policy, it)));
    }
    facts.reconciled();
}

fn policy_facts(policy: &CompiledPolicy) -> PolicyFacts<'_> {
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
        background_mode: BackgroundMode::Enabled,
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

#[cfg(test)]
pub(crate) mod testing {
    use std::sync::Mutex;

    use super::*;

    /// What was recorded, a line for each rule.
    #[derive(Default)]
    pub(crate) struct Journal(Mutex<Vec<String>>);

    impl Journal {
        pub(crate) fn lines(&self) -> Vec<String> {
            self.0.lock().unwrap().clone()
        }
    }

    impl Facts for Journal {
        fn policy(
            &self,
            kind: &str,
            namespace: Option<&str>,
            run: &PolicyRun<'_>,
            rules: &mut dyn Iterator<Item = RuleFacts<'_>>,
        ) {
            for rule in rules {
                let result = match rule.result {
                    PolicyResult::Pass => "pass",
                    PolicyResult::Fail => "fail",
                    _ => "other",
                };
                let (namespace, policy) = (namespace.unwrap_or("-"), run.policy.name);
                self.0.lock().unwrap().push(format!("{kind} {namespace} {policy} {result}"));
            }
        }
        fn reconciled(&self) {}
        fn requeued(&self) {}
        fn report(&self, _: ReportFate) {}
        fn progress(&self, _: ScanProgress) {}
    }
}
