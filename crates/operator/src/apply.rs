//! Does what the reconcile core says, and tells it what came of it.
//!
//! Everything is decided in [`crate::reconcile`]. [`Applier::run`] hands events in, one at a time,
//! and has the pipeline prepare and commit what is to run; that it is to run no longer cancels a
//! `prepare` that is under way. A commit cannot be cancelled, and is always told.

use std::collections::BTreeSet;
use std::time::Duration;

use pharos_api::telemetryconfig::{Component, TelemetryConfig};
use pharos_cluster::references::{References, Wanted};
use pharos_cluster::view::View;
use pharos_telemetry::config::MetricShape;
use pharos_telemetry::{Config, Health, Pipeline, Reloader, StreamReset};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::reconcile::{Candidate, Event, Inspect, Reconciler};
use crate::resolve::ViewRemark;

mod edge;
mod log;

use edge::Edge;
pub(crate) use edge::Revisions;

/// How long a removed sink may take for its last export.
const DRAIN_DEADLINE: Duration = Duration::from_secs(5);

/// What this process sees of the cluster, and asks to see.
pub(crate) struct Sight {
    /// The TelemetryConfigs.
    pub(crate) objects: watch::Receiver<View<TelemetryConfig>>,
    /// What was read of the Secrets and ConfigMaps that are wanted.
    pub(crate) references: watch::Receiver<References>,
    /// Which ones those are.
    pub(crate) wanted: watch::Sender<Wanted>,
    /// What every replica programmed last.
    pub(crate) revisions: Revisions,
}

/// Brings the pipeline of this process to its target.
pub(crate) struct Applier {
    reloader: Reloader,
    health: watch::Receiver<Health>,
    core: Reconciler,
    reports: watch::Sender<String>,
    drains: TaskTracker,
}

/// A configuration that runs, and what to wait for before its sinks are spoken of.
struct Committed {
    restarts: String,
    in_force: oneshot::Receiver<()>,
}

// === impl Applier ===

impl Applier {
    pub(crate) fn new(
        reloader: Reloader,
        pipeline: Pipeline,
        defaults: Config,
        components: BTreeSet<Component>,
        reports: watch::Sender<String>,
    ) -> Self {
        let health = pipeline.health();
        let inspect: Inspect = Box::new(move |shape: &MetricShape| {
            pipeline.check(shape).iter().map(ViewRemark::from).collect()
        });
        let core = Reconciler::new(components, defaults, inspect);
        Self { reloader, health, core, reports, drains: TaskTracker::new() }
    }

    /// Runs until `shutdown`: the defaults at first, then what the objects ask for.
    pub(crate) async fn run(
        self,
        sight: Sight,
        shutdown: CancellationToken,
    ) -> (Reloader, TaskTracker) {
        let Self { mut reloader, health, core, reports, drains } = self;
        let mut edge = Edge::new(core, sight, health, reports);
        edge.step(Event::Tick);
        loop {
            let to_run = edge.to_run();
            let outcome = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                outcome = reload(&mut reloader, to_run.as_deref(), &drains) => outcome,
                () = edge.observe_until_other(to_run.as_ref()) => continue,
            };
            let Some(candidate) = to_run else { continue };
            let event = match outcome {
                Err(message) => Event::Refused { candidate, message },
                Ok(Committed { restarts, in_force }) => {
                    // Or the health of what ran before would be told as that of what runs now.
                    if shutdown.run_until_cancelled(in_force).await.is_none() {
                        break;
                    }
                    Event::Committed { candidate, restarts, health: edge.health() }
                }
            };
            edge.ran(event);
        }
        // They end with the last flush at the latest, which must not wait for them.
        drains.close();
        (reloader, drains)
    }
}

/// Prepares and commits `candidate`, or waits for ever if there is none. Dropped before the commit
/// it has changed nothing, and there is nothing to wait for after it.
async fn reload(
    reloader: &mut Reloader,
    candidate: Option<&Candidate>,
    drains: &TaskTracker,
) -> Result<Committed, String> {
    let Some(candidate) = candidate else { return std::future::pending().await };
    let prepared = reloader.prepare(candidate.config.clone()).await;
    let prepared = prepared.map_err(|error| described(&error))?;
    let restarts = restarts(prepared.resets());
    let mut retired = prepared.commit();
    let (told, in_force) = oneshot::channel();
    // From here on nobody's haste can lose the last exports.
    drains.spawn(async move {
        retired.in_force().await;
        let _ = told.send(());
        let drained = retired.drain(DRAIN_DEADLINE).await;
        if drained.lost() > 0 {
            tracing::warn!(?drained, "a removed exporter did not take its last values");
        }
    });
    Ok(Committed { restarts, in_force })
}

fn restarts(resets: &[StreamReset]) -> String {
    let each: Vec<_> =
        resets.iter().map(|reset| format!("{}, because {}", reset.name, reset.message)).collect();
    match &each[..] {
        [] => String::new(),
        each => format!("started again from zero with this generation: {}", each.join("; ")),
    }
}

/// An error with what caused it: the cause is what a person can mend.
fn described(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&error.to_string());
        cause = error.source();
    }
    message
}

#[cfg(test)]
mod tests;
