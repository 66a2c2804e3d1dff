//! The policies in force: from what the API server holds to one compiled set per webhook.
//!
//! [`Policies::succeed`] is the step, pure: every policy is judged by itself, so that a broken one
//! is an entry with its error and the others go on; one that did not change is not compiled again.
//! [`keep`] takes the step at every change. Readers take one snapshot per request.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use pharos_api::policy::{FailurePolicy, ValidatingPolicy};
use pharos_cluster::view::{Observed, Uid, View};
use pharos_policy::{CompiledPolicy, Origin, PolicySet};
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
#[derive(Clone)]
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
    pub(crate) fn succeed(&self, objects: &BTreeMap<Uid, Observed<ValidatingPolicy>>) -> Self {
        let entries: BTreeMap<_, _> = objects
            .iter()
            .map(|(uid, observed)| (uid.clone(), self.entry(uid, observed)))
            .collect();
        let set = |group| {
            let in_group = entries.values().filter(|entry| entry.group() == Some(group));
            PolicySet::new(Origin::Admission, in_group.filter_map(Entry::compiled).cloned())
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

    /// Whether any policy in force needs to know namespaces.
    pub(crate) fn need_namespaces(&self) -> bool {
        [&self.fail_open, &self.fail_closed]
            .into_iter()
            .flat_map(PolicySet::iter)
            .any(CompiledPolicy::needs_namespace)
    }
}

// === impl Entry ===

impl Entry {
    fn group(&self) -> Option<FailurePolicy> {
        self.object.as_deref().map(|object| webhook::group(&object.spec))
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
            Ok(compiled) if compiled.is_evaluated_for(Origin::Admission) => {
                Self::InForce(Arc::new(compiled))
            }
            Ok(_) => Self::NotForAdmission,
            Err(errors) => {
                Self::Broken(Defect { reason: errors.reason(), message: errors.to_string() })
            }
        }
    }
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
            // Many policies, or large ones, take longer to compile than a review should wait.
            let next = match tokio::task::spawn_blocking(move || before.succeed(&observed)).await {
                Ok(next) => next,
                Err(died) if died.is_panic() => std::panic::resume_unwind(died.into_panic()),
                // The runtime ends.
                Err(_) => return,
            };
            policies.send_replace(Some(Arc::new(next)));
        }
        if objects.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
