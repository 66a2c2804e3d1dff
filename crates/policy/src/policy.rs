//! A policy that is ready to be evaluated.

use std::sync::Arc;
use std::time::Duration;

use pharos_api::policy::cluster_policy::ApplyRules;
use pharos_api::policy::{
    AutogenStatus, FailurePolicy, MatchCondition, MatchPolicy, ValidationAction,
};

use crate::actions::Actions;
use crate::kind::{PolicyKey, PolicyKind};
use crate::request::Request;
use crate::rule::Rule;

/// A policy without problems. It is made once per change of the policy.
#[derive(Debug)]
pub struct CompiledPolicy {
    pub(crate) key: PolicyKey,
    pub(crate) failure_policy: FailurePolicy,
    pub(crate) origins: Vec<Origin>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) match_policy: MatchPolicy,
    pub(crate) match_conditions: Vec<MatchCondition>,
    pub(crate) actions: Actions,
    pub(crate) apply_rules: ApplyRules,
    pub(crate) rules: Vec<Rule>,
    pub(crate) autogen: AutogenStatus,
}

/// Why a policy is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A request is to be admitted.
    Admission,
    /// What is in the cluster is looked at.
    BackgroundScan,
}

/// The reason in the API server's answer to a denied request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "Kubernetes' own names")]
pub enum StatusReason {
    Unauthorized,
    Forbidden,
    #[default]
    Invalid,
    RequestEntityTooLarge,
}

// === impl CompiledPolicy ===

impl CompiledPolicy {
    /// What tells it from all others.
    pub fn key(&self) -> &PolicyKey {
        &self.key
    }

    /// The policy's kind.
    pub fn kind(&self) -> PolicyKind {
        self.key.kind
    }

    /// The policy's name.
    pub fn name(&self) -> &str {
        &self.key.name
    }

    /// The namespace that it is in; none for a policy of the whole cluster.
    pub fn namespace(&self) -> Option<&Arc<str>> {
        self.key.namespace.as_ref()
    }

    /// The rules: what was written, then what was generated from it.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What the policy says that follows when a validation is false; a rule may say otherwise for a
    /// request, see [`Rule::actions_for`].
    pub fn actions(&self) -> Actions {
        self.actions
    }

    /// Whether a false validation of any rule denies a request, where nothing is overridden.
    pub fn enforces(&self) -> bool {
        let denies = |actions: Actions| actions.contains(ValidationAction::Deny);
        denies(self.actions) || self.rules.iter().any(|rule| denies(rule.actions))
    }

    /// What happens when the policy cannot be evaluated.
    pub fn failure_policy(&self) -> FailurePolicy {
        self.failure_policy
    }

    /// Whether the policy is evaluated for that reason.
    pub fn is_evaluated_for(&self, origin: Origin) -> bool {
        self.origins.contains(&origin)
    }

    /// How long the API server is to wait for the webhook, where the policy says so.
    pub fn webhook_timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Whether requests in other versions than those that it names are to be converted for it.
    pub fn match_policy(&self) -> MatchPolicy {
        self.match_policy
    }

    /// The conditions that all rules have, as they were written.
    pub fn match_conditions(&self) -> &[MatchCondition] {
        &self.match_conditions
    }

    /// Whether the conditions of every rule are those, and are to be asked about all that the rules
    /// for a webhook match: then whoever calls the webhook may ask them first. What was generated may
    /// have conditions of its own, and a condition may have no value for what a policy is not about.
    pub fn conditions_are_of_the_webhook(&self) -> bool {
        let generated = self.autogen.configs.values();
        self.rules.iter().all(|rule| !rule.matcher.is_narrowed())
            && generated.map(|it| &it.spec).all(|it| it.match_conditions == self.match_conditions)
    }

    /// Whether the request is about something in the policy's namespace, if it is in one.
    pub(crate) fn sees(&self, request: &Request<'_>) -> bool {
        let in_namespace =
            |namespace: &str| request.namespace == Some(namespace) && !request.is_namespace();
        self.key.namespace.as_deref().is_none_or(in_namespace)
    }

    /// What was generated for the controllers of Pods, as the policy's status shows it.
    pub fn autogen(&self) -> &AutogenStatus {
        &self.autogen
    }

    /// Whether evaluating it takes knowing the roles of the user.
    pub fn needs_roles(&self) -> bool {
        self.rules.iter().any(|rule| rule.matcher.needs_roles())
    }

    /// Whether evaluating it takes knowing the request's namespace.
    pub fn needs_namespace(&self) -> bool {
        self.rules.iter().any(Rule::needs_namespace)
    }
}

// === impl StatusReason ===

impl StatusReason {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name {
            "Unauthorized" => Some(Self::Unauthorized),
            "Forbidden" => Some(Self::Forbidden),
            "Invalid" => Some(Self::Invalid),
            "RequestEntityTooLarge" => Some(Self::RequestEntityTooLarge),
            _ => None,
        }
    }

    /// The name that Kubernetes uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::Invalid => "Invalid",
            Self::RequestEntityTooLarge => "RequestEntityTooLarge",
        }
    }

    /// The HTTP status code that goes with it.
    pub fn code(self) -> u16 {
        match self {
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::Invalid => 422,
            Self::RequestEntityTooLarge => 413,
        }
    }
}
