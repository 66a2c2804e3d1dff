//! Which policies a call is for, while registrations change.
//!
//! What the API server calls by is what stood in it a moment ago, and another replica may know a
//! policy earlier than this one. So a policy that moves to another webhook is evaluated at both until
//! its new place has stood for a while, and while nothing is known of the past, or while others seem
//! to plan otherwise, every policy is evaluated wherever it could be called for. A policy is never
//! missed for that reason; in such a moment it may be evaluated twice for one request, which changes
//! no verdict. [`Ledger::step`] says so, purely; [`keep`] publishes what follows.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use pharos_cluster::discovery::Resources;
use pharos_cluster::tasks::at;
use pharos_cluster::view::View;
use pharos_policy::{GroupVersionKind, GroupVersionResource, PolicyKey, PolicySet, Request};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::plan::Plan;
use crate::policies::Policies;
use crate::webhook::{Endpoint, Serves};
use crate::webhook_configuration as configuration;

/// How long API servers and other replicas get to see what we see.
const SETTLING: Duration = Duration::from_secs(5);
/// How long the leader gets to register what follows from a change. After that it plans otherwise.
const REGISTERING: Duration = Duration::from_secs(2);

/// All policies, and which of them each call is for.
#[derive(Clone)]
pub(crate) struct Serving {
    policies: Arc<Policies>,
    sets: HashMap<Endpoint, PolicySet>,
    /// For a call that nothing is known of.
    everything: PolicySet,
    resources: Arc<Resources>,
}

/// What is known of the past of the registration.
struct Ledger {
    places: BTreeMap<PolicyKey, Endpoint>,
    /// Where policies were before, and may still be called for.
    left: BTreeMap<PolicyKey, BTreeSet<Endpoint>>,
    standing: Standing,
    /// Whether what stood was ever as planned for long enough, or nothing stood.
    confirmed: bool,
}

/// Since when what stands is as planned, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    AsPlanned(Instant),
    Otherwise(Instant),
}

/// What stands, compared with the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// Nothing is registered.
    Nothing,
    AsPlanned,
    Otherwise,
}

/// What [`keep`] goes by.
pub(crate) struct Sources {
    pub(crate) policies: watch::Receiver<Option<Arc<Policies>>>,
    pub(crate) resources: watch::Receiver<Option<Arc<Resources>>>,
    pub(crate) view: watch::Receiver<View<ValidatingWebhookConfiguration>>,
}

// === impl Serving ===

impl Serving {
    /// Without any past: every call is for every policy of its failure policy that it could be for.
    pub(crate) fn of(policies: Arc<Policies>) -> Self {
        let everything = policies.set(|_| true);
        Self { policies, sets: HashMap::new(), everything, resources: Arc::default() }
    }

    /// As if what these policies ask for had always stood.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn settled(policies: Arc<Policies>) -> Self {
        let plan = Plan::of(&policies, &Resources::default(), &|_| false);
        let ledger = Ledger { confirmed: true, ..Ledger::starting(Instant::now()) };
        Self::new(policies, &plan, &ledger)
    }

    fn new(policies: Arc<Policies>, plan: &Plan, ledger: &Ledger) -> Self {
        let mut serving = Self::of(policies);
        if !ledger.confirmed {
            return serving;
        }
        let left = ledger.left.values().flatten();
        for endpoint in plan.places().values().chain(left) {
            if serving.sets.contains_key(endpoint) {
                continue;
            }
            let is_for = |name: &PolicyKey| {
                let here = plan.places().get(name) == Some(endpoint);
                here || ledger.left.get(name).is_some_and(|left| left.contains(endpoint))
            };
            let set = serving.policies.set(is_for);
            serving.sets.insert(endpoint.clone(), set);
        }
        serving
    }

    /// The policies that a call of this endpoint is for. Of a policy's own, it is that one always.
    pub(crate) fn called(&self, endpoint: &Endpoint) -> PolicySet {
        match (self.sets.get(endpoint), &endpoint.serves) {
            (Some(set), _) => set.clone(),
            (None, Serves::One(policy)) => self.policies.set(|key| key == policy),
            (None, _) => self.everything.clone(),
        }
    }

    /// The request, with the kind of the whole where it is about a part: that of a custom resource
    /// only discovery knows.
    pub(crate) fn of_the_whole<'a>(&'a self, request: Request<'a>) -> Request<'a> {
        let GroupVersionResource { group, version, resource } = request.resource;
        let kind = request.sub_resource.and_then(|_| self.resources.kind(group, version, resource));
        let known = kind.map(|kind| GroupVersionKind { group, version, kind });
        Request { resource_kind: known.unwrap_or(request.resource_kind), ..request }
    }

    /// Every policy, whatever became of it.
    pub(crate) fn policies(&self) -> &Policies {
        &self.policies
    }
}

// === impl Ledger ===

impl Ledger {
    fn starting(now: Instant) -> Self {
        Self {
            places: BTreeMap::new(),
            left: BTreeMap::new(),
            standing: Standing::Otherwise(now),
            confirmed: false,
        }
    }

    /// Takes in a plan and what stands; says when to look again, if nothing changes.
    fn step(&mut self, plan: &Plan, seen: Seen, now: Instant) -> Option<Instant> {
        for (name, before) in std::mem::replace(&mut self.places, plan.places().clone()) {
            if self.places.get(&name).is_some_and(|place| *place != before) {
                self.left.entry(name).or_default().insert(before);
            }
        }
        self.left.retain(|name, _| self.places.contains_key(name));
        self.standing = match (seen, self.standing) {
            (Seen::AsPlanned, Standing::AsPlanned(since)) => Standing::AsPlanned(since),
            (Seen::AsPlanned, _) => Standing::AsPlanned(now),
            (_, Standing::Otherwise(since)) => Standing::Otherwise(since),
            (_, Standing::AsPlanned(_)) => Standing::Otherwise(now),
        };
        if seen == Seen::Nothing {
            // Nobody calls: whatever comes to stand is planned by what is known now.
            self.confirmed = true;
            return None;
        }
        match self.standing {
            Standing::AsPlanned(since) if now >= since + SETTLING => {
                self.left.clear();
                self.confirmed = true;
                None
            }
            Standing::AsPlanned(since) => Some(since + SETTLING),
            Standing::Otherwise(since) if now >= since + REGISTERING => {
                self.confirmed = false;
                None
            }
            Standing::Otherwise(since) => Some(since + REGISTERING),
        }
    }
}

// === keep ===

/// Keeps `serving` what follows, for as long as it is polled; `None` before the policies are known.
pub(crate) async fn keep(mut sources: Sources, serving: watch::Sender<Option<Arc<Serving>>>) {
    let mut ledger = Ledger::starting(Instant::now());
    loop {
        let again = sources.look(&mut ledger, &serving);
        let changed = tokio::select! {
            changed = sources.policies.changed() => changed,
            changed = sources.resources.changed() => changed,
            changed = sources.view.changed() => changed,
            () = at(again) => Ok(()),
        };
        if changed.is_err() {
            return;
        }
    }
}

// === impl Sources ===

impl Sources {
    fn look(
        &mut self,
        ledger: &mut Ledger,
        serving: &watch::Sender<Option<Arc<Serving>>>,
    ) -> Option<Instant> {
        let policies = self.policies.borrow_and_update().clone()?;
        let resources = self.resources.borrow_and_update().clone();
        let objects = self.view.borrow_and_update().objects.clone();
        let (Some(resources), Some(objects)) = (resources, objects) else {
            serving.send_replace(Some(Arc::new(Serving::of(policies))));
            return None;
        };
        let found = objects.values().next();
        let found = found.and_then(|found| found.object.as_ref().ok()).map(AsRef::as_ref);
        let plan = Plan::of(&policies, &resources, &|policy| {
            found.is_some_and(|found| configuration::has_apart(found, policy))
        });
        let seen = match found {
            None if objects.is_empty() => Seen::Nothing,
            Some(found) if configuration::calls_for_nothing(found) => Seen::Nothing,
            Some(found) if configuration::is_as_planned(found, &plan) => Seen::AsPlanned,
            _ => Seen::Otherwise,
        };
        let again = ledger.step(&plan, seen, Instant::now());
        let next = Serving { resources, ..Serving::new(policies, &plan, ledger) };
        serving.send_replace(Some(Arc::new(next)));
        again
    }
}

#[cfg(test)]
mod tests;
