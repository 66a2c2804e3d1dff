//! The policies in force: from what the API server holds to one compiled set per webhook.
//!
//! [`Policies::succeed`] is the step, pure: every policy is judged by itself, so that a broken one
//! is an entry with its error and the others go on; one that did not change is not compiled again.
//! [`keep`] takes the step at every change. Readers take one snapshot per request.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use pharos_api::policy::{
    EvaluationMode, FailurePolicy, ValidatingPolicy, ValidatingPolicySpec,
};
use pharos_cluster::view::{Observed, Uid, View};
use crate::shim as pharos_policy;
use crate::shim::{CompiledPolicy, PolicySet};
use tokio::sync::watch;

use crate::webhook;

/// All policies at one moment.
#[derive(Default)]
pub(crate) struct Policies {
    fail_open: PolicySet,
    fail_closed: PolicySet,
    entries: BTreeMap<Uid, Entry>,
}

/// One policy as it was seen and what became of it.
pub(crate) struct Entry {
    pub(crate) metadata: ObjectMeta,
    /// The object, unless it cannot be decoded.
    pub(crate) object: Option<Arc<ValidatingPolicy>>,
    pub(crate) outcome: Outcome,
}

/// What became of a policy.
#[derive(Clone)]
pub(crate) enum Outcome {
    /// Evaluated at every request that it matches.
    InForce(Arc<CompiledPolicy>),
    /// Sound, but it says itself that it is not for admission.
    NotForAdmission,
    /// Evaluated nowhere.
    Broken(Defect),
}

/// Why a policy is not evaluated.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Defect {
    /// A closed word.
    pub(crate) reason: &'static str,
    /// Which expression, and why.
    pub(crate) message: String,
}

// === impl Policies ===

impl Policies {
    /// What follows on these policies when the API server holds `objects`.
    fn succeed(&self, objects: &BTreeMap<Uid, Observed<ValidatingPolicy>>) -> Self {
        let entries: BTreeMap<_, _> = objects
            .iter()
            .map(|(uid, observed)| (uid.clone(), self.entry(uid, observed)))
            .collect();
        let set = |group| {
            let in_group = |entry: &&Entry| {
                entry.spec().is_some_and(|policy| webhook::group(policy) == group)
            };
            entries.values().filter(in_group).filter_map(Entry::compiled).cloned().collect()
        };
        Self {
            fail_open: set(FailurePolicy::Ignore),
            fail_closed: set(FailurePolicy::Fail),
            entries,
        }
    }

    fn entry(&self, uid: &str, observed: &Observed<ValidatingPolicy>) -> Entry {
        let compiled_before = self
            .entries
            .get(uid)
            .filter(|before| before.metadata.generation == observed.metadata.generation)
            .filter(|before| before.object.is_some() && observed.object.is_ok());
        let outcome = match (compiled_before, &observed.object) {
            (Some(before), _) => before.outcome.clone(),
            (None, Ok(object)) => Outcome::of(object),
            (None, Err(error)) => {
                Outcome::Broken(Defect { reason: "Undecodable", message: error.clone() })
            }
        };
        Entry {
            metadata: observed.metadata.clone(),
            object: observed.object.as_ref().ok().cloned(),
            outcome,
        }
    }

    /// The compiled policies of one webhook.
    pub(crate) fn of(&self, group: FailurePolicy) -> &PolicySet {
        match group {
            FailurePolicy::Ignore => &self.fail_open,
            FailurePolicy::Fail => &self.fail_closed,
        }
    }

    /// Every policy, whatever became of it.
    pub(crate) fn entries(&self) -> &BTreeMap<Uid, Entry> {
        &self.entries
    }

    /// The specs of the policies that are evaluated.
    pub(crate) fn in_force(&self) -> impl Iterator<Item = &ValidatingPolicySpec> + Clone {
        self.entries
            .values()
            .filter(|entry| matches!(entry.outcome, Outcome::InForce(_)))
            .filter_map(Entry::spec)
    }
}

// === impl Entry ===

impl Entry {
    fn spec(&self) -> Option<&ValidatingPolicySpec> {
        self.object.as_deref().map(|object| &object.spec)
    }

    fn compiled(&self) -> Option<&Arc<CompiledPolicy>> {
        match &self.outcome {
            Outcome::InForce(compiled) => Some(compiled),
            Outcome::NotForAdmission | Outcome::Broken(_) => None,
        }
    }
}

// === impl Outcome ===

impl Outcome {
    fn of(policy: &ValidatingPolicy) -> Self {
        match pharos_policy::compile(policy) {
            Ok(_) if !is_for_admission(&policy.spec) => Self::NotForAdmission,
            Ok(compiled) => Self::InForce(Arc::new(compiled)),
            Err(errors) => {
                Self::Broken(Defect { reason: errors.reason(), message: errors.to_string() })
            }
        }
    }
}

fn is_for_admission(policy: &ValidatingPolicySpec) -> bool {
    let Some(evaluation) = &policy.evaluation else { return true };
    evaluation.mode.unwrap_or_default() == EvaluationMode::Kubernetes
        && evaluation.admission.is_none_or(|admission| admission.enabled)
}

/// Keeps `policies` what follows on `objects`, for as long as it is polled.
pub(crate) async fn keep(
    mut objects: watch::Receiver<View<ValidatingPolicy>>,
    policies: watch::Sender<Option<Arc<Policies>>>,
) {
    loop {
        let observed = objects.borrow_and_update().objects.clone();
        if let Some(observed) = observed {
            let before = policies.borrow().clone().unwrap_or_default();
            policies.send_replace(Some(Arc::new(before.succeed(&observed))));
        }
        if objects.changed().await.is_err() {
            return;
        }
    }
}

