//! The policies in force and the exceptions from them: a snapshot that never changes, indexed so that
//! a request finds the policies about its resource without asking the others.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::exception::CompiledException;
use crate::kind::PolicyKey;
use crate::matching::Term;
use crate::policy::{CompiledPolicy, Origin};
use crate::request::GroupVersionResource;

/// Policies, in the order of their keys. A new set is made for every change; it shares the
/// policies that did not change.
#[derive(Clone, Debug, Default)]
pub struct PolicySet {
    policies: Arc<[Arc<CompiledPolicy>]>,
    /// Those from each policy, at its position.
    exceptions: Arc<[Vec<Arc<CompiledException>>]>,
    /// Positions in `policies`, ascending, by group and resource; `*` where a rule says so.
    index: Arc<Index>,
}

type Index = HashMap<Box<str>, HashMap<Box<str>, Vec<usize>>>;

const ALL: &str = "*";

// === impl PolicySet ===

impl PolicySet {
    /// The policies that are evaluated for that reason, and the exceptions from them. Of two with one
    /// key, the later one counts.
    pub fn new(
        origin: Origin,
        policies: impl IntoIterator<Item = Arc<CompiledPolicy>>,
        exceptions: impl IntoIterator<Item = Arc<CompiledException>>,
    ) -> Self {
        let by_key: BTreeMap<PolicyKey, Arc<CompiledPolicy>> = policies
            .into_iter()
            .filter(|policy| policy.is_evaluated_for(origin))
            .map(|policy| (policy.key().clone(), policy))
            .collect();
        let policies: Arc<[_]> = by_key.into_values().collect();
        let exceptions: BTreeMap<_, _> = exceptions
            .into_iter()
            .map(|exception| ((exception.namespace().clone(), exception.name().clone()), exception))
            .collect();
        let of_policy = |policy: &Arc<CompiledPolicy>| {
            let of_policy = exceptions.values().filter(|it| it.is_from(policy.key()));
            of_policy.cloned().collect()
        };
        let exceptions = policies.iter().map(of_policy).collect();
        let index = index(&policies);
        Self { policies, exceptions, index: Arc::new(index) }
    }

    /// The policies.
    pub fn iter(&self) -> impl Iterator<Item = &CompiledPolicy> {
        self.policies.iter().map(AsRef::as_ref)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.policies.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// Whether a policy about that resource needs to know the roles of the user.
    pub fn needs_roles(&self, resource: GroupVersionResource<'_>) -> bool {
        self.about(resource).any(|(policy, _)| policy.needs_roles())
    }

    /// Whether a policy about that resource, or an exception from one, needs to know the request's
    /// namespace.
    pub fn needs_namespace(&self, resource: GroupVersionResource<'_>) -> bool {
        self.about(resource).any(|(policy, exceptions)| {
            policy.needs_namespace() || exceptions.iter().any(|it| it.needs_namespace())
        })
    }

    /// The policies with a rule about that group and resource, each once, in order, with the
    /// exceptions from it.
    pub(crate) fn about(
        &self,
        resource: GroupVersionResource<'_>,
    ) -> impl Iterator<Item = (&CompiledPolicy, &[Arc<CompiledException>])> {
        let mut lists: [&[usize]; 4] = [
            self.listed(resource.group, resource.resource),
            self.listed(resource.group, ALL),
            self.listed(ALL, resource.resource),
            self.listed(ALL, ALL),
        ];
        std::iter::from_fn(move || {
            let next = *lists.iter().filter_map(|list| list.first()).min()?;
            for list in &mut lists {
                if list.first() == Some(&next) {
                    *list = &list[1..];
                }
            }
            Some((self.policies.get(next)?.as_ref(), self.exceptions.get(next)?.as_slice()))
        })
    }

    fn listed(&self, group: &str, resource: &str) -> &[usize] {
        let resources = self.index.get(group);
        resources.and_then(|resources| resources.get(resource)).map_or(&[], Vec::as_slice)
    }
}

fn index(policies: &[Arc<CompiledPolicy>]) -> Index {
    let mut index = Index::new();
    for (position, policy) in policies.iter().enumerate() {
        let keys: BTreeSet<_> = policy
            .rules()
            .iter()
            .flat_map(|rule| rule.matcher.keys())
            .map(|(group, resource)| (key(group), key(resource)))
            .collect();
        for (group, resource) in keys {
            index
                .entry(group.into())
                .or_default()
                .entry(resource.into())
                .or_default()
                .push(position);
        }
    }
    index
}

fn key(term: &Term) -> &str {
    match term {
        Term::All => ALL,
        Term::Exactly(name) => name,
    }
}
