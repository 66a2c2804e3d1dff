//! Which replicas live that share some work, each by a Lease of its own.
//!
//! A replica renews its Lease every 5 s and counts as living while the Lease was seen to change within
//! 15 s, on the monotonic clock of whoever looks: times that another machine wrote are for people.
//! [`Membership::run`] renews, watches the others, and publishes who lives. Who lives is [`Beats`], pure.
//!
//! The Leases of [`crate::heartbeat`] say more and lapse later; only a leader reads them, while these are
//! read by every replica, and a lost one's work must be taken over within half a minute.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, Preconditions};
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::{RetryDelay, jittered};
use crate::heartbeat::{Pod, owner};
use crate::in_time;
use crate::trouble::{Episode, Trouble};
use crate::view::{self, Observed, Uid, View};

const RENEW_PERIOD: Duration = Duration::from_secs(5);
/// Three renewals: one may fail, and its repetition come late.
const DURATION: Duration = Duration::from_secs(15);
/// How often who lives is looked at, where nothing is told.
const LOOK_PERIOD: Duration = Duration::from_secs(1);
/// A Lease that nobody renewed for so long is of a replica that was killed, and that has no Pod to take it
/// along.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// How often is looked for those.
const TIDY_PERIOD: Duration = Duration::from_secs(60);
/// A process that ends does not wait longer than this for an API server that does not answer.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);
const FIELD_MANAGER: &str = "pharos-replica";
/// The API server takes 256 KiB of annotations.
const MAX_REPORT_BYTES: usize = 64 * 1024;

/// Some work that replicas share.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// The label of the Leases.
    pub label: &'static str,
    /// What the names of the Leases begin with, before that of the replica.
    pub prefix: &'static str,
    /// The annotation that says how far a replica is.
    pub report: &'static str,
}

/// This process among those that share the work.
pub struct Membership {
    client: Client,
    namespace: String,
    work: Work,
    me: String,
    pod: Option<Pod>,
    report: watch::Receiver<String>,
}

/// The Leases as they were seen. Pure but for the clock, which is an argument.
#[derive(Debug, Default)]
pub struct Beats(BTreeMap<Uid, Beat>);

#[derive(Debug)]
struct Beat {
    lease: String,
    replica: String,
    version: String,
    since: Instant,
}

/// What the replicas report that have a Lease, by their names; none where one says nothing.
///
/// # Errors
/// As the API server answers.
pub async fn reports(
    client: Client,
    namespace: &str,
    work: Work,
) -> kube::Result<BTreeMap<String, Option<String>>> {
    let leases: Api<Lease> = Api::namespaced(client, namespace);
    let asked = ListParams::default().labels(work.label);
    let report = |lease: Lease| {
        let replica = lease.metadata.name?.strip_prefix(work.prefix)?.to_owned();
        Some((replica, lease.metadata.annotations.and_then(|mut it| it.remove(work.report))))
    };
    let leases = in_time(leases.list(&asked)).await?;
    Ok(leases.items.into_iter().filter_map(report).collect())
}

// === impl Beats ===

impl Beats {
    /// Takes in the Leases as they are now.
    pub fn observe(&mut self, work: Work, leases: &BTreeMap<Uid, Observed<Lease>>, now: Instant) {
        self.0.retain(|uid, _| leases.contains_key(uid));
        for (uid, observed) in leases {
            // A Lease speaks for the replica that it is named after, and for no other.
            let Some(replica) = observed.name().strip_prefix(work.prefix) else { continue };
            let version = observed.metadata.resource_version.clone().unwrap_or_default();
            if self.0.get(uid).is_none_or(|beat| beat.version != version) {
                let (lease, replica) = (observed.name().to_owned(), replica.to_owned());
                self.0.insert(uid.clone(), Beat { lease, replica, version, since: now });
            }
        }
    }

    /// The replicas that live.
    pub fn living(&self, now: Instant) -> BTreeSet<String> {
        let lives = |beat: &&Beat| now.saturating_duration_since(beat.since) <= DURATION;
        self.0.values().filter(lives).map(|beat| beat.replica.clone()).collect()
    }

    /// The Leases that nobody comes back for, by their names, each in the version that was seen.
    fn forgotten(&self, now: Instant) -> impl Iterator<Item = (&str, Preconditions)> {
        let is_forgotten =
            move |(_, beat): &(_, &Beat)| now.saturating_duration_since(beat.since) > FORGOTTEN;
        self.0.iter().filter(is_forgotten).map(|(uid, beat)| {
            let as_seen = Preconditions {
                uid: Some(uid.clone()),
                resource_version: Some(beat.version.clone()),
            };
            (&*beat.lease, as_seen)
        })
    }
}

// === impl Membership ===

impl Membership {
    /// The replica `me`, a name unique among those of the namespace. What it reports goes along with
    /// renewals that are due anyway; more than 64 KiB of it are left out whole.
    pub fn new(
        client: Client,
        namespace: &str,
        work: Work,
        me: &str,
        pod: Option<Pod>,
        report: watch::Receiver<String>,
    ) -> Self {
        Self { client, namespace: namespace.to_owned(), work, me: me.to_owned(), pod, report }
    }

    /// Renews this replica's Lease and publishes who lives, until `shutdown`; then takes the Lease away:
    /// the others need not wait for it to lapse. None live until the Leases are known.
    pub async fn run(self, living: watch::Sender<BTreeSet<String>>, shutdown: CancellationToken) {
        let (sender, view) = watch::channel(View::default());
        let api = Api::namespaced(self.client.clone(), &self.namespace);
        let selection = watcher::Config::default().labels(self.work.label);
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), &self.namespace);
        let watching = async {
            tokio::join!(
                view::keep(api, selection, "the Leases of replicas", sender),
                self.renew(),
                look(self.work, leases.clone(), view, living),
            )
        };
        shutdown.run_until_cancelled(watching).await;
        let (name, parameters) = (self.lease_name(), DeleteParams::default());
        let _ = tokio::time::timeout(FAREWELL_TIMEOUT, leases.delete(&name, &parameters)).await;
    }

    async fn renew(&self) {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut episode = Episode::of("renew this replica's Lease");
        let mut delay = RetryDelay::default();
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        loop {
            let lease = self.lease(Timestamp::now());
            let name = self.lease_name();
            let patch = Patch::Apply(&lease);
            let next = match in_time(leases.patch(&name, &parameters, &patch)).await {
                Ok(_) => {
                    episode.succeeded();
                    jittered(RENEW_PERIOD)
                }
                Err(error) => {
                    episode.failed(Trouble::of(&error), &error);
                    delay.after_failure()
                }
            };
            tokio::time::sleep(next).await;
        }
    }

    fn lease_name(&self) -> String {
        format!("{}{}", self.work.prefix, self.me)
    }

    fn lease(&self, now: Timestamp) -> Lease {
        let report = self.report.borrow().clone();
        let report = Some(report).filter(|it| !it.is_empty() && it.len() <= MAX_REPORT_BYTES);
        Lease {
            metadata: ObjectMeta {
                name: Some(self.lease_name()),
                labels: Some([(self.work.label.to_owned(), "true".to_owned())].into()),
                annotations: report.map(|it| [(self.work.report.to_owned(), it)].into()),
                owner_references: self.pod.as_ref().map(|pod| vec![owner(pod)]),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.me.clone()),
                lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
                renew_time: Some(MicroTime(now)),
                ..LeaseSpec::default()
            }),
        }
    }
}

/// Takes Leases away that nobody comes back for. Another replica may do it first; who fails tries it again.
async fn tidy(api: &Api<Lease>, beats: &Beats, now: Instant) {
    for (lease, as_seen) in beats.forgotten(now) {
        let parameters = DeleteParams { preconditions: Some(as_seen), ..DeleteParams::default() };
        if let Err(error) = in_time(api.delete(lease, &parameters)).await {
            tracing::debug!(lease, %error, "cannot delete a Lease that lapsed");
        }
    }
}

/// Publishes who lives, when it changes, and takes Leases away that nobody comes back for.
async fn look(
    work: Work,
    api: Api<Lease>,
    mut view: watch::Receiver<View<Lease>>,
    living: watch::Sender<BTreeSet<String>>,
) {
    let mut beats = Beats::default();
    let mut tidied = Instant::now();
    loop {
        let leases = view.borrow_and_update().objects.clone();
        if let Some(leases) = leases {
            let now = Instant::now();
            beats.observe(work, &leases, now);
            let alive = beats.living(now);
            let changed = living.send_if_modified(|before| {
                let changed = *before != alive;
                before.clone_from(&alive);
                changed
            });
            if changed {
                let replicas: Vec<_> = alive.iter().map(String::as_str).collect();
                tracing::info!(replicas = replicas.join(", "), "these share the work");
            }
        }
        let now = Instant::now();
        if now.saturating_duration_since(tidied) >= TIDY_PERIOD {
            tidied = now;
            Box::pin(tidy(&api, &beats, now)).await;
        }
        tokio::select! {
            changed = view.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(LOOK_PERIOD) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    const WORK: Work =
        Work { label: "example.com/work", prefix: "work-", report: "example.com/report" };

    fn leases(entries: &[(&str, &str)]) -> BTreeMap<Uid, Observed<Lease>> {
        let observed = |(name, version): &(&str, &str)| {
            let lease: Lease = serde_json::from_value(json!({
                "metadata": {"name": name, "uid": name, "resourceVersion": version},
                "spec": {"holderIdentity": "anybody", "renewTime": "1970-01-01T00:00:00.000000Z"},
            }))
            .unwrap();
            let metadata = lease.metadata.clone();
            ((*name).to_owned(), Observed { metadata, object: Ok(Arc::new(lease)) })
        };
        entries.iter().map(observed).collect()
    }

    fn living(beats: &Beats, now: Instant) -> Vec<String> {
        beats.living(now).into_iter().collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_replica_lives_while_its_lease_changes_on_our_clock() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut beats = Beats::default();
        beats.observe(WORK, &leases(&[("work-a", "1"), ("work-b", "1")]), at(0));
        beats.observe(WORK, &leases(&[("work-a", "2"), ("work-b", "1")]), at(10));
        assert_eq!(living(&beats, at(15)), ["a", "b"]);
        assert_eq!(living(&beats, at(16)), ["a"]);
        assert_eq!(living(&beats, at(26)), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_nobody_renews_for_long_is_forgotten_as_it_was_seen() {
        let start = Instant::now();
        let mut beats = Beats::default();
        beats.observe(WORK, &leases(&[("work-a", "1"), ("work-b", "1")]), start);
        beats.observe(WORK, &leases(&[("work-a", "1"), ("work-b", "2")]), start + RENEW_PERIOD);
        let forgotten = |after| {
            let forgotten = beats.forgotten(start + after);
            forgotten.map(|(lease, seen)| (lease.to_owned(), seen.resource_version)).collect()
        };
        let nothing: Vec<_> = forgotten(FORGOTTEN);
        assert_eq!(nothing, []);
        let a: Vec<_> = forgotten(FORGOTTEN + RENEW_PERIOD);
        assert_eq!(a, [("work-a".to_owned(), Some("1".to_owned()))]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_is_taken_away_is_a_replica_that_left() {
        let now = Instant::now();
        let mut beats = Beats::default();
        beats.observe(WORK, &leases(&[("work-a", "1"), ("work-b", "1")]), now);
        beats.observe(WORK, &leases(&[("work-b", "1"), ("other-c", "1")]), now);
        assert_eq!(living(&beats, now), ["b"]);
    }
}
