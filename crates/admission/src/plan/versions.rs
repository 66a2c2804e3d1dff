//! Policies that name different versions of one resource. Pure.
//!
//! With `matchPolicy: Equivalent` the API server converts a request to a version that a rule of the
//! webhook names, but only if none names the version in which it comes. So rules for different
//! versions of a resource cannot share a webhook: the request would come unconverted, and a policy
//! that names another version would not see it. Which versions there are is what discovery says;
//! other group names of one resource are served for Events only, which nobody sees.

use std::collections::{BTreeMap, BTreeSet};

use pharos_api::policy::NamedRuleWithOperations;
use pharos_cluster::discovery::GroupResource;

/// How many sets there are at most. Of a policy that fits into none, the last one is: it may miss
/// requests in versions that it does not name.
const MAX_SETS: u8 = 8;

/// The resources that matter: those of several versions.
type Several = BTreeMap<GroupResource, BTreeSet<String>>;
/// The versions of resources that are named.
type Named<'a> = BTreeMap<&'a GroupResource, BTreeSet<&'a str>>;

/// Sets of policies of which no two name different versions of one resource.
pub(super) struct Sets<'a> {
    several: &'a Several,
    sets: Vec<Named<'a>>,
}

// === impl Sets ===

impl<'a> Sets<'a> {
    pub(super) fn of(several: &'a Several) -> Self {
        Self { several, sets: Vec::new() }
    }

    /// Puts a policy with these rules into the first set that it fits into.
    pub(super) fn place(&mut self, rules: &[NamedRuleWithOperations]) -> u8 {
        let named = named(self.several, rules);
        let fits = |set: &Named<'_>| {
            named.iter().all(|(resource, versions)| {
                set.get(resource).is_none_or(|others| others == versions)
            })
        };
        let found = self.sets.iter().position(fits).and_then(|found| u8::try_from(found).ok());
        let place = match found {
            Some(found) => found,
            None => u8::try_from(self.sets.len()).map_or(MAX_SETS, |next| next).min(MAX_SETS - 1),
        };
        if usize::from(place) == self.sets.len() {
            self.sets.push(Named::new());
        }
        if let Some(set) = self.sets.get_mut(usize::from(place)) {
            for (resource, versions) in named {
                set.entry(resource).or_insert(versions);
            }
        }
        place
    }
}

/// The versions that the rules name. Rules for parts of a resource count as rules for it.
fn named<'a>(several: &'a Several, rules: &[NamedRuleWithOperations]) -> Named<'a> {
    let mut named = Named::new();
    for (resource, versions) in several {
        let (group, plural) = resource;
        let about = rules.iter().filter(|rule| {
            let is_part = |it: &String| it.split('/').next().is_some_and(|it| is(it, plural));
            rule.api_groups.iter().any(|it| is(it, group)) && rule.resources.iter().any(is_part)
        });
        let terms: BTreeSet<_> =
            about.flat_map(|rule| &rule.api_versions).map(String::as_str).collect();
        let served = versions.iter().map(String::as_str);
        let direct: BTreeSet<_> =
            served.filter(|it| terms.iter().any(|term| is(term, it))).collect();
        if !direct.is_empty() {
            named.insert(resource, direct);
        }
    }
    named
}

fn is(term: &str, name: &str) -> bool {
    term == "*" || term == name
}
