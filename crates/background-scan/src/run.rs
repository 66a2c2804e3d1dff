//! The whole of the component: wired, run, and ended in order.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kube::{Api, Client};
use pharos_cluster::Readiness;
use pharos_cluster::discovery::{self, Resources};
use pharos_cluster::heartbeat::Pod;
use pharos_cluster::membership::Membership;
use pharos_cluster::tasks::{TaskError, Tasks};
use pharos_instruments::Instruments;
use pharos_policy_cache::{self as policies, ExceptionNamespaces, Policies, Sources};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::edge::{Heard, watch_reports};
use crate::judge::Namespaces;
use crate::namespaces;
use crate::scan::Keeping;
use crate::status::WORK;

use turn::Turn;

mod sweeps;
mod turn;

/// How much of what watches tell may wait.
const HEARD: usize = 1024;

/// What the command line says about scans.
#[derive(Clone, Debug)]
pub struct Options {
    /// How often everything is judged again, whatever changed.
    pub interval: Duration,
    /// Where reports are kept.
    pub keeping: Keeping,
    /// The engine's own namespace: where the replicas' Leases are.
    pub namespace: String,
    /// This replica, a name unique among those of the namespace.
    pub replica: String,
    /// The Pod that it runs in, if it is one.
    pub pod: Option<Pod>,
}

/// Where the policies come from.
#[derive(Clone)]
pub enum PolicySource {
    /// They are watched for the scan, and compiled; exceptions from them count in these namespaces.
    Watched(ExceptionNamespaces),
    /// Another component of the process has them.
    Shared(watch::Receiver<Option<Arc<Policies>>>),
}

/// Background scans, ready to run.
pub struct BackgroundScan {
    client: Client,
    policies: PolicySource,
    instruments: Instruments,
    options: Options,
    readiness: watch::Sender<Readiness>,
}

/// Why scans ended without having been told to.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] TaskError);

/// What a scan goes by, as it is published.
struct Inputs {
    policies: watch::Receiver<Option<Arc<Policies>>>,
    resources: watch::Receiver<Option<Arc<Resources>>>,
    namespaces: watch::Receiver<Namespaces>,
    living: watch::Receiver<BTreeSet<String>>,
    heard: mpsc::Receiver<Heard>,
}

/// What a scan tells of itself.
struct Outputs {
    readiness: watch::Sender<Readiness>,
    status: watch::Sender<String>,
}

// === impl Error ===

impl Error {
    /// A closed word for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match &self.0 {
            TaskError::Ended(_) => "TaskEnded",
            TaskError::Died(_) => "TaskDied",
        }
    }
}

// === impl BackgroundScan ===

impl BackgroundScan {
    /// Scans that do nothing until they run.
    pub fn new(
        client: Client,
        policies: PolicySource,
        instruments: Instruments,
        options: Options,
    ) -> Self {
        let (readiness, _) = watch::channel(Readiness::waiting_for("scans to start"));
        Self { client, policies, instruments, options, readiness }
    }

    /// Whether the policies are known by which it scans.
    pub fn readiness(&self) -> watch::Receiver<Readiness> {
        self.readiness.subscribe()
    }

    /// Scans until `shutdown`: then what is being read or written is let go, for whoever goes on finds
    /// it undone, and the share of this replica is given to the others at once.
    ///
    /// # Errors
    ///
    /// If a part of it ended by itself.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let mut tasks = Tasks::default();
        let leaving = shutdown.child_token();
        let (status, reported) = watch::channel(String::new());
        let (inputs, hear) = self.provide(&mut tasks, &leaving, reported);
        for kind in self.options.keeping.kinds() {
            let watching = watch_reports(self.client.clone(), kind, hear.clone());
            tasks.spawn("watches reports", watching);
        }
        let turn = Turn::new(&self, hear);
        let readiness = self.readiness.clone();
        tasks.spawn("scans", turn.run(inputs, Outputs { readiness: readiness.clone(), status }));
        let outcome = tokio::select! {
            biased;
            () = shutdown.cancelled() => Ok(()),
            died = tasks.died() => Err(died),
        };
        readiness.send_replace(Readiness::NotReady("scans have ended".to_owned()));
        leaving.cancel();
        let joined = tasks.join().await;
        Ok(outcome.and(joined)?)
    }

    /// From the API server: what it holds.
    fn provide(
        &self,
        tasks: &mut Tasks,
        leaving: &CancellationToken,
        reported: watch::Receiver<String>,
    ) -> (Inputs, mpsc::Sender<Heard>) {
        let client = || self.client.clone();
        let policies = match &self.policies {
            PolicySource::Shared(policies) => {
                let mut policies = policies.clone();
                policies.mark_changed();
                policies
            }
            PolicySource::Watched(exceptions) => {
                let sources = Sources::watch(&self.client, tasks);
                let (compiled, policies) = watch::channel(None);
                let keep = policies::keep(sources, exceptions.clone(), compiled);
                tasks.spawn("compiles policies", keep);
                policies
            }
        };
        let (discovered, resources) = watch::channel(None);
        tasks.spawn("asks which resources are served", discovery::keep(client(), discovered));
        let (rendered, namespaces) = watch::channel(Namespaces::default());
        tasks.spawn("watches namespaces", namespaces::keep(Api::all(client()), rendered));
        let Options { namespace, replica, pod, .. } = &self.options;
        let (publish, living) = watch::channel(BTreeSet::new());
        let membership = Membership::new(client(), namespace, WORK, replica, pod.clone(), reported);
        // It ends by what it is told, not with the others: its Lease has to be taken away.
        let membership = membership.run(publish, leaving.clone());
        tasks.spawn_to_its_end("shares the work", leaving.clone(), membership);
        let (hear, heard) = mpsc::channel(HEARD);
        (Inputs { policies, resources, namespaces, living, heard }, hear)
    }
}
