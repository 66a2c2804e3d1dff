//! One rule of a policy: what it is about, and what must be true.

use std::collections::BTreeMap;
use std::sync::Arc;

use pharos_api::policy::{FailurePolicy, NamedRuleWithOperations};

use crate::actions::Actions;
use crate::cel::{Expression, Program};
use crate::cluster_policy::ActionOverride;
use crate::matching::Matcher;
use crate::policy::StatusReason;
use crate::request::{Operation, Request};

/// A rule. A ValidatingPolicy has one that was written, without a name, and up to two that are
/// generated from it; of those, at most one is about a request. A ClusterPolicy has many, and each is
/// judged by itself.
#[derive(Debug)]
pub struct Rule {
    pub(crate) name: Arc<str>,
    pub(crate) source: RuleSource,
    pub(crate) actions: Actions,
    /// Other actions for some requests; the first that is about one counts.
    pub(crate) overrides: Vec<ActionOverride>,
    pub(crate) matcher: Matcher,
    /// What a webhook must be registered for.
    pub(crate) registration: Registration,
    pub(crate) failure_policy: FailurePolicy,
    pub(crate) on_error: OnError,
    pub(crate) report_properties: BTreeMap<String, String>,
    pub(crate) body: RuleBody,
}

/// The expressions of a rule.
#[derive(Debug)]
pub(crate) struct RuleBody {
    pub(crate) program: Program,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) validations: Vec<Validation>,
    pub(crate) annotations: Vec<Annotation>,
}

/// What it means that expressions of a rule cannot be evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnError {
    /// An error, of which the policy's `failurePolicy` decides.
    Error,
    /// A failure like any other, as rules of ClusterPolicies have it.
    Fail,
}

/// Where a rule comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RuleSource {
    /// It stands in the policy.
    Written,
    /// It was generated from a rule for Pods, for what has Pods.
    Generated(Autogen),
}

/// What a rule was generated for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Autogen {
    /// What has a Pod's template in `spec.template`.
    Defaults,
    /// CronJobs.
    CronJobs,
}

/// The requests that a webhook must see, or else the rule would miss some.
#[derive(Clone, Debug, PartialEq)]
pub enum Registration {
    /// Operations on resources, as they were written.
    Resources(Vec<NamedRuleWithOperations>),
    /// Kinds, whose resources only the API server's discovery knows.
    Kinds(Vec<RegisteredKind>),
}

/// A kind, and what is done to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredKind {
    /// The kind.
    pub kind: KindPattern,
    /// The operations, each once.
    pub operations: Vec<Operation>,
}

/// A kind as a ClusterPolicy names it: every part may hold `*` and `?`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KindPattern {
    /// The API group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The kind.
    pub kind: String,
    /// The part of the resource, as `status`; empty for the resource itself.
    pub sub_resource: String,
}

/// A condition for the request to be validated.
#[derive(Debug)]
pub(crate) struct Condition {
    /// Where it is.
    pub(crate) path: String,
    pub(crate) expression: Expression,
}

/// Something that must be true.
#[derive(Debug)]
pub(crate) struct Validation {
    /// Where its expression is.
    pub(crate) path: String,
    pub(crate) expression: Expression,
    pub(crate) message: Option<String>,
    pub(crate) message_expression: Option<Expression>,
    pub(crate) reason: StatusReason,
}

/// An annotation of the API server's audit event.
#[derive(Debug)]
pub(crate) struct Annotation {
    /// Where its expression is.
    pub(crate) path: String,
    pub(crate) key: String,
    pub(crate) expression: Expression,
}

// === impl Rule ===

impl Rule {
    /// The name; empty for the rule that a ValidatingPolicy is.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Where it comes from.
    pub fn source(&self) -> RuleSource {
        self.source
    }

    /// What it was generated for, if it was.
    pub fn autogen(&self) -> Option<Autogen> {
        match self.source {
            RuleSource::Written => None,
            RuleSource::Generated(autogen) => Some(autogen),
        }
    }

    /// What the policy adds to what is reported of it.
    pub fn report_properties(&self) -> &BTreeMap<String, String> {
        &self.report_properties
    }

    /// What a webhook must be registered for.
    pub fn registration(&self) -> &Registration {
        &self.registration
    }

    /// What follows for this request when a validation is false.
    pub fn actions_for(&self, request: &Request<'_>) -> Actions {
        let overridden = self.overrides.iter().find_map(|it| it.actions_for(request));
        overridden.unwrap_or(self.actions)
    }

    /// Whether evaluating it takes knowing the request's namespace.
    pub(crate) fn needs_namespace(&self) -> bool {
        self.matcher.needs_namespace()
            || self.body.needs_namespace()
            || self.overrides.iter().any(ActionOverride::needs_namespace)
    }
}

// === impl RegisteredKind ===

impl RegisteredKind {
    pub(crate) fn add(&mut self, operations: &[Operation]) {
        for operation in operations {
            if !self.operations.contains(operation) {
                self.operations.push(*operation);
            }
        }
    }
}

// === impl RuleBody ===

impl RuleBody {
    pub(crate) fn needs_namespace(&self) -> bool {
        let validation = |validation: &Validation| {
            validation.expression.needs_namespace()
                || validation.message_expression.as_ref().is_some_and(Expression::needs_namespace)
        };
        self.conditions.iter().any(|condition| condition.expression.needs_namespace())
            || self.validations.iter().any(validation)
            || self.annotations.iter().any(|annotation| annotation.expression.needs_namespace())
    }
}

// === impl Autogen ===

impl Autogen {
    /// The name of the rule that is generated.
    pub(crate) fn rule_name(self) -> &'static str {
        match self {
            Self::Defaults => "autogen-defaults",
            Self::CronJobs => "autogen-cronjobs",
        }
    }

    /// The key in `status.autogen.configs`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Defaults => "defaults",
            Self::CronJobs => "cronjobs",
        }
    }
}
