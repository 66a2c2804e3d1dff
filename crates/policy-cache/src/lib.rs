//! The policies of a cluster, compiled: from what the API server holds to sets that can be evaluated.
//!
//! Admission and background scans read the same policies, and a process that does both has them once.
//! [`Sources`] watches every kind; [`Policies::succeed`] is the step, pure: every policy is judged by
//! itself, so that a broken one is an entry with its error and the others go on; one that did not
//! change is not compiled again. [`keep`] takes the step at every change. Readers take one snapshot
//! per request or per page.
//!
//! It must not evaluate a policy, nor know why somebody does.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::DynamicObject;
use pharos_cluster::view::{Observed, Uid};
use pharos_policy::{CompiledException, CompiledPolicy, Origin, PolicyKey, PolicySet};
use serde_json::Value;
use tokio::sync::watch;

mod exceptions;
mod kind;
mod list;
mod outcome;
mod sources;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use exceptions::{ExceptionNamespaces, NoNamespace};
pub use kind::Kind;
pub use list::{ListError, list};
pub use outcome::{Defect, Outcome};
pub use sources::{Missing, Objects, Sources};

/// The label of policies that are not reported about.
const UNREPORTED: &str = "reports.kyverno.io/disabled";

/// All policies at one moment.
#[derive(Default)]
pub struct Policies {
    entries: BTreeMap<Uid, Entry>,
    exceptions: ExceptionNamespaces,
}

/// One object as it was seen and what became of it.
#[derive(Clone)]
pub struct Entry {
    /// Its kind.
    pub kind: Kind,
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// The object, unless not even that much can be decoded.
    pub object: Option<Arc<DynamicObject>>,
    /// What became of it.
    pub outcome: Outcome,
}

// === impl Policies ===

impl Policies {
    /// None so far, and the exceptions of those namespaces will count.
    pub fn with_exceptions_of(exceptions: ExceptionNamespaces) -> Self {
        Self { entries: BTreeMap::new(), exceptions }
    }

    /// What follows on these policies when the API server holds `objects`.
    pub fn succeed(&self, objects: &BTreeMap<Kind, Objects>) -> Self {
        let mut entries = BTreeMap::new();
        for (kind, objects) in objects {
            for (uid, observed) in objects.iter() {
                entries.insert(uid.clone(), self.entry(*kind, uid, observed));
            }
        }
        Self { entries, exceptions: self.exceptions.clone() }
    }

    fn entry(&self, kind: Kind, uid: &str, observed: &Observed<DynamicObject>) -> Entry {
        let same = self.entries.get(uid).filter(|before| before.is_as_in(&observed.metadata));
        let outcome = match (&observed.object, same) {
            (Ok(_), Some(before)) => before.outcome.clone(),
            (Ok(object), None) => Outcome::of(kind, object, &self.exceptions),
            (Err(error), _) => Outcome::Broken(Defect::Undecodable(error.clone())),
        };
        let object = observed.object.as_ref().ok().cloned();
        Entry { kind, metadata: observed.metadata.clone(), object, outcome }
    }

    /// Every policy that is evaluated when a request is to be admitted.
    pub fn in_force(&self) -> impl Iterator<Item = &Arc<CompiledPolicy>> {
        self.entries.values().filter_map(Entry::compiled)
    }

    /// Those of them that are `wanted`, to be evaluated together.
    pub fn set(&self, wanted: impl Fn(&PolicyKey) -> bool) -> PolicySet {
        let wanted = self.in_force().filter(|policy| wanted(policy.key()));
        PolicySet::new(Origin::Admission, wanted.cloned(), self.exceptions())
    }

    /// Every policy that says something about what is in the cluster already.
    pub fn background_set(&self) -> PolicySet {
        let scanned = self.entries.values().filter_map(Entry::scanned);
        PolicySet::new(Origin::BackgroundScan, scanned.cloned(), self.exceptions())
    }

    fn exceptions(&self) -> impl Iterator<Item = Arc<CompiledException>> {
        self.entries.values().filter_map(Entry::exception).cloned()
    }

    /// Every object, whatever became of it.
    pub fn entries(&self) -> &BTreeMap<Uid, Entry> {
        &self.entries
    }

    /// The object that a policy in force was compiled from, for an Event.
    pub fn reference(&self, policy: &CompiledPolicy) -> Option<ObjectReference> {
        self.entry_of(policy).map(Entry::reference)
    }

    /// The entry of a policy in force.
    pub fn entry_of(&self, policy: &CompiledPolicy) -> Option<&Entry> {
        let is_it = |entry: &&Entry| {
            entry.compiled().is_some_and(|compiled| std::ptr::eq(Arc::as_ptr(compiled), policy))
        };
        self.entries.values().find(is_it)
    }

    /// The object that an exception in force was compiled from, for an Event.
    pub fn reference_to(&self, exception: &CompiledException) -> Option<ObjectReference> {
        let is_it = |entry: &&Entry| {
            entry.exception().is_some_and(|it| std::ptr::eq(Arc::as_ptr(it), exception))
        };
        self.entries.values().find(is_it).map(Entry::reference)
    }

    /// Whether any policy in force needs to know namespaces.
    pub fn need_namespaces(&self) -> bool {
        self.in_force().any(|policy| policy.needs_namespace())
    }

    /// Whether any policy in force needs to know who has which roles.
    pub fn need_roles(&self) -> bool {
        self.in_force().any(|policy| policy.needs_roles())
    }
}

// === impl Entry ===

impl Entry {
    /// Whether what it was compiled from is the same. Labels and annotations do not count among what
    /// a generation is of, and say of some policies what is generated from them.
    fn is_as_in(&self, metadata: &ObjectMeta) -> bool {
        let said = |it: &ObjectMeta| (it.generation, it.labels.clone(), it.annotations.clone());
        metadata.generation.is_some() && said(&self.metadata) == said(metadata)
    }

    /// The policy, if it is evaluated when a request is to be admitted.
    pub fn compiled(&self) -> Option<&Arc<CompiledPolicy>> {
        match &self.outcome {
            Outcome::InForce(compiled) => Some(compiled),
            _ => None,
        }
    }

    /// The policy, if it can be evaluated at all.
    pub fn sound(&self) -> Option<&Arc<CompiledPolicy>> {
        match &self.outcome {
            Outcome::InForce(compiled) | Outcome::NotForAdmission(compiled) => Some(compiled),
            _ => None,
        }
    }

    /// The policy, if it says something about what is in the cluster already.
    pub fn scanned(&self) -> Option<&Arc<CompiledPolicy>> {
        let is_scanned = |it: &&Arc<CompiledPolicy>| {
            self.is_reported() && it.is_evaluated_for(Origin::BackgroundScan)
        };
        self.sound().filter(is_scanned)
    }

    /// Whether what it says is reported: with Kyverno, a label of whatever value says that it is not.
    pub fn is_reported(&self) -> bool {
        self.metadata.labels.as_ref().is_none_or(|labels| !labels.contains_key(UNREPORTED))
    }

    /// The exception, if it is one.
    pub fn exception(&self) -> Option<&Arc<CompiledException>> {
        match &self.outcome {
            Outcome::Exception(exception) => Some(exception),
            _ => None,
        }
    }

    /// The object, for an Event.
    pub fn reference(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some(self.api_version()),
            kind: Some(self.kind.name().to_owned()),
            name: self.metadata.name.clone(),
            namespace: self.metadata.namespace.clone(),
            uid: self.metadata.uid.clone(),
            ..ObjectReference::default()
        }
    }

    /// A field of the object; null if it is not there.
    pub fn field(&self, name: &str) -> &Value {
        let field = self.object.as_ref().and_then(|object| object.data.get(name));
        field.unwrap_or(&Value::Null)
    }

    /// The version that it was read in.
    pub fn api_version(&self) -> String {
        let types = self.object.as_ref().and_then(|object| object.types.as_ref());
        types.map_or_else(
            || {
                let custom = self.kind.custom();
                format!("{}/{}", custom.group, custom.versions[0])
            },
            |types| types.api_version.clone(),
        )
    }

    /// The object's name; empty only if the API server sent none.
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }
}

/// Keeps `policies` what follows on `objects`, for as long as it is polled.
pub async fn keep(
    mut objects: Sources,
    exceptions: ExceptionNamespaces,
    policies: watch::Sender<Option<Arc<Policies>>>,
) {
    let none = Arc::new(Policies::with_exceptions_of(exceptions));
    loop {
        if let Ok(observed) = objects.snapshot() {
            let before = policies.borrow().clone().unwrap_or_else(|| none.clone());
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
