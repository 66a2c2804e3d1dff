//! Policies and exceptions in files: compiled as they are for admission, or why not.
//!
//! A policy of a kind that is not evaluated, or that needs what this version has not, is
//! [`Verdict::Unsupported`]; one that nothing could evaluate is [`Verdict::Invalid`]. Neither is
//! ever left out. One that only a context makes compile is judged, and that admission refuses it is
//! told as a [`Refusal`].

use std::fmt;
use std::sync::Arc;

use pharos_policy::{
    CompiledException, Lookups, Origin, PolicySet, Request, SystemClock, evaluate,
};
use serde_json::Value;

use super::object::group;
use super::review::Review;
use crate::documents::Document;

mod compile;
mod judgement;

use compile::Compiled;
pub(crate) use judgement::{Judgement, RuleResult, Verdict};

/// Every policy of some files, in their order.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    policies: Vec<Policy>,
}

/// One policy.
#[derive(Debug)]
pub(crate) struct Policy {
    id: PolicyId,
    state: State,
    violation: Violation,
    /// Why admission refuses a policy that is judged here, where it does.
    refused: Option<String>,
}

/// A policy that is judged here and refused by admission, which is given no context.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Refusal {
    pub(crate) policy: PolicyId,
    pub(crate) message: String,
}

/// What tells a policy from others. The namespace is empty where there is none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub(crate) struct PolicyId {
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

#[derive(Debug)]
enum State {
    /// A set of this policy alone: what each says is known of each.
    Ready(PolicySet),
    Unsupported(String),
    Invalid(String),
}

/// What a violation counts as.
#[derive(Clone, Copy, Debug)]
enum Violation {
    Fail,
    /// The policy's author says that it is advice.
    Warn,
}

/// Groups whose kinds are policies, or go with them.
const GROUPS: [&str; 3] = ["policies.kyverno.io", "kyverno.io", "admissionregistration.k8s.io"];
/// A policy with `false` behind it is advice.
const SCORED: &str = "/metadata/annotations/policies.kyverno.io~1scored";

// === impl Policies ===

impl Policies {
    /// Compiles the policies among the documents, with the exceptions from them and what they may look
    /// up.
    pub(crate) fn of(documents: &[Document], exceptions: &[Document], lookups: &Lookups) -> Self {
        let exceptions: Vec<_> =
            exceptions.iter().map(|it| compile::exception(&it.value)).collect();
        let policies = documents.iter().filter(|it| is_policy(&it.value));
        let policies = policies.map(|it| Policy::of(&it.value, &exceptions, lookups)).collect();
        Self { policies }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Policy> {
        self.policies.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// Those that only what they were given makes compile.
    pub(crate) fn refused_by_admission(&self) -> Vec<Refusal> {
        let refusal = |Policy { id, refused, .. }: &Policy| {
            let (policy, message) = (id.clone(), refused.clone()?);
            Some(Refusal { policy, message })
        };
        self.policies.iter().filter_map(refusal).collect()
    }
}

/// Whether a document is a policy: evaluated or not.
fn is_policy(document: &Value) -> bool {
    let text = |field: &str| document[field].as_str().unwrap_or_default();
    GROUPS.contains(&group(text("apiVersion"))) && text("kind").ends_with("Policy")
}

// === impl Policy ===

impl Policy {
    fn of(document: &Value, exceptions: &[compile::Exception], lookups: &Lookups) -> Self {
        let violation = match document.pointer(SCORED).and_then(Value::as_str) {
            Some("false") => Violation::Warn,
            _ => Violation::Fail,
        };
        let id = PolicyId::of(document);
        let of_policy = exceptions.iter().filter(|it| it.is_from(&id));
        let unusable = of_policy.clone().find_map(compile::Exception::problem);
        let state = match (compile::policy(document, lookups), unusable) {
            (Compiled::Unsupported(why), _) => State::Unsupported(why),
            (Compiled::Invalid(why), _) => State::Invalid(why),
            (_, Some(Compiled::Unsupported(why))) => State::Unsupported(why.clone()),
            (_, Some(Compiled::Invalid(why))) => State::Invalid(why.clone()),
            (Compiled::Ready(policy), _) => {
                // What a policy says is asked for whatever it is evaluated for.
                let origins = [Origin::Admission, Origin::BackgroundScan];
                let origin = origins.into_iter().find(|it| policy.is_evaluated_for(*it));
                let exceptions: Vec<Arc<CompiledException>> =
                    of_policy.filter_map(compile::Exception::ready).collect();
                match origin {
                    Some(origin) => State::Ready(PolicySet::new(origin, [policy], exceptions)),
                    None => State::Invalid("the policy is evaluated for nothing".to_owned()),
                }
            }
        };
        let refused = match (&state, lookups) {
            (State::Ready(_), Lookups::Given(_)) => compile::refusal(document),
            _ => None,
        };
        Self { id, state, violation, refused }
    }

    pub(crate) fn id(&self) -> &PolicyId {
        &self.id
    }

    /// Why the policy is not evaluated, where it is not.
    pub(crate) fn problem(&self) -> Option<Verdict> {
        match &self.state {
            State::Ready(_) => None,
            State::Unsupported(why) => Some(Verdict::Unsupported(why.clone())),
            State::Invalid(why) => Some(Verdict::Invalid(why.clone())),
        }
    }

    /// What the policy says about a request.
    pub(super) fn judge(&self, review: &Review<'_>) -> Verdict {
        let set = match &self.state {
            State::Ready(set) => set,
            State::Unsupported(why) => return Verdict::Unsupported(why.clone()),
            State::Invalid(why) => return Verdict::Invalid(why.clone()),
        };
        let request = match Request::parse(&review.request) {
            Ok(request) => request,
            Err(error) => return Verdict::Invalid(error.to_string()),
        };
        let request = Request {
            namespace_object: review.namespace.as_ref(),
            user_roles: Some(review.user_roles),
            ..request
        };
        let evaluation = evaluate(set, &request, &SystemClock);
        let rules = evaluation.outcomes.iter().flat_map(|outcome| &outcome.rules);
        let judgements: Vec<_> = rules.map(|rule| Judgement::of(rule, self.violation)).collect();
        match judgements.is_empty() {
            true => Verdict::Excluded,
            false => Verdict::Judged(judgements),
        }
    }
}

// === impl PolicyId ===

impl PolicyId {
    fn of(document: &Value) -> Self {
        let text = |pointer: &str| {
            let found = document.pointer(pointer).and_then(Value::as_str);
            found.unwrap_or_default().to_owned()
        };
        let (kind, name) = (text("/kind"), text("/metadata/name"));
        // Kyverno reads a namespaced policy that names none as one of the default namespace.
        let namespace = match text("/metadata/namespace") {
            namespace if namespace.is_empty() && is_namespaced(&kind) => "default".to_owned(),
            namespace => namespace,
        };
        Self { kind, namespace, name }
    }

    /// Whether the policy is a rule by itself, which has no name.
    pub(crate) fn is_ruleless(&self) -> bool {
        !matches!(self.kind.as_str(), "ClusterPolicy" | "Policy")
    }
}

fn is_namespaced(kind: &str) -> bool {
    kind == "Policy" || kind == "CleanupPolicy" || kind.starts_with("Namespaced")
}

/// As in `NamespacedValidatingPolicy team-a/no-latest`.
impl fmt::Display for PolicyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, namespace, name } = self;
        match namespace.as_str() {
            "" => write!(f, "{kind} {name}"),
            namespace => write!(f, "{kind} {namespace}/{name}"),
        }
    }
}

#[cfg(test)]
mod tests;
