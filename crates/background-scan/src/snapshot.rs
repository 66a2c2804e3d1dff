//! The policies of a scan at one moment. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use pharos_policy::{CompiledException, CompiledPolicy, PolicyKey, PolicySet};
use pharos_policy_cache::{Entry, Policies};
use pharos_reports::admitted::{Revision, Standing};
use pharos_reports::verdict::{About, Abouts};

/// Policies to evaluate, and what their results are to be read as. Pages that are judged share it.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) set: PolicySet,
    pub(crate) abouts: Abouts,
    /// Of all policies, also of those that scans do not ask.
    pub(crate) standing: Standing,
    members: BTreeMap<PolicyKey, Member>,
}

/// A policy and the exceptions from it. What did not change is the same object as before.
#[derive(Debug)]
struct Member {
    policy: Arc<CompiledPolicy>,
    exceptions: Vec<Arc<CompiledException>>,
}

// === impl Snapshot ===

impl Snapshot {
    /// Those of all policies that say something about what is in the cluster.
    pub(crate) fn of(policies: &Policies) -> Self {
        let entries = || policies.entries().values();
        let exceptions: Vec<_> = entries().filter_map(Entry::exception).collect();
        let member = |entry: &Entry| {
            let policy = entry.scanned()?;
            let from_it = exceptions.iter().filter(|it| it.is_from(policy.key()));
            let exceptions = from_it.map(|it| Arc::clone(it)).collect();
            let about = About::of(entry.metadata.annotations.as_ref());
            Some((policy.key().clone(), about, Member { policy: Arc::clone(policy), exceptions }))
        };
        let is_reported = |entry: &&Entry| entry.sound().is_some() && entry.is_reported();
        let reported = entries().filter(is_reported);
        let standing = Standing::of(reported.map(|entry| Revision::of(&entry.metadata)));
        let set = policies.background_set();
        let mut snapshot = Self { set, standing, ..Self::default() };
        for (key, about, member) in entries().filter_map(member) {
            snapshot.abouts.insert(key.clone(), about);
            snapshot.members.insert(key, member);
        }
        snapshot
    }

    /// The same, after those of before.
    pub(crate) fn after(self, before: &Self) -> Self {
        let standing = self.standing.after(&before.standing);
        Self { standing, ..self }
    }

    /// The policies that came, went or changed after `before`, or from which there are other exceptions:
    /// as they are and as they were.
    pub(crate) fn changed<'a>(&'a self, before: &'a Self) -> Vec<&'a CompiledPolicy> {
        let differs = |one: &Self, key: &PolicyKey, member: &Member| {
            one.members.get(key).is_none_or(|other| !other.is_same(member))
        };
        let now = self.members.iter().filter(|(key, member)| differs(before, key, member));
        let then = before.members.iter().filter(|(key, member)| differs(self, key, member));
        now.chain(then).map(|(_, member)| &*member.policy).collect()
    }

    /// The policies from which an exception expired in the meantime.
    pub(crate) fn expired(&self, since: Timestamp, now: Timestamp) -> Vec<&CompiledPolicy> {
        let expired = |exception: &Arc<CompiledException>| {
            !exception.has_expired(since) && exception.has_expired(now)
        };
        let members = self.members.values();
        let concerned = members.filter(|member| member.exceptions.iter().any(expired));
        concerned.map(|member| &*member.policy).collect()
    }
}

// === impl Member ===

impl Member {
    fn is_same(&self, other: &Self) -> bool {
        let same = |(one, other): (&Arc<_>, &Arc<_>)| Arc::ptr_eq(one, other);
        Arc::ptr_eq(&self.policy, &other.policy)
            && self.exceptions.len() == other.exceptions.len()
            && self.exceptions.iter().zip(&other.exceptions).all(same)
    }
}

#[cfg(test)]
mod tests {
    use pharos_policy_cache::Kind;
    use pharos_policy_cache::testing::{object, observed, policy};
    use serde_json::json;

    use super::*;

    fn names<'a>(changed: &[&'a CompiledPolicy]) -> Vec<&'a str> {
        changed.iter().map(|policy| policy.name()).collect()
    }

    #[test]
    fn only_what_changed_is_told_as_it_is_and_as_it_was() {
        let first = Policies::default()
            .succeed(&observed(["a", "b", "c"].map(|name| policy(name, json!({})))));
        let mut changed = policy("b", json!({"validations": [{"expression": "true"}]}));
        changed.metadata.generation = Some(2);
        let second =
            first.succeed(&observed([policy("a", json!({})), changed, policy("d", json!({}))]));
        let (first, second) = (Snapshot::of(&first), Snapshot::of(&second));
        assert_eq!(names(&second.changed(&first)), ["b", "d", "b", "c"]);
        assert!(second.changed(&second).is_empty());
    }

    #[test]
    fn an_exception_changes_the_policies_that_it_is_from() {
        let objects = observed(["a", "b"].map(|name| policy(name, json!({}))));
        let first = Policies::default().succeed(&objects);
        let exception = json!({
            "apiVersion": "policies.kyverno.io/v1", "kind": "PolicyException",
            "metadata": {"name": "e", "namespace": "shop", "uid": "e", "generation": 1},
            "spec": {"policyRefs": [{"kind": "ValidatingPolicy", "name": "a"}]},
        });
        let mut with = objects;
        with.insert(Kind::PolicyException, Arc::new([object(exception)].into()));
        let second = first.succeed(&with);
        let (first, second) = (Snapshot::of(&first), Snapshot::of(&second));
        assert_eq!(names(&second.changed(&first)), ["a", "a"]);
    }

    #[test]
    fn an_exception_that_expires_concerns_its_policies_once() {
        let exception = json!({
            "apiVersion": "policies.kyverno.io/v1", "kind": "PolicyException",
            "metadata": {"name": "e", "namespace": "shop", "uid": "e", "generation": 1},
            "spec": {
                "policyRefs": [{"kind": "ValidatingPolicy", "name": "a"}],
                "expiresAt": "2026-01-01T00:00:00Z",
            },
        });
        let mut objects = observed(["a", "b"].map(|name| policy(name, json!({}))));
        objects.insert(Kind::PolicyException, Arc::new([object(exception)].into()));
        let snapshot = Snapshot::of(&Policies::default().succeed(&objects));
        let at = |text: &str| format!("2026-01-01T00:00:{text}Z").parse::<Timestamp>().unwrap();
        let before: Timestamp = "2025-12-31T23:59:59Z".parse().unwrap();
        assert_eq!(names(&snapshot.expired(before, at("10"))), ["a"]);
        assert!(snapshot.expired(at("10"), at("20")).is_empty());
    }

    #[test]
    fn a_label_that_says_that_nothing_is_reported_takes_a_policy_away() {
        let mut labelled = policy("a", json!({}));
        let first = Policies::default().succeed(&observed([labelled.clone()]));
        let label = ("reports.kyverno.io/disabled".to_owned(), String::new());
        labelled.metadata.labels = Some([label].into());
        let second = first.succeed(&observed([labelled]));
        let (first, second) = (Snapshot::of(&first), Snapshot::of(&second));
        assert_eq!(names(&second.changed(&first)), ["a"]);
        assert_eq!((first.set.iter().count(), second.set.iter().count()), (1, 0));
        assert!(second.abouts.is_empty());
    }

    #[test]
    fn policies_that_scans_do_not_ask_stand_until_they_change_or_are_not_reported_about() {
        let unscanned = json!({"evaluation": {"background": {"enabled": false}}});
        let mut unscanned = policy("a", unscanned);
        let first = Policies::default().succeed(&observed([unscanned.clone()]));
        let snapshot = |policies: &Policies| Snapshot::of(policies).standing;
        let before = snapshot(&first);
        assert!(!snapshot(&first.succeed(&observed([unscanned.clone()]))).has_lost_some(&before));
        assert!(Snapshot::default().standing.has_lost_some(&before));
        let label = ("reports.kyverno.io/disabled".to_owned(), String::new());
        unscanned.metadata.labels = Some([label].into());
        let labelled = snapshot(&first.succeed(&observed([unscanned.clone()])));
        assert!(labelled.has_lost_some(&before));
        unscanned.metadata.labels = None;
        unscanned.metadata.generation = Some(2);
        assert!(snapshot(&first.succeed(&observed([unscanned]))).has_lost_some(&before));
    }

    #[test]
    fn an_annotation_that_says_how_results_are_read_is_a_change() {
        let mut annotated = policy("a", json!({}));
        let first = Policies::default().succeed(&observed([annotated.clone()]));
        let category = ("policies.kyverno.io/category".to_owned(), "Labels".to_owned());
        annotated.metadata.annotations = Some([category].into());
        let second = first.succeed(&observed([annotated]));
        let (first, second) = (Snapshot::of(&first), Snapshot::of(&second));
        assert_eq!(names(&second.changed(&first)), ["a", "a"]);
        let key = second.set.iter().next().unwrap().key();
        assert_eq!(second.abouts[key].category, "Labels");
    }
}
