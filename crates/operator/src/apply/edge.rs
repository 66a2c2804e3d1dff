//! The core with everything around it but the pipeline: what it observes, and what it asks for.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, OptionFuture};
use jiff::Timestamp;
use kube::Client;
use pharos_cluster::revisions;
use pharos_cluster::trouble::Trouble;
use pharos_cluster::view::Uid;
use pharos_telemetry::Health;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::{Sight, log};
use crate::reconcile::{Action, Candidate, Event, Reconciler};
use crate::report::Report;

/// How often certificates are held against the clock.
const RECHECK: Duration = Duration::from_secs(60);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads what every replica programmed last.
pub(crate) struct Revisions {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

pub(super) struct Edge {
    core: Reconciler,
    sight: Sight,
    health: watch::Receiver<Health>,
    reports: watch::Sender<String>,
    said: Option<Report>,
    to_run: Option<Arc<Candidate>>,
    recheck: Interval,
    retry: Option<Instant>,
    reading: Option<BoxFuture<'static, Event>>,
}

// === impl Edge ===

impl Edge {
    pub(super) fn new(
        core: Reconciler,
        sight: Sight,
        health: watch::Receiver<Health>,
        reports: watch::Sender<String>,
    ) -> Self {
        let mut recheck = tokio::time::interval_at(Instant::now() + RECHECK, RECHECK);
        recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (said, to_run, retry, reading) = (None, None, None, None);
        Self { core, sight, health, reports, said, to_run, recheck, retry, reading }
    }

    /// What the pipeline is to run, and does not yet.
    pub(super) fn to_run(&self) -> Option<Arc<Candidate>> {
        self.to_run.clone()
    }

    /// The sinks that run now.
    pub(super) fn health(&mut self) -> Health {
        self.health.borrow_and_update().clone()
    }

    /// Takes in what came of [`Edge::to_run`].
    pub(super) fn ran(&mut self, outcome: Event) {
        self.to_run = None;
        self.step(outcome);
    }

    /// Takes events in until something else than `this` is to run. Can be dropped at any time.
    pub(super) async fn observe_until_other(&mut self, this: Option<&Arc<Candidate>>) {
        let same = |now: &Option<Arc<Candidate>>| match (now, this) {
            (Some(now), Some(this)) => Arc::ptr_eq(now, this),
            (None, None) => true,
            _ => false,
        };
        while same(&self.to_run) {
            let event = self.next().await;
            self.step(event);
        }
    }

    async fn next(&mut self) -> Event {
        loop {
            let Sight { objects, references, .. } = &mut self.sight;
            let due = self.retry.map(tokio::time::sleep_until);
            tokio::select! {
                Ok(()) = objects.changed() => {
                    let view = objects.borrow_and_update().objects.clone();
                    if let Some(objects) = view {
                        return Event::Objects(objects);
                    }
                }
                Ok(()) = references.changed() => {
                    return Event::References(references.borrow_and_update().clone());
                }
                Ok(()) = self.health.changed() => {
                    return Event::Health(self.health.borrow_and_update().clone());
                }
                Some(read) = OptionFuture::from(self.reading.as_mut()) => {
                    self.reading = None;
                    return read;
                }
                Some(()) = OptionFuture::from(due) => {
                    self.retry = None;
                    return Event::RetryDue;
                }
                _ = self.recheck.tick() => return Event::Tick,
            }
        }
    }

    /// Has the core take an event in, and does what it says.
    pub(super) fn step(&mut self, event: Event) {
        log::event(&event);
        for action in self.core.step(event, Timestamp::now()) {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Run(candidate) => self.to_run = Some(candidate),
            Action::Cancel => self.to_run = None,
            Action::Want(wanted) => drop(self.sight.wanted.send_replace(wanted)),
            Action::ReadLastProgrammed(uid) => self.reading = Some(self.sight.revisions.read(uid)),
            Action::RetryIn(delay) => {
                let due = Instant::now() + delay;
                self.retry = Some(self.retry.map_or(due, |before| before.min(due)));
            }
            Action::Publish(report) => {
                log::report(self.core.target(), self.said.as_ref(), &report);
                self.reports.send_replace(report.encode());
                self.said = Some(*report);
            }
        }
    }
}

// === impl Revisions ===

impl Revisions {
    fn read(&self, uid: Uid) -> BoxFuture<'static, Event> {
        let (client, namespace) = (self.client.clone(), self.namespace.clone());
        let reading = async move {
            let answer = revisions::newest(client, &namespace, &uid);
            let answer = match tokio::time::timeout(REQUEST_TIMEOUT, answer).await {
                Ok(answer) => answer.map_err(|error| Trouble::of(&error)),
                Err(_) => Err(Trouble::Unreachable),
            };
            Event::LastProgrammed(uid, answer)
        };
        reading.boxed()
    }
}
