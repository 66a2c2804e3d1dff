//! The tasks of the operator and how they are joined; see [`Operator::run`].

use std::collections::BTreeSet;

use kube::runtime::watcher;
use kube::{Api, Client};
use pharos_api::telemetryconfig::{Component, TelemetryConfig};
use pharos_cluster::election::Leadership;
use pharos_cluster::heartbeat::{Heartbeat, Pod};
use pharos_cluster::view::{self, View};
use pharos_telemetry::{Config, Pipeline, Reloader};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::apply::Applier;
use crate::report::Report;
use crate::status_writer::StatusWriter;

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
    /// Read for the health of sinks.
    pub pipeline: Pipeline,
    /// The only way to change what runs.
    pub reloader: Reloader,
    /// What runs while no TelemetryConfig wins: the command line's choice.
    pub defaults: Config,
    /// Whether this process writes status.
    pub leadership: watch::Receiver<Leadership>,
}

// === impl Operator ===

impl Operator {
    /// Runs until `shutdown` and hands the pipeline back, for its last flush.
    pub async fn run(self, shutdown: CancellationToken) -> Reloader {
        let Self { client, replica, pipeline, reloader, defaults, leadership } = self;
        let namespace = replica.namespace.as_str();
        let tasks = TaskTracker::new();

        let (objects, seen) = watch::channel(View::<TelemetryConfig>::default());
        let telemetryconfigs = Api::namespaced(client.clone(), namespace);
        let watching =
            view::keep(telemetryconfigs, watcher::Config::default(), "TelemetryConfigs", objects);
        let until = shutdown.clone();
        tasks.spawn(async move { until.run_until_cancelled(watching).await });

        let unprogrammed = Report { components: replica.components.clone(), config: None };
        let (reports, reported) = watch::channel(unprogrammed.encode());
        let heartbeat =
            Heartbeat::new(client.clone(), namespace, &replica.name, replica.pod.clone());
        tasks.spawn(heartbeat.run(reported, shutdown.clone()));

        let writer = StatusWriter::new(client.clone(), namespace, seen.clone());
        tasks.spawn(writer.run(leadership, shutdown.clone()));

        let applier =
            Applier::new(reloader, pipeline.health(), defaults, replica.components, reports);
        let reloader = applier.run(seen, shutdown).await;
        tasks.close();
        tasks.wait().await;
        reloader
    }
}
