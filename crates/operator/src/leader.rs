//! The leader's half: reports and objects in; status, Events and revisions out.
//!
//! Only the leader writes, and only what it can be refused for: status by server-side apply under one
//! constant field manager, always the whole of it, with the resourceVersion that it was computed
//! from. A leader that wakes late gets a 409 and computes again, or finds nothing to change.
//!
//! What it does next is decided in [`step`], which sends nothing; this file watches, and carries out
//! what was decided. It must not judge. An object that has to be there first is made by [`create`].

mod announcer;
mod certificates;
pub(crate) mod create;
mod pace;
mod step;
mod transitions;
mod write;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use pharos_api::telemetryconfig::TelemetryConfig;
use pharos_cluster::election::Leadership;
use pharos_cluster::heartbeat;
use pharos_cluster::view::{self, Observed, Uid, View};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::replicas::Replicas;
use crate::select::Scopes;

use announcer::{Announcements, announcer};
use step::{Action, Ledger, Namespace, Now};
use write::Writer;

/// How often lapsed replicas are looked for.
const TICK: Duration = Duration::from_secs(2);
/// What arrives within this time is judged together: a reload of few replicas is one write.
const TOGETHER: Duration = Duration::from_millis(100);

/// Keeps the status of every TelemetryConfig of a namespace true while it leads.
pub(crate) struct Leader {
    client: Client,
    namespace: String,
    /// This replica's name, for Events.
    replica: String,
    objects: watch::Receiver<View<TelemetryConfig>>,
    scopes: Scopes,
    /// Over terms: who was dead when the last one ended does not live again in the next.
    replicas: Replicas,
}

/// One term of leadership: what was seen and done in it.
struct Term {
    ledger: Ledger,
    writer: Writer,
    announcements: Announcements,
    leadership: watch::Receiver<Leadership>,
}

// === impl Leader ===

impl Leader {
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
            replicas: Replicas::default(),
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
            let (mut lost, term) = (leadership.clone(), leadership.clone());
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = lost.wait_for(|now| *now == Leadership::Follower) => {}
                () = self.lead(term) => {}
            }
        }
    }

    /// Waits for leadership, and remembers meanwhile what can be decoded: a leader has to know the
    /// components of an object that no longer can. `None` if there is no election any more.
    async fn follow(&mut self, leadership: &mut watch::Receiver<Leadership>) -> Option<()> {
        loop {
            tokio::select! {
                elected = leadership.wait_for(|now| now.holds()) => {
                    return elected.ok().map(|_| ());
                }
                changed = self.objects.changed() => changed.ok()?,
            }
            if let Some(objects) = &self.objects.borrow_and_update().objects {
                self.scopes.update(objects);
            }
        }
    }

    /// Leads for one term. Holds no state that a cancelled request could leave half done.
    async fn lead(&mut self, leadership: watch::Receiver<Leadership>) {
        let (client, namespace) = (self.client.clone(), self.namespace.clone());
        let leases: Api<_> = Api::namespaced(client.clone(), &namespace);
        let (beats, heartbeats) = watch::channel(View::<Lease>::default());
        let watching = view::keep(leases, heartbeat::selection(), "heartbeat Leases", beats);
        let (announcements, announcer) = announcer(client.clone(), &namespace, &self.replica);
        let term = Term {
            ledger: Ledger::default(),
            writer: Writer::new(client, &namespace),
            announcements,
            leadership,
        };
        tokio::join!(watching, self.serve(term, heartbeats), announcer.run());
    }

    async fn serve(&mut self, mut term: Term, mut heartbeats: watch::Receiver<View<Lease>>) {
        let mut again = Instant::now();
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(again) => {}
                Ok(()) = heartbeats.changed() => {}
                Ok(()) = self.objects.changed() => {}
            }
            tokio::time::sleep(TOGETHER).await;
            again = Instant::now() + TICK;
            let beats = heartbeats.borrow_and_update().objects.clone();
            let objects = self.objects.borrow_and_update().objects.clone();
            if let (Some(beats), Some(objects)) = (beats, objects) {
                self.replicas.observe(&beats, Instant::now());
                again = self.act(&mut term, &objects).await.map_or(again, |at| again.min(at));
            }
        }
    }

    /// Does what is to be done now, and says when something is that was too early.
    async fn act(
        &mut self,
        term: &mut Term,
        objects: &BTreeMap<Uid, Observed<TelemetryConfig>>,
    ) -> Option<Instant> {
        self.scopes.update(objects);
        let now = Now { instant: Instant::now(), timestamp: Timestamp::now() };
        if !self.replicas.is_current(now.instant) {
            // A view in which nobody beats is too old to say who lives.
            return None;
        }
        let replicas = self.replicas.live(now.instant);
        let orphans = self.replicas.orphans(now.instant);
        let (scopes, replicas, orphans) = (&self.scopes, &*replicas, &*orphans);
        let next = term.ledger.step(Namespace { objects, scopes, replicas, orphans }, now);
        term.writer.forget_all_but(objects);
        for action in next.actions {
            term.carry_out(action).await;
        }
        next.again
    }
}

// === impl Term ===

impl Term {
    async fn carry_out(&mut self, action: Action) {
        // The process may have been stopped since this was decided. What is not done is decided again.
        if !self.leadership.borrow().holds() {
            return;
        }
        match action {
            Action::WriteStatus(write) => {
                let Some(metadata) = self.writer.status(&write).await else { return };
                for announcement in &write.announcements {
                    self.announcements.announce(write.subject.clone(), announcement.clone());
                }
                self.ledger.wrote(*write, metadata.resource_version);
            }
            Action::Announce(subject, announcement) => {
                self.announcements.announce(subject, announcement);
            }
            Action::KeepRevision(subject, revision) => {
                let generation = revision.generation;
                if self.writer.revision(&subject, revision).await {
                    self.ledger.kept(&subject.uid, generation);
                }
            }
            Action::DeleteLease(orphan) => self.writer.bury(&orphan).await,
        }
    }
}

#[cfg(test)]
mod tests;
