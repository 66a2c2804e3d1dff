//! The leader's half: reports and objects in, status out.
//!
//! Only the leader writes, by server-side apply under one constant field manager, always the whole
//! status, with the resourceVersion that it was computed from: a leader that wakes late gets a 409
//! and computes again, or finds nothing to change. What [`judge`] says is pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Api, Client, Resource};
use pharos_api::telemetryconfig::{TelemetryConfig, TelemetryConfigStatus};
use pharos_cluster::election::Leadership;
use pharos_cluster::heartbeat;
use pharos_cluster::trouble::Trouble;
use pharos_cluster::view::{self, Observed, Uid, View};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::judge::{Scene, judge};
use crate::replicas::Replicas;
use crate::select::{Scopes, select};

/// The owner of every field of status, the same for every leader.
const FIELD_MANAGER: &str = "pharos-telemetry-status";
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How often lapsed replicas are looked for, and failed writes tried again.
const TICK: Duration = Duration::from_secs(2);

/// Writes the status of every TelemetryConfig of a namespace while it leads.
pub(crate) struct StatusWriter {
    client: Client,
    namespace: String,
    /// This replica's name: while its own Lease is not seen live, the view of Leases is too old.
    replica: String,
    objects: watch::Receiver<View<TelemetryConfig>>,
    scopes: Scopes,
    written: BTreeMap<Uid, Written>,
    /// What keeps a status from being written, by object.
    troubles: BTreeMap<Uid, Trouble>,
}

/// A status that was written and that the watch may not have brought back yet.
struct Written {
    over: Option<String>,
    status: TelemetryConfigStatus,
}

// === impl StatusWriter ===

impl StatusWriter {
    pub(crate) fn new(
        client: Client,
        namespace: &str,
        replica: &str,
        objects: watch::Receiver<View<TelemetryConfig>>,
    ) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
            replica: replica.to_owned(),
            objects,
            scopes: Scopes::default(),
            written: BTreeMap::new(),
            troubles: BTreeMap::new(),
        }
    }

    /// Waits for leadership and leads, again and again, until `shutdown`.
    pub(crate) async fn run(
        mut self,
        mut leadership: watch::Receiver<Leadership>,
        shutdown: CancellationToken,
    ) {
        while let Some(()) =
            shutdown.run_until_cancelled(self.follow(&mut leadership)).await.flatten()
        {
            let mut lost = leadership.clone();
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = lost.wait_for(|now| *now == Leadership::Follower) => {}
                () = self.lead() => {}
            }
        }
    }

    /// Waits for leadership, and remembers meanwhile what can be decoded: a leader has to know the
    /// components of an object that no longer can. `None` if there is no election any more.
    async fn follow(&mut self, leadership: &mut watch::Receiver<Leadership>) -> Option<()> {
        loop {
            tokio::select! {
                elected = leadership.wait_for(|now| *now == Leadership::Leader) => {
                    return elected.ok().map(|_| ());
                }
                changed = self.objects.changed() => changed.ok()?,
            }
            if let Some(objects) = &self.objects.borrow_and_update().objects {
                self.scopes.update(objects);
            }
        }
    }

    /// Keeps every status true. Holds no state that a cancelled write could leave half done.
    async fn lead(&mut self) {
        let leases: Api<_> = Api::namespaced(self.client.clone(), &self.namespace);
        let (beats, mut heartbeats) = watch::channel(View::<Lease>::default());
        let watching = view::keep(leases, heartbeat::selection(), "heartbeat Leases", beats);
        let writing = async {
            let mut replicas = Replicas::default();
            let mut tick = tokio::time::interval(TICK);
            tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                let ticked = tokio::select! {
                    _ = tick.tick() => true,
                    Ok(()) = heartbeats.changed() => false,
                    Ok(()) = self.objects.changed() => false,
                };
                let beats = heartbeats.borrow_and_update().objects.clone();
                let objects = self.objects.borrow_and_update().objects.clone();
                if let (Some(beats), Some(objects)) = (beats, objects) {
                    replicas.observe(&beats, Instant::now());
                    self.write_all(&objects, &replicas).await;
                    if ticked {
                        self.bury(&replicas).await;
                    }
                }
            }
        };
        tokio::join!(watching, writing);
    }

    async fn write_all(
        &mut self,
        objects: &Arc<BTreeMap<Uid, Observed<TelemetryConfig>>>,
        replicas: &Replicas,
    ) {
        self.scopes.update(objects);
        self.written.retain(|uid, _| objects.contains_key(uid));
        self.troubles.retain(|uid, _| objects.contains_key(uid));
        let winners = select(&self.scopes.candidates(objects));
        let live = replicas.live(Instant::now());
        if !live.iter().any(|replica| replica.name == self.replica) {
            // We live, so a view in which we do not says nothing of the others either.
            return;
        }
        for (uid, observed) in objects.iter() {
            let before = self.before(observed);
            let scene = Scene {
                observed,
                scope: self.scopes.of(uid),
                objects,
                winners: &winners,
                replicas: &live,
                before,
                now: Timestamp::now(),
            };
            let status = judge(&scene);
            if before != Some(&status) {
                self.write(observed, status).await;
            }
        }
    }

    /// The status that the API server holds, as far as is known: our own last write until the watch
    /// brings a newer object, and for good where the object cannot be decoded.
    fn before<'a>(
        &'a self,
        observed: &'a Observed<TelemetryConfig>,
    ) -> Option<&'a TelemetryConfigStatus> {
        let written = self.written.get(observed.uid()).filter(|written| {
            observed.object.is_err() || written.over == observed.metadata.resource_version
        });
        match written {
            Some(written) => Some(&written.status),
            None => observed.object.as_ref().ok()?.status.as_ref(),
        }
    }

    async fn write(&mut self, observed: &Observed<TelemetryConfig>, status: TelemetryConfigStatus) {
        let api: Api<TelemetryConfig> = Api::namespaced(self.client.clone(), &self.namespace);
        let patch = Patch::Apply(json!({
            "apiVersion": TelemetryConfig::api_version(&()),
            "kind": TelemetryConfig::kind(&()),
            "metadata": {
                "name": observed.name(),
                "resourceVersion": observed.metadata.resource_version,
            },
            "status": status,
        }));
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let request = api.patch_status(observed.name(), &parameters, &patch);
        match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
            Ok(Ok(_)) => {
                self.troubles.remove(observed.uid());
                let over = observed.metadata.resource_version.clone();
                self.written.insert(observed.uid().to_owned(), Written { over, status });
            }
            // It changed or went meanwhile: the watch brings what it is now.
            Ok(Err(kube::Error::Api(answer))) if matches!(answer.code, 404 | 409) => {}
            Ok(Err(error)) => self.note(Trouble::of(&error), &error.to_string(), observed),
            Err(_) => self.note(Trouble::Unreachable, "no answer in time", observed),
        }
    }

    fn note(&mut self, trouble: Trouble, error: &str, observed: &Observed<TelemetryConfig>) {
        if self.troubles.insert(observed.uid().to_owned(), trouble) != Some(trouble) {
            tracing::warn!(
                telemetryconfig = observed.name(),
                reason = trouble.reason(),
                error,
                "cannot write status, retrying; {}",
                trouble.remedy()
            );
        }
    }

    /// Removes the Leases of replicas that died without a Pod to be collected with.
    async fn bury(&self, replicas: &Replicas) {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), &self.namespace);
        for (lease, resource_version) in replicas.orphans(Instant::now()) {
            // A replica that woke meanwhile keeps its Lease.
            let resource_version = Some(resource_version);
            let parameters = DeleteParams::default()
                .preconditions(Preconditions { resource_version, uid: None });
            let request = leases.delete(&lease, &parameters);
            if let Ok(Err(error)) = tokio::time::timeout(REQUEST_TIMEOUT, request).await {
                tracing::debug!(lease, %error, "cannot remove the Lease of a dead replica");
            }
        }
    }
}
