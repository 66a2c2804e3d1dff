//! What is scanned: the resources that background policies are about, as the API server serves them.
//! Pure.
//!
//! A policy is about a resource of a group in the versions that it names, and a resource is read in one
//! version, for a report belongs to an object and not to one of its versions. [`Plan::of`] chooses it;
//! a policy that does not name that one cannot be asked, and is told of as [`Unasked`]. What a change of
//! policies concerns is [`Concern`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use pharos_cluster::discovery::{Resources, Scope};
use pharos_policy::{CompiledPolicy, PolicyKey, PolicySet};
use pharos_reports::scanned::{self, Served};

pub(crate) use patience::Patience;

mod patience;

/// A resource in the version that it is read in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Target {
    pub(crate) group: Arc<str>,
    pub(crate) resource: Arc<str>,
    pub(crate) version: Arc<str>,
    pub(crate) kind: Arc<str>,
    pub(crate) scope: Scope,
}

/// What there is to scan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) targets: BTreeSet<Target>,
    pub(crate) unasked: Vec<Unasked>,
}

/// A policy that names a resource, and not in the version that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unasked {
    pub(crate) policy: PolicyKey,
    pub(crate) target: Target,
}

/// Which objects of a target have to be judged again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Concern {
    #[default]
    Nothing,
    /// Those in these namespaces.
    Namespaces(BTreeSet<Arc<str>>),
    Everything,
}

// === impl Plan ===

impl Plan {
    /// What these policies are about, of what is served.
    pub(crate) fn of(policies: &PolicySet, served: &Resources) -> Self {
        // By group and resource: the versions, and which policies name each.
        let mut named: BTreeMap<(&str, &str), Versions<'_>> = BTreeMap::new();
        for (group, version, resource, described) in served.iter() {
            if !described.can_be_watched || scanned::is_never_reported(group, resource) {
                continue;
            }
            let as_served = Served { group, version, resource, kind: &described.kind };
            let about = |policy: &&CompiledPolicy| scanned::names(policy, as_served);
            let policies: Vec<_> = policies.iter().filter(about).collect();
            if !policies.is_empty() {
                let target = Target {
                    group: group.into(),
                    resource: resource.into(),
                    version: version.into(),
                    kind: described.kind.as_str().into(),
                    scope: described.scope,
                };
                named.entry((group, resource)).or_default().push((target, policies));
            }
        }
        let mut plan = Self::default();
        named.into_values().for_each(|versions| plan.add(versions));
        plan
    }

    fn add(&mut self, mut versions: Versions<'_>) {
        let most = |(target, policies): &(Target, Vec<&CompiledPolicy>)| {
            (policies.len(), Stability::of(&target.version))
        };
        let Some(chosen) = (0..versions.len()).max_by_key(|index| most(&versions[*index])) else {
            return;
        };
        let (target, asked) = versions.swap_remove(chosen);
        let mut unasked = BTreeSet::new();
        for policy in versions.into_iter().flat_map(|(_, policies)| policies) {
            if !asked.iter().any(|it| it.key() == policy.key()) {
                unasked.insert(policy.key().clone());
            }
        }
        let of_target = |policy| Unasked { policy, target: target.clone() };
        self.unasked.extend(unasked.into_iter().map(of_target));
        self.targets.insert(target);
    }
}

type Versions<'p> = Vec<(Target, Vec<&'p CompiledPolicy>)>;

/// Which objects of a target have to be judged again when these policies have come, gone or changed.
pub(crate) fn concerned<'p>(
    target: &Target,
    changed: impl IntoIterator<Item = &'p CompiledPolicy>,
) -> Concern {
    let about = changed.into_iter().filter(|it| scanned::names(it, target.served()));
    about.fold(Concern::Nothing, |concern, policy| match policy.namespace() {
        None => Concern::Everything,
        Some(namespace) => concern.and(Concern::Namespaces([namespace.clone()].into())),
    })
}

// === impl Target ===

impl Target {
    /// Whether the other one is the same resource, in whichever version.
    pub(crate) fn is_resource_of(&self, other: &Self) -> bool {
        let of = |it: &Self| (it.group.clone(), it.resource.clone(), it.scope);
        of(self) == of(other)
    }

    pub(crate) fn served(&self) -> Served<'_> {
        let Self { group, version, resource, kind, .. } = self;
        Served { group, version, resource, kind }
    }

    /// As in `apps/v1`.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_string()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}

/// As in `deployments.v1.apps`.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, resource, version, .. } = self;
        write!(f, "{resource}.{version}")?;
        if group.is_empty() { Ok(()) } else { write!(f, ".{group}") }
    }
}

// === impl Concern ===

impl Concern {
    /// This and that.
    #[must_use]
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Everything, _) | (_, Self::Everything) => Self::Everything,
            (Self::Nothing, concern) | (concern, Self::Nothing) => concern,
            (Self::Namespaces(mut one), Self::Namespaces(other)) => {
                one.extend(other);
                Self::Namespaces(one)
            }
        }
    }

    /// Whether it is about an object in that namespace.
    pub(crate) fn is_about(&self, namespace: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Namespaces(namespaces) => namespaces.contains(namespace),
            Self::Everything => true,
        }
    }
}

/// How much a version is to be preferred, as the API server orders them: stable ones, then beta, then
/// alpha, newer ones before older ones, and what is no version last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Stability {
    level: u8,
    major: u32,
    minor: u32,
}

// === impl Stability ===

impl Stability {
    fn of(version: &str) -> Self {
        let unknown = Self { level: 0, major: 0, minor: 0 };
        let Some(rest) = version.strip_prefix('v') else { return unknown };
        let (level, (major, minor)) = if let Some(parts) = rest.split_once("beta") {
            (2, parts)
        } else if let Some(parts) = rest.split_once("alpha") {
            (1, parts)
        } else {
            (3, (rest, "0"))
        };
        match (major.parse(), minor.parse()) {
            (Ok(major), Ok(minor)) => Self { level, major, minor },
            _ => unknown,
        }
    }
}

#[cfg(test)]
mod tests;
