//! Which TelemetryConfig wins for which component. Pure.
//!
//! Explicit `components` beats "all", then the oldest wins, then the first by name. Validity does
//! not count: an object edited into nonsense keeps its slot, and what it programmed before runs on.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use pharos_api::telemetryconfig::{Component, TelemetryConfig};
use pharos_cluster::view::{Observed, Uid};

/// The components that an object asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `components` is empty.
    All,
    /// Those named.
    Only(BTreeSet<Component>),
}

/// The scopes of all objects. An object that can no longer be decoded keeps the scope that it was
/// last seen with, or else counts as asking for all.
#[derive(Debug, Default)]
pub struct Scopes(BTreeMap<Uid, Scope>);

/// What selection looks at in one object.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// The object's uid.
    pub uid: &'a str,
    /// The object's name.
    pub name: &'a str,
    /// When it was created; `None` counts as the youngest.
    pub created: Option<Timestamp>,
    /// The components that it asks for.
    pub scope: &'a Scope,
}

/// The winner of each component that has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Winners(BTreeMap<Component, Uid>);

// === impl Scope ===

impl Scope {
    /// The scope that `spec.components` asks for.
    pub fn of(components: &[Component]) -> Self {
        if components.is_empty() {
            Self::All
        } else {
            Self::Only(components.iter().copied().collect())
        }
    }

    /// Whether it asks for this component.
    pub fn covers(&self, component: Component) -> bool {
        match self {
            Self::All => true,
            Self::Only(components) => components.contains(&component),
        }
    }
}

// === impl Scopes ===

impl Scopes {
    /// Takes in the objects as they are now.
    pub fn update(&mut self, objects: &BTreeMap<Uid, Observed<TelemetryConfig>>) {
        self.0.retain(|uid, _| objects.contains_key(uid));
        for (uid, observed) in objects {
            match &observed.object {
                Ok(object) => {
                    self.0.insert(uid.clone(), Scope::of(&object.spec.components));
                }
                Err(_) => {
                    self.0.entry(uid.clone()).or_insert(Scope::All);
                }
            }
        }
    }

    /// The scope of an object.
    pub fn of(&self, uid: &str) -> &Scope {
        self.0.get(uid).unwrap_or(&Scope::All)
    }

    /// The objects as candidates.
    pub fn candidates<'a>(
        &'a self,
        objects: &'a BTreeMap<Uid, Observed<TelemetryConfig>>,
    ) -> Vec<Candidate<'a>> {
        objects
            .values()
            .map(|observed| Candidate {
                uid: observed.uid(),
                name: observed.name(),
                created: observed.metadata.creation_timestamp.as_ref().map(|time| time.0),
                scope: self.of(observed.uid()),
            })
            .collect()
    }
}

// === impl Winners ===

impl Winners {
    /// The winner for one component.
    pub fn of(&self, component: Component) -> Option<&str> {
        self.0.get(&component).map(String::as_str)
    }

    /// The object that a process running these components obeys: one process has one pipeline, and
    /// the first of its components decides.
    pub fn for_process(&self, components: &BTreeSet<Component>) -> Option<&str> {
        self.of(deciding(components)?)
    }

    /// Whether the object wins for any component.
    pub fn wins(&self, uid: &str) -> bool {
        self.0.values().any(|winner| winner == uid)
    }
}

/// The component that decides for a process running these.
pub fn deciding(components: &BTreeSet<Component>) -> Option<Component> {
    Component::ALL.into_iter().find(|component| components.contains(component))
}

/// Selects the winner of every component.
pub fn select(candidates: &[Candidate<'_>]) -> Winners {
    let winner = |component| {
        candidates
            .iter()
            .filter(|candidate| candidate.scope.covers(component))
            .min_by_key(|candidate| precedence(candidate))
            .map(|candidate| (component, candidate.uid.to_owned()))
    };
    Winners(Component::ALL.into_iter().filter_map(winner).collect())
}

fn precedence<'a>(candidate: &Candidate<'a>) -> impl Ord + use<'a> {
    let explicit = matches!(candidate.scope, Scope::Only(_));
    let created = candidate.created.unwrap_or(Timestamp::MAX);
    (Reverse(explicit), created, candidate.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Component::{Admission, BackgroundScan};

    fn winners(objects: &[(&str, i64, &[Component])]) -> (Option<String>, Option<String>) {
        let scopes: Vec<_> = objects.iter().map(|object| Scope::of(object.2)).collect();
        let candidates: Vec<_> = objects
            .iter()
            .zip(&scopes)
            .map(|((name, created, _), scope)| Candidate {
                uid: name,
                name,
                created: Some(Timestamp::from_second(*created).unwrap()),
                scope,
            })
            .collect();
        let winners = select(&candidates);
        (winners.of(Admission).map(str::to_owned), winners.of(BackgroundScan).map(str::to_owned))
    }

    fn both(admission: &str, scan: &str) -> (Option<String>, Option<String>) {
        (Some(admission.to_owned()), Some(scan.to_owned()))
    }

    #[test]
    fn every_pair_has_the_winner_that_the_design_names() {
        const ALL: &[Component] = &[];
        const ADM: &[Component] = &[Admission];
        const SCAN: &[Component] = &[BackgroundScan];
        let table = [
            (ALL, ALL, both("old", "old")),
            (ALL, ADM, both("new", "old")),
            (ALL, SCAN, both("old", "new")),
            (ADM, ALL, both("old", "new")),
            (ADM, ADM, (Some("old".to_owned()), None)),
            (ADM, SCAN, both("old", "new")),
            (SCAN, ALL, both("new", "old")),
            (SCAN, ADM, both("new", "old")),
            (SCAN, SCAN, (None, Some("old".to_owned()))),
        ];
        for (old, new, expected) in table {
            assert_eq!(winners(&[("new", 2, new), ("old", 1, old)]), expected, "{old:?} {new:?}");
        }
    }

    #[test]
    fn equal_age_is_decided_by_name() {
        assert_eq!(winners(&[("b", 1, &[]), ("a", 1, &[])]), both("a", "a"));
    }

    #[test]
    fn without_objects_nobody_wins() {
        assert_eq!(winners(&[]), (None, None));
    }

    #[test]
    fn admission_decides_for_a_shared_process() {
        let scope = Scope::of(&[BackgroundScan]);
        let only_scan = Candidate { uid: "u", name: "n", created: None, scope: &scope };
        let winners = select(&[only_scan]);
        assert_eq!(winners.for_process(&BTreeSet::from([BackgroundScan])), Some("u"));
        assert_eq!(winners.for_process(&BTreeSet::from([Admission, BackgroundScan])), None);
        assert_eq!(winners.for_process(&BTreeSet::new()), None);
    }
}
