//! The leader's part: what should be said of policies is said, paced.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::{Api, Client};
use pharos_cluster::election::Leadership;
use pharos_cluster::in_time;
use pharos_cluster::tasks::at;
use pharos_cluster::trouble::{Episode, Trouble};
use pharos_cluster::view::Uid;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::PolicyStatus;
use super::desired::desired;
use super::stands::stands;
use crate::events::{Action, EventReason, Events, Notice};
use crate::pace::TokenBucket;
use crate::policies::{Defect, Entry, Outcome, Policies};
use crate::webhook_configuration::Places;

const RETRY_AFTER: Duration = Duration::from_secs(2);
/// How often the same is written again over what somebody else wrote.
const CORRECTIONS: u32 = 4;
const BETWEEN_CORRECTIONS: Duration = Duration::from_secs(600);

/// Says what is to be said of policies while it leads.
pub(crate) struct StatusWriter {
    client: Client,
    field_manager: String,
    whose: PolicyStatus,
    policies: watch::Receiver<Option<Arc<Policies>>>,
    places: watch::Receiver<Places>,
    leadership: watch::Receiver<Leadership>,
    events: Events,
    said: BTreeMap<Uid, Said>,
}

/// What was said of a policy last.
struct Said {
    verdict: Verdict,
    tokens: TokenBucket,
}

/// What is said, without times.
#[derive(Clone, Debug, PartialEq)]
struct Verdict {
    generation: Option<i64>,
    reason: &'static str,
    message: String,
}

/// What comes of a look at all policies.
#[derive(Default)]
struct Round {
    failed: Option<kube::Error>,
    /// When something is to be written that was written too often.
    due: Option<Instant>,
}

// === impl StatusWriter ===

impl StatusWriter {
    /// The engine in `namespace` is one writer, and no other one.
    pub(crate) fn new(
        client: Client,
        namespace: &str,
        whose: PolicyStatus,
        policies: watch::Receiver<Option<Arc<Policies>>>,
        places: watch::Receiver<Places>,
        leadership: watch::Receiver<Leadership>,
        events: Events,
    ) -> Self {
        let field_manager = format!("pharos-policy-status.{namespace}");
        let said = BTreeMap::new();
        Self { client, field_manager, whose, policies, places, leadership, events, said }
    }

    /// Keeps every status true while this process leads, for as long as it is polled.
    pub(crate) async fn run(mut self) {
        let mut episode = Episode::of("write policy status");
        loop {
            let leads = self.leadership.borrow_and_update().holds();
            let policies = self.policies.borrow_and_update().clone();
            self.places.mark_unchanged();
            let round = match policies {
                Some(policies) if leads => self.round(&policies).await,
                _ => Round::default(),
            };
            let again = match &round.failed {
                None => {
                    episode.succeeded();
                    round.due
                }
                Some(error) => {
                    episode.failed(Trouble::of(error), error);
                    Some(Instant::now() + RETRY_AFTER)
                }
            };
            let changed = tokio::select! {
                changed = self.leadership.changed() => changed,
                changed = self.policies.changed(), if round.failed.is_none() => changed,
                changed = self.places.changed(), if round.failed.is_none() => changed,
                () = at(again) => Ok(()),
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// Tries every policy, and reports the first failure.
    async fn round(&mut self, policies: &Policies) -> Round {
        self.said.retain(|uid, _| policies.entries().contains_key(uid));
        let places = self.places.borrow().clone();
        let mut round = Round::default();
        for (uid, entry) in policies.entries() {
            // With many of them the term may end meanwhile.
            if !self.leadership.borrow().holds() {
                break;
            }
            if self.whose == PolicyStatus::Kyverno || !entry.kind.has_status() {
                self.announce(uid, entry);
                continue;
            }
            match self.write(uid, entry, &places, Instant::now()).await {
                Ok(None) => {}
                Ok(due) => round.due = round.due.into_iter().chain(due).min(),
                Err(error) => drop(round.failed.get_or_insert(error)),
            }
        }
        round
    }

    /// Writes the status of one; from when on it may, if it was written too often.
    async fn write(
        &mut self,
        uid: &Uid,
        entry: &Entry,
        places: &Places,
        now: Instant,
    ) -> kube::Result<Option<Instant>> {
        let place = entry.compiled().and_then(|policy| places.get(policy.key()));
        let status = desired(entry, place, Timestamp::now());
        if stands(&status, entry.field("status")) {
            return Ok(None);
        }
        let verdict = Verdict::of(entry);
        let said = self.said.get_mut(uid).filter(|said| said.verdict == verdict);
        let news = said.is_none();
        let mut tokens = match said {
            Some(said) => said.tokens.clone(),
            None => TokenBucket::new(CORRECTIONS, BETWEEN_CORRECTIONS),
        };
        let due = tokens.take(now);
        if due > now {
            let (kind, name) = (entry.kind.name(), entry.name());
            tracing::debug!(kind, name, "another engine writes this status, too");
            return Ok(Some(due));
        }
        match in_time(self.apply(entry, &status)).await {
            Ok(_) => {
                self.said.insert(uid.clone(), Said { verdict, tokens });
                if news {
                    self.tell(entry);
                }
                Ok(None)
            }
            // It changed or went away since: the watch brings the news.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn apply(&self, entry: &Entry, status: &Value) -> kube::Result<DynamicObject> {
        let custom = entry.kind.custom();
        let version = entry.api_version();
        let resource = custom.resource(version.rsplit('/').next().unwrap_or_default());
        let api = match entry.metadata.namespace.as_deref() {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => Api::all_with(self.client.clone(), &resource),
        };
        let patch = json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {
                "name": entry.name(),
                "resourceVersion": entry.metadata.resource_version,
            },
            "status": status,
        });
        let params = PatchParams::apply(&self.field_manager).force();
        api.patch_status(entry.name(), &params, &Patch::Apply(&patch)).await
    }

    /// Tells once what cannot be written.
    fn announce(&mut self, uid: &Uid, entry: &Entry) {
        let verdict = Verdict::of(entry);
        if self.said.get(uid).is_none_or(|said| said.verdict != verdict) {
            let tokens = TokenBucket::new(CORRECTIONS, BETWEEN_CORRECTIONS);
            self.said.insert(uid.clone(), Said { verdict, tokens });
            // Kyverno evaluates what this engine does not.
            if !matches!(entry.outcome, Outcome::Broken(Defect::Unsupported(_))) {
                self.tell(entry);
            }
        }
    }

    fn tell(&self, entry: &Entry) {
        if let Outcome::Broken(defect) = &entry.outcome {
            self.events.hand_in(Notice {
                reason: EventReason::PolicyError,
                action: Action::None,
                regarding: entry.reference(),
                related: None,
                note: format!("{}: {defect}", defect.reason()),
            });
        }
    }
}

// === impl Verdict ===

impl Verdict {
    fn of(entry: &Entry) -> Self {
        Self {
            generation: entry.metadata.generation,
            reason: entry.outcome.reason(),
            message: entry.outcome.message(),
        }
    }
}
