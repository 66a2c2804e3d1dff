//! One Lease per replica: that it lives, what it reports and what it counts, as annotations.
//!
//! Separate objects, because many writers of one object slow each other down (measured: see
//! `docs/ARCHITECTURE.md`). [`Heartbeat::run`] renews every 10 s with jitter, and at once when the
//! report changed: the third change within a second waits, and then the last one counts. What fails,
//! also because the API server has too much to do, is tried again after 0.5 to 5 s. Statistics change
//! all the time, so they never cause a renewal: they go along with one. Only the leader reads the
//! reports, through [`crate::view::keep`] with [`selection`], and people read the statistics;
//! [`report`] and [`statistics`] take them out again.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, OwnerReference};
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams};
use kube::runtime::watcher;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::pace::Pace;
use crate::backoff::{RetryDelay, jittered};
use crate::in_time;
use crate::trouble::{Episode, Trouble};

mod pace;

/// How long a replica counts as live after its last sign of life.
pub const DURATION: Duration = Duration::from_secs(40);
const LABEL: &str = "telemetry.pharos.dev/heartbeat";
const REPORT: &str = "telemetry.pharos.dev/report";
const STATISTICS: &str = "telemetry.pharos.dev/statistics";
/// The API server takes 256 KiB of annotations; the report, which the leader needs, goes first.
const MAX_STATISTICS_BYTES: usize = 64 * 1024;
const RENEW_PERIOD: Duration = Duration::from_secs(10);
/// A process that ends does not wait longer than this for an API server that does not answer.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);
const FIELD_MANAGER: &str = "pharos-replica";

/// The Pod that a replica runs in: garbage collection removes its Lease with it.
#[derive(Clone, Debug)]
pub struct Pod {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
}

/// The heartbeat of this process.
pub struct Heartbeat {
    leases: Api<Lease>,
    replica: String,
    pod: Option<Pod>,
    statistics: Option<Box<dyn Fn() -> String + Send + Sync>>,
}

// === impl Heartbeat ===

impl Heartbeat {
    /// The heartbeat of the replica `replica`, a name unique among the replicas of the namespace.
    pub fn new(client: Client, namespace: &str, replica: &str, pod: Option<Pod>) -> Self {
        Self {
            leases: Api::namespaced(client, namespace),
            replica: replica.to_owned(),
            pod,
            statistics: None,
        }
    }

    /// With what `statistics` says at every renewal. More than 64 KiB of it are left out whole: half
    /// of an encoded value is no value.
    #[must_use]
    pub fn with_statistics(
        mut self,
        statistics: impl Fn() -> String + Send + Sync + 'static,
    ) -> Self {
        self.statistics = Some(Box::new(statistics));
        self
    }

    /// Beats until `shutdown`, then takes the Lease away: a replica that left is not a dead one.
    pub async fn run(self, mut report: watch::Receiver<String>, shutdown: CancellationToken) {
        let mut episode = Episode::of("renew this replica's Lease");
        let mut delay = RetryDelay::default();
        let mut pace = Pace::starting(Instant::now());
        while !shutdown.is_cancelled() {
            let current = report.borrow_and_update().clone();
            pace.count(Instant::now());
            let mut beat = std::pin::pin!(self.beat(current));
            let next = match shutdown.run_until_cancelled(beat.as_mut()).await {
                Some(Ok(())) => {
                    episode.succeeded();
                    jittered(RENEW_PERIOD)
                }
                Some(Err(error)) => {
                    episode.failed(Trouble::of(&error), &error);
                    delay.after_failure()
                }
                None => return self.leave(beat).await,
            };
            let due = tokio::time::sleep(next);
            let news = async {
                match report.changed().await {
                    Ok(()) => tokio::time::sleep_until(pace.next()).await,
                    Err(_) => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                () = news, if episode.trouble().is_none() => {}
                () = shutdown.cancelled() => {}
            }
        }
        self.leave(std::future::ready(Ok(()))).await;
    }

    /// Takes the Lease away, if possible after the beat that is under way: one that arrived later would
    /// bring it back.
    async fn leave(&self, beat: impl Future<Output = kube::Result<()>>) {
        let gone = async {
            let _ = tokio::time::timeout(FAREWELL_TIMEOUT / 2, beat).await;
            let (name, parameters) = (lease_name(&self.replica), DeleteParams::default());
            self.leases.delete(&name, &parameters).await
        };
        let _ = tokio::time::timeout(FAREWELL_TIMEOUT, gone).await;
    }

    async fn beat(&self, report: String) -> kube::Result<()> {
        let lease = self.lease(report, Timestamp::now());
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let name = lease_name(&self.replica);
        let patch = Patch::Apply(&lease);
        in_time(self.leases.patch(&name, &parameters, &patch)).await.map(|_| ())
    }

    fn lease(&self, report: String, now: Timestamp) -> Lease {
        let mut annotations = BTreeMap::from([(REPORT.to_owned(), report)]);
        let statistics = self.statistics.as_ref().map(|statistics| statistics());
        if let Some(statistics) = statistics.filter(|it| it.len() <= MAX_STATISTICS_BYTES) {
            annotations.insert(STATISTICS.to_owned(), statistics);
        }
        Lease {
            metadata: ObjectMeta {
                name: Some(lease_name(&self.replica)),
                labels: Some(BTreeMap::from([(LABEL.to_owned(), "true".to_owned())])),
                annotations: Some(annotations),
                owner_references: self.pod.as_ref().map(|pod| vec![owner(pod)]),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.replica.clone()),
                lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
                renew_time: Some(MicroTime(now)),
                ..LeaseSpec::default()
            }),
        }
    }
}

/// Selects the heartbeat Leases of all replicas.
pub fn selection() -> watcher::Config {
    watcher::Config::default().labels(LABEL)
}

/// What a replica reports, from its Lease.
pub fn report(lease: &Lease) -> Option<&str> {
    lease.metadata.annotations.as_ref()?.get(REPORT).map(String::as_str)
}

/// What a replica counts, from its Lease, as of its last renewal.
pub fn statistics(lease: &Lease) -> Option<&str> {
    lease.metadata.annotations.as_ref()?.get(STATISTICS).map(String::as_str)
}

/// The name of a replica's Lease.
pub fn lease_name(replica: &str) -> String {
    format!("pharos-replica-{replica}")
}

pub(crate) fn owner(pod: &Pod) -> OwnerReference {
    OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        name: pod.name.clone(),
        uid: pod.uid.clone(),
        ..OwnerReference::default()
    }
}

#[cfg(test)]
mod tests;
