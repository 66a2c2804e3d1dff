//! What the leader writes into the status of policies: whether each is evaluated, and why not.
//!
//! [`desired`] is pure. Written by server-side apply under one field manager, with the
//! resourceVersion that it was computed from, and only when it differs: a leader that wakes late
//! gets a 409, and the watch then brings what to compute from.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::api::{Patch, PatchParams};
use kube::core::DeserializeGuard;
use kube::{Api, Resource};
use pharos_api::policy::{PolicyConditionStatus, ValidatingPolicy};
use pharos_cluster::election::Leadership;
use pharos_cluster::in_time;
use pharos_cluster::trouble::{Episode, Trouble};
use pharos_cluster::view::Uid;
use serde_json::json;
use tokio::sync::watch;

use crate::policies::{Entry, Outcome, Policies};

/// The owner of every field of status, the same for every leader.
const FIELD_MANAGER: &str = "pharos-policy-status";
/// Kyverno's name for the condition that a policy was taken in.
const POLICY_CACHED: &str = "PolicyCached";
const SUCCEEDED: &str = "Succeeded";
/// What the CRD admits.
const LONGEST_MESSAGE: usize = 32_768;
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Writes policy status while it leads.
pub(crate) struct StatusWriter {
    /// Guarded, because the answer to a write is the object, decodable or not.
    api: Api<DeserializeGuard<ValidatingPolicy>>,
    policies: watch::Receiver<Option<Arc<Policies>>>,
    leadership: watch::Receiver<Leadership>,
    /// What was written to policies whose status cannot be read back, because they cannot be
    /// decoded.
    written: BTreeMap<Uid, PolicyConditionStatus>,
}

/// The status of a policy, with the transition times of `current` where nothing changed.
fn desired(
    entry: &Entry,
    current: Option<&PolicyConditionStatus>,
    now: Timestamp,
) -> PolicyConditionStatus {
    let (ready, reason, message) = match &entry.outcome {
        Outcome::InForce(_) => (true, SUCCEEDED, "every expression compiles".to_owned()),
        Outcome::NotForAdmission => {
            (true, "NotForAdmission", "spec.evaluation excludes admission".to_owned())
        }
        Outcome::Broken(defect) => (false, defect.reason, shortened(&defect.message)),
    };
    let status = if ready { "True" } else { "False" };
    let since = current
        .and_then(|current| current.conditions.iter().find(|was| was.type_ == POLICY_CACHED))
        .filter(|was| was.status == status)
        .map_or(Time(now), |was| was.last_transition_time.clone());
    PolicyConditionStatus {
        ready: Some(ready),
        message: Some(message.clone()),
        conditions: vec![Condition {
            type_: POLICY_CACHED.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message,
            observed_generation: entry.metadata.generation,
            last_transition_time: since,
        }],
    }
}

/// Whether `current` says all that is ours to say. Conditions of other types are of others.
fn stands(desired: &PolicyConditionStatus, current: &PolicyConditionStatus) -> bool {
    let ours = current.conditions.iter().filter(|condition| condition.type_ == POLICY_CACHED);
    current.ready == desired.ready
        && current.message == desired.message
        && ours.eq(&desired.conditions)
}

fn shortened(message: &str) -> String {
    message.chars().take(LONGEST_MESSAGE).collect()
}

// === impl StatusWriter ===

impl StatusWriter {
    pub(crate) fn new(
        api: Api<DeserializeGuard<ValidatingPolicy>>,
        policies: watch::Receiver<Option<Arc<Policies>>>,
        leadership: watch::Receiver<Leadership>,
    ) -> Self {
        Self { api, policies, leadership, written: BTreeMap::new() }
    }

    /// Keeps every status true while this process leads, for as long as it is polled.
    pub(crate) async fn run(mut self) {
        let mut episode = Episode::of("write policy status");
        loop {
            let leads = self.leadership.borrow_and_update().holds();
            let policies = self.policies.borrow_and_update().clone();
            let outcome = match policies {
                Some(policies) if leads => self.write_all(&policies).await,
                _ => Ok(()),
            };
            match outcome {
                Ok(()) => drop(episode.succeeded()),
                Err(error) => {
                    episode.failed(Trouble::of(&error), &error);
                    tokio::time::sleep(RETRY_AFTER).await;
                    continue;
                }
            }
            let changed = tokio::select! {
                changed = self.leadership.changed() => changed,
                changed = self.policies.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// Tries every policy, and reports the first failure.
    async fn write_all(&mut self, policies: &Policies) -> Result<(), kube::Error> {
        self.written.retain(|uid, _| policies.entries().contains_key(uid));
        let mut outcome = Ok(());
        for (uid, entry) in policies.entries() {
            // With many of them the term may end meanwhile.
            if self.leadership.borrow().holds() {
                outcome = outcome.and(self.write(uid, entry).await);
            }
        }
        outcome
    }

    async fn write(&mut self, uid: &Uid, entry: &Entry) -> Result<(), kube::Error> {
        let readable = entry.object.as_ref().map(|object| object.status.as_ref());
        let current = match readable {
            Some(status) => status.and_then(|status| status.condition_status.as_ref()),
            None => self.written.get(uid),
        };
        let desired = desired(entry, current, Timestamp::now());
        if current.is_some_and(|current| stands(&desired, current)) {
            return Ok(());
        }
        let name = entry.metadata.name.as_deref().unwrap_or_default();
        let patch = json!({
            "apiVersion": ValidatingPolicy::api_version(&()),
            "kind": ValidatingPolicy::kind(&()),
            "metadata": {"name": name, "resourceVersion": entry.metadata.resource_version},
            "status": {"conditionStatus": desired},
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        match in_time(self.api.patch_status(name, &params, &Patch::Apply(&patch))).await {
            Ok(_) => {
                if entry.object.is_none() {
                    self.written.insert(uid.clone(), desired);
                }
                Ok(())
            }
            // It changed or went away since: the watch brings the news.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{observed, policy};
    use pharos_api::policy::ValidatingPolicyStatus;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn entry_of(policy: ValidatingPolicy) -> Entry {
        let policies = Policies::default().succeed(&observed([policy]));
        policies.entries().values().next().unwrap().clone()
    }

    #[test]
    fn a_policy_in_force_is_ready_and_a_broken_one_says_which_expression() {
        let good = desired(&entry_of(policy("p", json!({}))), None, at(0));
        assert_eq!(good.ready, Some(true));
        assert_eq!(
            (&*good.conditions[0].type_, &*good.conditions[0].status),
            ("PolicyCached", "True")
        );
        assert_eq!(good.conditions[0].observed_generation, Some(1));

        let broken = json!({"validations": [{"expression": "object."}]});
        let bad = desired(&entry_of(policy("p", broken)), None, at(0));
        assert_eq!(bad.ready, Some(false));
        assert!(bad.message.unwrap().contains("spec.validations[0].expression"));
        assert_eq!(bad.conditions[0].status, "False");
        assert_ne!(bad.conditions[0].reason, SUCCEEDED);
    }

    #[test]
    fn a_condition_keeps_its_time_until_its_status_changes() {
        let mut good = policy("p", json!({}));
        let first = desired(&entry_of(good.clone()), None, at(1));
        good.metadata.generation = Some(2);
        let second = desired(&entry_of(good.clone()), Some(&first), at(2));
        assert_eq!(second.conditions[0].last_transition_time, Time(at(1)));
        assert_eq!(second.conditions[0].observed_generation, Some(2));
        assert_ne!(first, second);
        assert_eq!(desired(&entry_of(good), Some(&second), at(3)), second, "nothing to write");

        let broken = json!({"validations": [{"expression": "object."}]});
        let third = desired(&entry_of(policy("p", broken)), Some(&second), at(4));
        assert_eq!(third.conditions[0].last_transition_time, Time(at(4)));
    }

    #[test]
    fn what_others_say_of_a_policy_is_not_ours_to_write() {
        let ours = desired(&entry_of(policy("p", json!({}))), None, at(1));
        let changed = |change: fn(&mut PolicyConditionStatus)| {
            let mut current = ours.clone();
            change(&mut current);
            stands(&ours, &current)
        };
        assert!(changed(|_| {}));
        assert!(changed(|current| {
            let type_ = "WebhookConfigured".to_owned();
            current.conditions.insert(0, Condition { type_, ..current.conditions[0].clone() });
        }));
        assert!(!changed(|current| current.ready = None));
        assert!(!changed(|current| current.message = None));
        assert!(!changed(|current| current.conditions.clear()));
        assert!(!changed(|current| current.conditions[0].reason.push('x')));
    }

    #[test]
    fn a_status_comes_back_from_the_api_server_as_it_was_written() {
        let written = desired(&entry_of(policy("p", json!({}))), None, Timestamp::now());
        let mut stored = policy("p", json!({}));
        let text = serde_json::to_string(&written).unwrap();
        stored.status = Some(ValidatingPolicyStatus {
            condition_status: Some(serde_json::from_str(&text).unwrap()),
        });
        let read = stored.status.clone().unwrap().condition_status.unwrap();
        assert_eq!(desired(&entry_of(stored), Some(&read), Timestamp::now()), read);
    }
}
