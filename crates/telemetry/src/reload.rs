//! The one way to change what runs: plan, prepare, commit, drain.
//!
//! Everything that can fail or wait is in [`Reloader::prepare`]; a commit is a few stores and one
//! message that has its place already; what is removed says its last totals on the pipeline's own
//! runtime, whether or not somebody waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::client::ClientSpec;
use crate::config::{Config, Endpoint, MetricSink, OtlpSink, SinkName};
use crate::hub::Change;
use crate::pipeline::Shared;
use crate::plan::Plan;
use crate::sink::{Deadline, DeadlineSetter, LastExport, SinkSpec};
use crate::stats::Stats;

/// Changes what a pipeline runs. There is one, and it cannot be cloned.
///
/// Dropping it ends all exports at once; [`Reloader::shutdown`] ends them in order.
pub struct Reloader {
    shared: Arc<Shared>,
    changes: mpsc::Sender<Change>,
    hub: JoinHandle<()>,
    runtime: Background,
}

/// A reload that is ready: everything that could fail has not. Dropping it undoes it.
pub struct Prepared<'a> {
    shared: &'a Shared,
    place: mpsc::Permit<'a, Change>,
    plan: Plan,
    wanted: Config,
    start: Vec<(Endpoint, SinkSpec)>,
    committed: Committed,
}

/// Whether a prepared reload came to its commit; counts it if it did not.
struct Committed(Option<Arc<Shared>>);

/// What a commit removed. Its last exports are under way, and bounded, without anybody's help.
#[derive(Debug)]
#[must_use = "drain it to learn what became of the last exports"]
pub struct Retired {
    deadline: DeadlineSetter,
    sinks: Vec<(SinkName, oneshot::Receiver<LastExport>)>,
}

/// What became of the last exports of removed and swapped sinks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Drained {
    /// By the name of the sink.
    pub sinks: BTreeMap<SinkName, LastExport>,
}

/// How a pipeline ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShutdownReport {
    /// What became of the last exports.
    pub drained: Drained,
}

/// Why a configuration cannot be run. What runs stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A sink would export without a pause.
    #[error("sink {0}: the export period must be longer than zero")]
    NoPeriod(SinkName),
    /// No export of the sink could ever arrive.
    #[error("sink {0}: the timeout must be longer than zero")]
    NoTimeout(SinkName),
    /// No client can be built for the sink.
    #[error("sink {0}: no client can be built")]
    Client(SinkName, #[source] tonic::transport::Error),
    /// The pipeline has ended.
    #[error("the telemetry pipeline has ended")]
    Ended,
}

/// A runtime that may be dropped anywhere: dropping a plain one in async code panics.
struct Background(Option<Runtime>);

// === impl Reloader ===

impl Reloader {
    pub(crate) fn new(
        shared: Arc<Shared>,
        changes: mpsc::Sender<Change>,
        hub: JoinHandle<()>,
        runtime: Runtime,
    ) -> Self {
        Self {
            shared,
            changes,
            hub,
            runtime: Background(Some(runtime)),
        }
    }

    /// Gets everything ready that `wanted` needs, and touches nothing that runs.
    ///
    /// No receiver is contacted: that one is down says nothing about a configuration.
    ///
    /// # Errors
    /// Why `wanted` cannot be run.
    pub async fn prepare(&mut self, wanted: Config) -> Result<Prepared<'_>, PrepareError> {
        let shared = &*self.shared;
        let plan = Plan::between(&shared.running.load(), &wanted);
        let refuse = |error| {
            shared.reloads.refused.fetch_add(1, Ordering::Relaxed);
            error
        };
        let start = sinks_to_start(&plan, &wanted, shared).map_err(refuse)?;
        let place = self
            .changes
            .reserve()
            .await
            .map_err(|_| refuse(PrepareError::Ended))?;
        let committed = Committed(Some(Arc::clone(&self.shared)));
        Ok(Prepared {
            shared,
            place,
            plan,
            wanted,
            start,
            committed,
        })
    }

    /// Ends the pipeline: every sink exports once more, all of them within `deadline`, and every
    /// task is joined. Can be awaited anywhere.
    pub async fn shutdown(mut self, deadline: Duration) -> ShutdownReport {
        let drained = match self.prepare(Config::off()).await {
            Ok(prepared) => prepared.commit().drain(deadline).await,
            // The hub died, and its sinks with it.
            Err(error) => {
                tracing::error!(%error, "there is nothing left to export");
                Drained::default()
            }
        };
        let Self {
            shared: _,
            changes,
            hub,
            runtime,
        } = self;
        drop(changes);
        if let Err(error) = hub.await {
            tracing::error!(%error, "the telemetry pipeline died");
        }
        drop(runtime);
        ShutdownReport { drained }
    }
}

/// What the sinks that `plan` starts are made of.
fn sinks_to_start(
    plan: &Plan,
    wanted: &Config,
    shared: &Shared,
) -> Result<Vec<(Endpoint, SinkSpec)>, PrepareError> {
    let starting: BTreeSet<&SinkName> = plan
        .metrics()
        .filter(|(_, change)| change.starts())
        .map(|(name, _)| name)
        .collect();
    let stats = shared.stats.load();
    wanted
        .metric_sinks()
        .filter(|(name, _)| starting.contains(name))
        .filter_map(|(name, sink)| match sink {
            MetricSink::Prometheus => None,
            MetricSink::Otlp(sink) => Some((name, sink)),
        })
        .map(|(name, sink)| {
            let stats = stats.get(name).map(Arc::clone).unwrap_or_default();
            let spec = sink_spec(name, sink, wanted, shared, stats)?;
            Ok((sink.endpoint.clone(), spec))
        })
        .collect()
}

fn sink_spec(
    name: &SinkName,
    sink: &OtlpSink,
    wanted: &Config,
    shared: &Shared,
    stats: Arc<Stats>,
) -> Result<SinkSpec, PrepareError> {
    if sink.period.is_zero() {
        return Err(PrepareError::NoPeriod(name.clone()));
    }
    if sink.timeout.is_zero() {
        return Err(PrepareError::NoTimeout(name.clone()));
    }
    let resource = shared.identity.resource(&wanted.resource_attributes);
    let client = ClientSpec::new(sink, resource)
        .map_err(|error| PrepareError::Client(name.clone(), error))?;
    Ok(SinkSpec {
        name: name.clone(),
        client,
        period: sink.period,
        stats,
    })
}

// === impl Prepared ===

impl Prepared<'_> {
    /// What the commit will change.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Puts it in force. Cannot fail and does not wait.
    pub fn commit(self) -> Retired {
        let Self {
            shared,
            place,
            plan,
            wanted,
            start,
            mut committed,
        } = self;
        committed.0 = None;
        shared.reloads.committed.fetch_add(1, Ordering::Relaxed);
        let (setter, deadline) = Deadline::start();
        let running = shared.running.load();
        let (retire, sinks) = plan
            .metrics()
            .filter(|(name, change)| change.retires() && pushes(&running, name))
            .map(|(name, _)| {
                let (reply, last_export) = oneshot::channel();
                ((name.clone(), reply), (name.clone(), last_export))
            })
            .unzip();
        shared
            .stats
            .store(Arc::new(stats_after(shared, &wanted, &start)));
        let scraped = wanted.scraped().cloned().collect();
        shared.running.store(Arc::new(wanted));
        if !plan.keeps_everything() {
            place.send(Change {
                retire,
                deadline,
                start,
                scraped,
            });
        }
        Retired {
            deadline: setter,
            sinks,
        }
    }
}

fn pushes(config: &Config, sink: &SinkName) -> bool {
    config
        .metric_sinks()
        .any(|(name, it)| name == sink && matches!(it, MetricSink::Otlp(_)))
}

/// The counters of the sinks that push after the commit: a name keeps its own.
fn stats_after(
    shared: &Shared,
    wanted: &Config,
    start: &[(Endpoint, SinkSpec)],
) -> BTreeMap<SinkName, Arc<Stats>> {
    let before = shared.stats.load();
    let kept = before.iter().filter(|(name, _)| pushes(wanted, name));
    let started = start
        .iter()
        .map(|(_, sink)| (sink.name.clone(), Arc::clone(&sink.stats)));
    kept.map(|(name, stats)| (name.clone(), Arc::clone(stats)))
        .chain(started)
        .collect()
}

// === impl Committed ===

impl Drop for Committed {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            shared.reloads.abandoned.fetch_add(1, Ordering::Relaxed);
        }
    }
}

// === impl Retired ===

impl Retired {
    /// Waits until the removed sinks have made their last exports, `deadline` at most, and tells
    /// what became of them.
    pub async fn drain(self, deadline: Duration) -> Drained {
        self.deadline.set(deadline);
        let mut drained = Drained::default();
        for (name, last_export) in self.sinks {
            let died = LastExport::Lost {
                points: 0,
                reason: "sink_died",
            };
            drained
                .sinks
                .insert(name, last_export.await.unwrap_or(died));
        }
        drained
    }
}

// === impl Drained ===

impl Drained {
    /// How many sinks ended without their last totals having arrived, as far as we know.
    pub fn lost(&self) -> usize {
        self.sinks
            .values()
            .filter(|last| matches!(last, LastExport::Lost { .. }))
            .count()
    }
}

// === impl PrepareError ===

impl PrepareError {
    /// The kind of the error, from a closed set.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoPeriod(_) => "NoPeriod",
            Self::NoTimeout(_) => "NoTimeout",
            Self::Client(..) => "Client",
            Self::Ended => "Ended",
        }
    }
}

// === impl Background ===

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
