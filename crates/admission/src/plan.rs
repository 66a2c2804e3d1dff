//! Which policy is served by which webhook. Pure.
//!
//! Every replica makes the same plan of the same policies; the leader registers its own. Policies
//! share a webhook wherever that is sound, because every webhook is another call per request: those
//! of one failure policy and one match policy do, unless they name different versions of one
//! resource (see [`versions`]) or have match conditions that the API server evaluates.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::admissionregistration::v1::RuleWithOperations;
use pharos_api::policy::{MatchPolicy, NamedRuleWithOperations, ResourceScope};
use pharos_cluster::discovery::Resources;
use pharos_policy::{CompiledPolicy, PolicyKey, Registration};

use crate::policies::Policies;
use crate::webhook::{Endpoint, Serves};

use versions::Sets;

mod kinds;
mod rules;
mod versions;

/// The webhooks, and where each policy is.
#[derive(Clone, Default)]
pub(crate) struct Plan {
    webhooks: BTreeMap<Endpoint, Planned>,
    places: BTreeMap<PolicyKey, Endpoint>,
}

/// One webhook.
#[derive(Clone, Default)]
pub(crate) struct Planned {
    /// Whom it serves, in the order of their keys; at least one.
    pub(crate) policies: Vec<Arc<CompiledPolicy>>,
    /// What it has to be called for; at least one.
    pub(crate) rules: Vec<RuleWithOperations>,
}

// === impl Plan ===

impl Plan {
    /// The plan for these policies. Those that are `apart` have webhooks of their own.
    pub(crate) fn of(
        policies: &Policies,
        resources: &Resources,
        apart: &dyn Fn(&CompiledPolicy) -> bool,
    ) -> Self {
        let several = resources.of_several_versions();
        let mut sets = BTreeMap::<_, Sets<'_>>::new();
        let mut asked: BTreeMap<Endpoint, Vec<NamedRuleWithOperations>> = BTreeMap::new();
        let mut plan = Self::default();
        for policy in ordered(policies) {
            let rules = asks(policy, resources);
            // What matches nothing is not registered.
            if rules::union(&rules).is_empty() {
                continue;
            }
            let failure_policy = policy.failure_policy();
            let serves = if apart(policy) {
                Serves::One(policy.key().clone())
            } else if policy.match_policy() == MatchPolicy::Exact {
                Serves::Exact
            } else {
                let sets = sets.entry(failure_policy).or_insert_with(|| Sets::of(&several));
                Serves::Equivalent(sets.place(&rules))
            };
            let endpoint = Endpoint { failure_policy, serves };
            asked.entry(endpoint.clone()).or_default().extend(rules);
            let planned = plan.webhooks.entry(endpoint.clone()).or_default();
            planned.policies.push(policy.clone());
            plan.places.insert(policy.key().clone(), endpoint);
        }
        for (endpoint, planned) in &mut plan.webhooks {
            planned.rules = asked.get(endpoint).map(rules::union).unwrap_or_default();
        }
        plan
    }

    /// Every webhook.
    pub(crate) fn webhooks(&self) -> impl Iterator<Item = (&Endpoint, &Planned)> {
        self.webhooks.iter()
    }

    /// Where each policy is served.
    pub(crate) fn places(&self) -> &BTreeMap<PolicyKey, Endpoint> {
        &self.places
    }
}

// === impl Planned ===

impl Planned {
    /// A webhook for one policy, if it matches anything.
    pub(crate) fn alone(policy: &Arc<CompiledPolicy>, resources: &Resources) -> Option<Self> {
        let rules = rules::union(&asks(policy, resources));
        (!rules.is_empty()).then(|| Self { policies: vec![policy.clone()], rules })
    }
}

/// The policies in force, in the order of their keys.
pub(crate) fn ordered(policies: &Policies) -> Vec<&Arc<CompiledPolicy>> {
    let mut ordered: Vec<_> = policies.in_force().collect();
    ordered.sort_by(|one, other| one.key().cmp(other.key()));
    ordered
}

/// What a policy has to be asked about. One that is in a namespace is about nothing that is in none.
fn asks(policy: &CompiledPolicy, resources: &Resources) -> Vec<NamedRuleWithOperations> {
    let asks = policy.rules().iter().flat_map(|rule| match rule.registration() {
        Registration::Resources(rules) => rules.clone(),
        Registration::Kinds(kinds) => kinds::resolved(kinds, resources),
    });
    if policy.namespace().is_none() {
        return asks.collect();
    }
    asks.filter(|rule| rule.scope != Some(ResourceScope::Cluster))
        .map(|rule| NamedRuleWithOperations { scope: Some(ResourceScope::Namespaced), ..rule })
        .collect()
}

#[cfg(test)]
mod tests;
