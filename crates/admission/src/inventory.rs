//! What is told of the policies themselves: which there are, and what becomes of them.
//!
//! [`inventory`] and [`changes`] say it, pure; [`keep`] tells it at every change. A policy is told as
//! it was compiled, and as it was written where it could not be. Of kinds that are not evaluated
//! here, and of exceptions, nothing is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use pharos_cluster::view::Uid;
use pharos_instruments::{BackgroundMode, ChangeType, PolicyInfo, PolicyKind, ValidationMode};
use serde_json::Value;
use tokio::sync::watch;

use crate::policies::{Entry, Kind, Outcome, Policies};
use crate::record::{Facts, policy_facts};

/// Every policy, and the version of it.
type Inventory = BTreeMap<Uid, (Option<i64>, PolicyInfo)>;

/// Tells what becomes of `policies`, for as long as it is polled.
pub(crate) async fn keep(
    mut policies: watch::Receiver<Option<Arc<Policies>>>,
    facts: Arc<dyn Facts>,
) {
    let mut before = Inventory::new();
    loop {
        let now = policies.borrow_and_update().clone();
        if let Some(now) = now {
            let now = inventory(&now);
            for (policy, change) in changes(&before, &now) {
                facts.policy_changed(&policy.facts(), change);
            }
            if before != now {
                facts.policies(now.values().map(|(_, policy)| policy.clone()).collect());
            }
            before = now;
        }
        if policies.changed().await.is_err() {
            return;
        }
    }
}

/// Counts what a controller has published, by Kyverno's name for it, for as long as it is polled.
pub(crate) async fn count<T>(
    mut published: watch::Receiver<Option<T>>,
    controller: &'static str,
    facts: Arc<dyn Facts>,
) {
    loop {
        if published.borrow_and_update().is_some() {
            facts.reconciled(controller);
        }
        if published.changed().await.is_err() {
            return;
        }
    }
}

fn inventory(policies: &Policies) -> Inventory {
    let told = |(uid, entry): (&Uid, &Entry)| {
        Some((uid.clone(), (entry.metadata.generation, info(entry)?)))
    };
    policies.entries().iter().filter_map(told).collect()
}

/// Who was told before and is no more, then who is new or another.
fn changes<'a>(before: &'a Inventory, now: &'a Inventory) -> Vec<(&'a PolicyInfo, ChangeType)> {
    let gone = before.iter().filter(|(uid, _)| !now.contains_key(*uid));
    let gone = gone.map(|(_, (_, policy))| (policy, ChangeType::Deleted));
    let changed = now.iter().filter_map(|(uid, (generation, policy))| match before.get(uid) {
        None => Some((policy, ChangeType::Created)),
        Some((seen, _)) if seen != generation => Some((policy, ChangeType::Updated)),
        Some(_) => None,
    });
    gone.chain(changed).collect()
}

fn info(entry: &Entry) -> Option<PolicyInfo> {
    let kind = match entry.kind {
        Kind::ValidatingPolicy => PolicyKind::ValidatingPolicy,
        Kind::NamespacedValidatingPolicy => PolicyKind::NamespacedValidatingPolicy,
        Kind::ClusterPolicy => PolicyKind::ClusterPolicy,
        Kind::Policy => PolicyKind::Policy,
        Kind::PolicyException | Kind::Other(_) => return None,
    };
    let name: Arc<str> = entry.metadata.name.as_deref()?.into();
    let namespace = entry.metadata.namespace.as_deref().map(Into::into);
    let is_ready = entry.outcome.is_ready();
    if let Outcome::InForce(compiled) = &entry.outcome {
        let facts = policy_facts(compiled);
        // The rule that a ValidatingPolicy is has no name of its own.
        let named = |rule: &Arc<str>| if rule.is_empty() { name.clone() } else { rule.clone() };
        let rules = compiled.rules().iter().map(|rule| named(rule.name())).collect();
        let (validation_mode, background_mode) = (facts.validation_mode, facts.background_mode);
        return Some(PolicyInfo {
            kind,
            namespace,
            name,
            validation_mode,
            background_mode,
            is_ready,
            rules,
        });
    }
    let nothing = Value::Null;
    let spec = entry.object.as_ref().map_or(&nothing, |object| &object.data["spec"]);
    Some(PolicyInfo {
        kind,
        namespace,
        rules: written_rules(spec, &name),
        name,
        validation_mode: if denies(spec) { ValidationMode::Deny } else { ValidationMode::Audit },
        background_mode: if is_scanned(spec) {
            BackgroundMode::Enabled
        } else {
            BackgroundMode::Disabled
        },
        is_ready,
    })
}

/// The names of the rules that somebody wrote; a ValidatingPolicy is one.
fn written_rules(spec: &Value, policy: &Arc<str>) -> Vec<Arc<str>> {
    match spec["rules"].as_array() {
        None => vec![Arc::clone(policy)],
        Some(rules) => {
            rules.iter().filter_map(|rule| Some(rule["name"].as_str()?.into())).collect()
        }
    }
}

/// As Kyverno decides it, for policies of either group.
fn denies(spec: &Value) -> bool {
    let enforces = |action: &Value| {
        action.as_str().is_some_and(|action| action.eq_ignore_ascii_case("enforce"))
    };
    let rules = spec["rules"].as_array().into_iter().flatten();
    match spec["validationActions"].as_array() {
        Some(actions) => actions.iter().any(|action| action == "Deny"),
        None if spec["rules"].is_null() => true,
        None => {
            enforces(&spec["validationFailureAction"])
                || rules.into_iter().any(|rule| enforces(&rule["validate"]["failureAction"]))
        }
    }
}

fn is_scanned(spec: &Value) -> bool {
    let said = [&spec["background"], &spec["evaluation"]["background"]["enabled"]];
    !said.contains(&&Value::Bool(false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{observed, policy};
    use pharos_api::policy::ValidatingPolicy;
    use serde_json::json;

    fn of(policies: impl IntoIterator<Item = ValidatingPolicy>) -> Inventory {
        inventory(&Policies::default().succeed(&observed(policies)))
    }

    fn generation(mut policy: ValidatingPolicy, generation: i64) -> ValidatingPolicy {
        policy.metadata.generation = Some(generation);
        policy
    }

    #[test]
    fn what_becomes_of_policies_is_told_once() {
        let (a, b) = (policy("a", json!({})), policy("b", json!({})));
        let first = of([generation(a.clone(), 1), generation(b, 1)]);
        let told = |before: &Inventory, now: &Inventory| {
            let told = changes(before, now).into_iter();
            told.map(|(policy, change)| (policy.name.to_string(), change)).collect::<Vec<_>>()
        };
        let named = |name: &str, change| (name.to_owned(), change);
        let created = ["a", "b"].map(|name| named(name, ChangeType::Created));
        assert_eq!(told(&Inventory::new(), &first), created);
        assert_eq!(told(&first, &first), []);
        let second = of([generation(a, 2)]);
        let expected = [named("b", ChangeType::Deleted), named("a", ChangeType::Updated)];
        assert_eq!(told(&first, &second), expected);
    }

    #[test]
    fn a_policy_that_cannot_be_compiled_is_told_as_it_was_written() {
        let broken =
            json!({"validations": [{"expression": "object.("}], "validationActions": ["Audit"]});
        let policies = of([policy("broken", broken), policy("sound", json!({}))]);
        let told: Vec<_> = policies
            .values()
            .map(|(_, it)| (&*it.name, it.is_ready, it.validation_mode, it.rules.len()))
            .collect();
        let expected =
            [("broken", false, ValidationMode::Audit, 1), ("sound", true, ValidationMode::Deny, 3)];
        assert_eq!(told, expected);
        let sound = &policies["sound"].1;
        assert_eq!(&*sound.rules[0], "sound", "the others are generated");
        assert!(sound.rules[1..].iter().all(|rule| rule.starts_with("autogen-")));
    }

    #[test]
    fn the_modes_of_a_cluster_policy_are_those_that_kyverno_reads_in_it() {
        let spec = json!({
            "background": false,
            "rules": [{"name": "a"}, {"name": "b", "validate": {"failureAction": "Enforce"}}],
        });
        assert!(denies(&spec) && !is_scanned(&spec));
        let audits = json!({"validationFailureAction": "Audit", "rules": []});
        assert!(!denies(&audits) && is_scanned(&audits));
        assert!(denies(&json!({"validationFailureAction": "enforce", "rules": []})));
        let names = written_rules(&spec, &"p".into());
        assert_eq!(names.iter().map(|it| &**it).collect::<Vec<_>>(), ["a", "b"]);
    }
}
