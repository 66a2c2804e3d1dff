//! From what policies said about a request to Events, as Kyverno tells it.
//!
//! A violation is told to whoever owns the policy and, if the object exists for all that, to whoever
//! owns the object; an exception to whoever owns it and the policy. A dry run is told to nobody, and
//! an object without a name cannot be referred to.

use k8s_openapi::api::core::v1::ObjectReference;
use pharos_policy::{
    CompiledException, Evaluation, Json, Request, RuleOutcome, RuleResult, Skipped,
};

use super::{Action, EventReason, Events, Notice};
use crate::configuration::SuccessEvents;
use crate::enforce::{Decision, Verdict};
use crate::policies::Policies;

/// One request, as Events tell of it.
struct Told<'a> {
    events: &'a Events,
    policies: &'a Policies,
    request: &'a Request<'a>,
    action: Action,
}

/// Tells what there is to tell about one request.
pub(crate) fn told(
    events: &Events,
    success: &SuccessEvents,
    policies: &Policies,
    request: &Request<'_>,
    evaluation: &Evaluation<'_>,
    verdict: &Verdict,
) {
    if request.is_dry_run() || request.name.is_empty() {
        return;
    }
    let action = match verdict.decision {
        Decision::Allow => Action::Passed,
        Decision::Deny { .. } => Action::Blocked,
    };
    let told = Told { events, policies, request, action };
    for outcome in &evaluation.outcomes {
        let name = outcome.policy.name();
        let policy = || policies.reference(outcome.policy);
        for rule in &outcome.rules {
            match &rule.result {
                RuleResult::Fail { message, .. } => {
                    told.against(EventReason::PolicyViolation, name, policy, rule, message);
                }
                RuleResult::Error { message, .. } => {
                    told.against(EventReason::PolicyError, name, policy, rule, message);
                }
                RuleResult::Skip { because: Skipped::Exception } => {
                    told.skipped(name, policy, rule);
                }
                // Nobody is told that a policy is not about something.
                RuleResult::Pass
                | RuleResult::Skip { because: Skipped::MatchCondition | Skipped::Unjudged } => {}
            }
        }
        let passed = outcome.rules.iter().all(|rule| rule.result == RuleResult::Pass);
        if passed && success.tell(action.as_str()) {
            told.hand_in(EventReason::PolicyApplied, policy, || {
                format!("{}: pass", shown(request))
            });
        }
    }
}

// === impl Told ===

impl Told<'_> {
    /// On the policy; and nothing is made where nobody is told.
    fn hand_in(
        &self,
        reason: EventReason,
        policy: impl Fn() -> Option<ObjectReference>,
        note: impl FnOnce() -> String,
    ) {
        if let (true, Some(regarding)) = (self.events.tell(reason), policy()) {
            let related = Some(reference(self.request));
            let action = self.action;
            self.events.hand_in(Notice { reason, action, regarding, related, note: note() });
        }
    }

    fn against(
        &self,
        reason: EventReason,
        name: &str,
        policy: impl Fn() -> Option<ObjectReference>,
        rule: &RuleOutcome<'_>,
        message: &str,
    ) {
        let (status, rule) = (rule.result.as_str(), rule.rule.name());
        let blocked = if self.action == Action::Blocked { " (blocked)" } else { "" };
        self.hand_in(reason, policy, || {
            let named = if rule.is_empty() { String::new() } else { format!("[{rule}] ") };
            format!("{}: {named}{status}{blocked}; {message}", shown(self.request))
        });
        if self.action == Action::Passed && self.events.tell(reason) {
            let named = if rule.is_empty() { String::new() } else { format!("/{rule}") };
            self.events.hand_in(Notice {
                reason,
                action: self.action,
                regarding: reference(self.request),
                related: None,
                note: format!("policy {name}{named} {status}: {message}"),
            });
        }
    }

    fn skipped(
        &self,
        name: &str,
        policy: impl Fn() -> Option<ObjectReference>,
        rule: &RuleOutcome<'_>,
    ) {
        let reason = EventReason::PolicySkipped;
        if self.action == Action::Blocked || !self.events.tell(reason) {
            return;
        }
        let object = shown(self.request);
        let place = match rule.rule.name() {
            rule if rule.is_empty() => name.to_owned(),
            rule => format!("{name}/{rule}"),
        };
        for exception in &rule.exceptions {
            let on_exception = || self.policies.reference_to(exception);
            self.hand_in(reason, on_exception, || {
                format!("resource {object} was skipped from policy rule {place}")
            });
        }
        let names = |it: &&CompiledException| format!("{}/{}", it.namespace(), it.name());
        self.hand_in(reason, policy, || {
            let exceptions: Vec<_> = rule.exceptions.iter().map(names).collect();
            let exceptions = exceptions.join(", ");
            format!("resource {object} was skipped from rule {place} due to policy exceptions {exceptions}")
        });
    }
}

fn shown(request: &Request<'_>) -> String {
    let (kind, name) = (request.kind.kind, request.name);
    match namespace(request) {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}

/// The namespace that the object is in.
fn namespace<'a>(request: &Request<'a>) -> Option<&'a str> {
    request.namespace.filter(|_| !request.is_namespace())
}

fn reference(request: &Request<'_>) -> ObjectReference {
    let uid = |object: &Json<'_>| Some(object.pointer("/metadata/uid")?.as_str()?.to_owned());
    let (group, version) = (request.kind.group, request.kind.version);
    let api_version =
        if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    ObjectReference {
        api_version: Some(api_version),
        kind: Some(request.kind.kind.to_owned()),
        name: Some(request.name.to_owned()),
        namespace: namespace(request).map(str::to_owned),
        uid: uid(request.object).or_else(|| uid(request.old_object)),
        ..ObjectReference::default()
    }
}
