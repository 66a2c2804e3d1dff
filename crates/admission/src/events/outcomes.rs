//! From what policies said about a request to Events, as Kyverno tells it.
//!
//! A violation is told to whoever owns the policy and, if the object exists for all that, to whoever
//! owns the object. A dry run is told to nobody, and an object without a name cannot be referred to.

use k8s_openapi::api::core::v1::ObjectReference;
use pharos_policy::{CompiledPolicy, Evaluation, Request, RuleOutcome, RuleResult};
use serde_json::Value;

use super::{Action, EventReason, Events, Notice};
use crate::configuration::SuccessEvents;
use crate::enforce::{Decision, Verdict};
use crate::policies::Policies;

/// Tells what there is to tell about one request.
pub(crate) fn told(
    events: &Events,
    success: &SuccessEvents,
    policies: &Policies,
    request: &Request<'_>,
    evaluation: &Evaluation<'_>,
    verdict: &Verdict,
) {
    if request.raw["dryRun"] == true || request.name.is_empty() {
        return;
    }
    let action = match verdict.decision {
        Decision::Allow => Action::Passed,
        Decision::Deny { .. } => Action::Blocked,
    };
    let rules = evaluation
        .outcomes
        .iter()
        .flat_map(|outcome| outcome.rules.iter().map(|rule| (outcome.policy, rule)));
    for (policy, rule) in rules {
        let Some(reason) = reason(rule) else { continue };
        let untold = reason == EventReason::PolicyApplied && !success.tell(action.as_str());
        if untold || !events.tell(reason) {
            continue;
        }
        let Some(reference) = policies.reference(policy) else { continue };
        for notice in notices((policy, rule), reason, action, reference, request) {
            events.hand_in(notice);
        }
    }
}

fn reason(rule: &RuleOutcome<'_>) -> Option<EventReason> {
    match rule.result {
        RuleResult::Fail { .. } => Some(EventReason::PolicyViolation),
        RuleResult::Error { .. } => Some(EventReason::PolicyError),
        RuleResult::Pass => Some(EventReason::PolicyApplied),
        // Nobody is told that a policy is not about something.
        RuleResult::Skip { .. } => None,
    }
}

fn notices(
    (policy, rule): (&CompiledPolicy, &RuleOutcome<'_>),
    reason: EventReason,
    action: Action,
    regarding: ObjectReference,
    request: &Request<'_>,
) -> Vec<Notice> {
    let (status, message) = (rule.result.as_str(), message(&rule.result));
    let object = reference(request);
    let name = policy.name();
    let blocked = if action == Action::Blocked { " (blocked)" } else { "" };
    let because = if message.is_empty() { String::new() } else { format!("; {message}") };
    let note = format!("{}: {status}{blocked}{because}", shown(request));
    let on_policy = Notice { reason, action, regarding, related: Some(object.clone()), note };
    let exists = action == Action::Passed && reason != EventReason::PolicyApplied;
    let on_object = exists.then(|| Notice {
        reason,
        action,
        regarding: object,
        related: None,
        note: format!("policy {name} {status}: {message}"),
    });
    [Some(on_policy), on_object].into_iter().flatten().collect()
}

fn message(result: &RuleResult) -> &str {
    match result {
        RuleResult::Fail { message, .. } | RuleResult::Error { message, .. } => message,
        RuleResult::Pass | RuleResult::Skip { .. } => "",
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
    let uid = |object: &Value| Some(object.pointer("/metadata/uid")?.as_str()?.to_owned());
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
