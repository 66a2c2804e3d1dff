//! The tasks of the operator and how they are joined; see [`Operator::run`].

use std::collections::BTreeSet;
use std::time::Duration;

use kube::runtime::watcher;
use kube::{Api, Client};
use pharos_api::telemetryconfig::{Component, TelemetryConfig};
use pharos_cluster::election::Leadership;
use pharos_cluster::heartbeat::{Heartbeat, Pod};
use pharos_cluster::references::{self, References, Wanted};
use pharos_cluster::view::{self, View};
use pharos_telemetry::{Config, Pipeline, Reloader, ShutdownReport};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::apply::{Applier, Revisions, Sight};
use crate::leader::Leader;
use crate::leader::create::Creation;
use crate::manifest::Manifest;
use crate::report::Report;
use crate::statistics::Statistics;

/// Who this process is among the replicas of its namespace.
#[derive(Clone, Debug)]
pub struct Replica {
    /// The namespace that it watches.
    pub namespace: String,
    /// A name that no other live replica has: the Pod's, or one made up.
    pub name: String,
    /// The Pod, where there is one.
    pub pod: Option<Pod>,
    /// The components that it runs.
    pub components: BTreeSet<Component>,
}

/// The TelemetryConfig loop of one process.
pub struct Operator {
    /// Reads and writes the cluster.
    pub client: Client,
    /// Who runs it.
    pub replica: Replica,
    /// Read for what runs, and for the health of its sinks.
    pub pipeline: Pipeline,
    /// The only way to change what runs.
    pub reloader: Reloader,
    /// What runs while no TelemetryConfig wins: the command line's choice.
    pub defaults: Config,
    /// Whether this process writes status.
    pub leadership: watch::Receiver<Leadership>,
    /// The TelemetryConfig to create, as the leader, if there is none of its name.
    pub create: Option<Manifest>,
}

/// An operator that no longer reloads, and what is left of it.
pub struct Stopped {
    reloader: Reloader,
    drains: TaskTracker,
    tasks: JoinSet<&'static str>,
    outcome: Result<(), Error>,
}

/// Why the operator stopped without having been told to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A task ended that never should.
    #[error("the task that {0} ended by itself")]
    Ended(&'static str),
    /// A task panicked.
    #[error("a task of the operator died")]
    Died(#[source] JoinError),
}

// === impl Operator ===

impl Operator {
    /// Runs until `shutdown`, or until one of its tasks ends that should not.
    pub async fn run(self, shutdown: CancellationToken) -> Stopped {
        let Self { client, replica, pipeline, reloader, defaults, leadership, create } = self;
        let Replica { namespace, name, pod, components } = replica;
        let stop = shutdown.child_token();
        let mut tasks = JoinSet::new();

        let (objects, seen) = watch::channel(View::<TelemetryConfig>::default());
        let api = Api::namespaced(client.clone(), &namespace);
        let everything = watcher::Config::default();
        let watching = view::keep(api, everything, "TelemetryConfigs", objects);
        let until = stop.clone();
        tasks.spawn(async move {
            until.run_until_cancelled(watching).await;
            "watches TelemetryConfigs"
        });

        let (wanted, asked_for) = watch::channel(Wanted::new());
        let (readings, read) = watch::channel(References::default());
        let (reader, home, until) = (client.clone(), namespace.clone(), stop.clone());
        tasks.spawn(async move {
            let reading = references::keep(reader, &home, asked_for, readings);
            until.run_until_cancelled(reading).await;
            "watches what TelemetryConfigs refer to"
        });

        let unprogrammed = Report { components: components.clone(), config: None };
        let (reports, reported) = watch::channel(unprogrammed.encode());
        let counting = pipeline.clone();
        let beating = Heartbeat::new(client.clone(), &namespace, &name, pod)
            .with_statistics(move || Statistics::of(&counting.stats()).encode())
            .run(reported, stop.clone());
        tasks.spawn(async move {
            beating.await;
            "reports in this replica's Lease"
        });

        let revisions = Revisions { client: client.clone(), namespace: namespace.clone() };
        let creation = create.map(|manifest| {
            let (objects, leadership) = (seen.clone(), leadership.clone());
            Creation::new(client.clone(), &namespace, &name, manifest, objects, leadership)
        });
        tasks.spawn(create_once(creation, stop.clone()));

        let leader = Leader::new(client, &namespace, &name, seen.clone());
        let leading = Box::pin(leader.run(leadership, stop.clone()));
        tasks.spawn(async move {
            leading.await;
            "writes status"
        });

        let applier = Applier::new(reloader, pipeline, defaults, components, reports);
        let sight = Sight { objects: seen, references: read, wanted, revisions };
        let supervising = async {
            let ended = tasks.join_next().await;
            let asked = shutdown.is_cancelled();
            stop.cancel();
            if asked { Ok(()) } else { unexpected(ended) }
        };
        let ((reloader, drains), outcome) =
            tokio::join!(applier.run(sight, stop.clone()), supervising);
        Stopped { reloader, drains, tasks, outcome }
    }
}

/// Creates what is to be created, if anything is, and stays until the end.
async fn create_once(creation: Option<Creation>, until: CancellationToken) -> &'static str {
    if let Some(creation) = creation {
        until.run_until_cancelled(Box::pin(creation.run())).await;
    }
    until.cancelled().await;
    "creates a TelemetryConfig"
}

fn unexpected(ended: Option<Result<&'static str, JoinError>>) -> Result<(), Error> {
    match ended {
        Some(Ok(task)) => Err(Error::Ended(task)),
        Some(Err(died)) => Err(Error::Died(died)),
        None => Ok(()),
    }
}

// === impl Stopped ===

impl Stopped {
    /// Exports the last values, within `deadline`, and joins every task. Neither waits for the
    /// other: an API server that does not answer costs no value.
    pub async fn flush(self, deadline: Duration) -> (ShutdownReport, Result<(), Error>) {
        let Self { reloader, drains, mut tasks, outcome } = self;
        let joining = async { while tasks.join_next().await.is_some() {} };
        let (report, ()) = tokio::join!(reloader.shutdown(deadline), joining);
        drains.wait().await;
        (report, outcome)
    }
}

// === impl Error ===

impl Error {
    /// A closed word for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Ended(_) => "TaskEnded",
            Self::Died(_) => "TaskDied",
        }
    }
}
