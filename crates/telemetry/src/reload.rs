//! The one way to change what runs: plan, prepare, commit, drain.
//!
//! Everything that can fail or wait is in [`Reloader::prepare`]; a commit is a few stores and one
//! message that has its place already; what is removed says its last totals on the pipeline's own
//! runtime, whether or not somebody waits.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::client::{ClientError, ClientSpec, Proxies};
use crate::config::{
    Config, Endpoint, MaterialError, MetricSink, OtlpReceiver, OtlpSink, SinkName,
};
use crate::generation::Rebuild;
use crate::hub::Switch;
use crate::pipeline::Shared;
use crate::plan::{GenerationChange, Plan};
use crate::records::{SenderParts, senders_to_start};
use crate::scrape::Transport;
use crate::shape::{StreamReset, ViewFinding};
use crate::signal::{Signal, SinkId};
use crate::sink::{Deadline, SinkSpec};
use crate::stats::Stats;

mod fate;
mod retired;

use fate::Fate;
pub use retired::{Drained, Retired, ShutdownReport};

/// Changes what a pipeline runs. There is one, and it cannot be cloned.
///
/// Dropping it ends all exports at once; [`Reloader::shutdown`] ends them in order.
pub struct Reloader {
    shared: Arc<Shared>,
    switches: mpsc::Sender<Switch>,
    hub: JoinHandle<()>,
    runtime: Background,
}

/// A reload that is ready: everything that could fail has not. Dropping it undoes it.
pub struct Prepared<'a> {
    shared: &'a Shared,
    place: mpsc::Permit<'a, Switch>,
    plan: Plan,
    wanted: Config,
    start: Vec<(Endpoint, SinkSpec)>,
    transport: Transport,
    records: Vec<SenderParts>,
    stats: SinkStats,
    rebuild: Option<Rebuild>,
    fate: Fate<'a>,
}

/// Why a configuration cannot be run. What runs stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A sink would export all the time, or never.
    #[error("sink {0}: the export period must be between a millisecond and a day")]
    Period(SinkId),
    /// No export of the sink could ever arrive, or fail.
    #[error("sink {0}: the timeout must be between a millisecond and a day")]
    Timeout(SinkId),
    /// No client can be built for the sink.
    #[error("sink {0}: no client can be built")]
    Client(SinkId, #[source] ClientError),
    /// Scrapes cannot be served with what the sink has for it.
    #[error("sink {0}: scrapes cannot be served by TLS")]
    Scrape(SinkId, #[source] MaterialError),
    /// A view asks for what cannot be.
    #[error(transparent)]
    View(ViewFinding),
    /// The pipeline has ended.
    #[error("the telemetry pipeline has ended")]
    Ended,
}

/// The counters of every sink that pushes.
pub(crate) type SinkStats = BTreeMap<SinkId, Arc<Stats>>;

/// A runtime that may be dropped anywhere: dropping a plain one in async code panics.
struct Background(Option<Runtime>);

/// Periods and timeouts that make sense, and with which no clock overflows.
const SENSIBLE: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(24 * 60 * 60);
/// How long the tasks may take to end when there is nothing left for them to do.
const JOIN_LIMIT: Duration = Duration::from_millis(500);

// === impl Reloader ===

impl Reloader {
    pub(crate) fn new(
        shared: Arc<Shared>,
        switches: mpsc::Sender<Switch>,
        hub: JoinHandle<()>,
        runtime: Runtime,
    ) -> Self {
        Self { shared, switches, hub, runtime: Background(Some(runtime)) }
    }

    /// Reaches the receivers of all reloads to come through `proxies`, and logs which those are.
    #[must_use]
    pub fn with_proxies(self, proxies: Proxies) -> Self {
        proxies.log();
        self.shared.proxies.store(Arc::new(proxies));
        self
    }

    /// Gets everything ready that `wanted` needs, and touches nothing that runs.
    ///
    /// No receiver is contacted: that one is down says nothing about a configuration.
    ///
    /// # Errors
    /// Why `wanted` cannot be run.
    pub async fn prepare(&mut self, wanted: Config) -> Result<Prepared<'_>, PrepareError> {
        let shared = &*self.shared;
        let mut fate = Fate::begin(shared);
        let plan = Plan::between(&running(shared), &wanted);
        let stats = stats_after(shared, &wanted);
        let start = sinks_to_start(&plan, &wanted, shared, &stats)?;
        let records = senders_to_start(&plan, &wanted, shared, &stats)?;
        let transport = Transport::prepare(&wanted, &shared.scrape_transport.borrow());
        let transport = transport.map_err(|(name, error)| {
            PrepareError::Scrape(SinkId::new(Signal::Metrics, name), error)
        })?;
        let rebuild = match plan.generation() {
            GenerationChange::Keep => None,
            GenerationChange::Rebuild => {
                let rebuild = shared.totals.prepare(&wanted.metrics.shape);
                Some(rebuild.map_err(PrepareError::View)?)
            }
        };
        fate.prepared();
        let place = self.switches.reserve().await.map_err(|_| PrepareError::Ended)?;
        Ok(Prepared {
            shared,
            place,
            plan,
            wanted,
            start,
            transport,
            records,
            stats,
            rebuild,
            fate,
        })
    }

    /// Ends the pipeline: every sink exports once more, all of them within `deadline`, and every
    /// task is joined. Can be awaited anywhere.
    pub async fn shutdown(mut self, deadline: Duration) -> ShutdownReport {
        let end = Instant::now() + deadline.min(*SENSIBLE.end());
        let drained = match self.prepare(Config::off()).await {
            Ok(prepared) => prepared.commit().drain(deadline).await,
            // The hub died, and its sinks with it.
            Err(error) => {
                tracing::error!(%error, "there is nothing left to export");
                Drained::default()
            }
        };
        let Self { shared: _, switches, hub, runtime } = self;
        drop(switches);
        runtime.join(hub, end + JOIN_LIMIT).await;
        ShutdownReport { drained }
    }
}

/// What runs. The shape of metrics outlives a configuration in which they go nowhere.
fn running(shared: &Shared) -> Config {
    let mut running = Config::clone(&shared.running.load());
    running.metrics.shape = shared.totals.shape();
    running
}

/// What the sinks that `plan` starts are made of.
fn sinks_to_start(
    plan: &Plan,
    wanted: &Config,
    shared: &Shared,
    stats: &SinkStats,
) -> Result<Vec<(Endpoint, SinkSpec)>, PrepareError> {
    let starting: BTreeSet<&SinkName> = plan
        .of(Signal::Metrics)
        .filter(|(_, change)| change.starts())
        .map(|(name, _)| name)
        .collect();
    wanted
        .metric_sinks()
        .filter(|(name, _)| starting.contains(name))
        .filter_map(|(name, sink)| match sink {
            MetricSink::Prometheus(_) => None,
            MetricSink::Otlp(sink) => Some((name, sink)),
        })
        .map(|(name, sink)| {
            let id = SinkId::new(Signal::Metrics, name.clone());
            let stats = stats.get(&id).map(Arc::clone).unwrap_or_default();
            let spec = sink_spec(&id, sink, wanted, shared, stats)?;
            Ok((sink.receiver.endpoint.clone(), spec))
        })
        .collect()
}

fn sink_spec(
    id: &SinkId,
    sink: &OtlpSink,
    wanted: &Config,
    shared: &Shared,
    stats: Arc<Stats>,
) -> Result<SinkSpec, PrepareError> {
    if !SENSIBLE.contains(&sink.period) {
        return Err(PrepareError::Period(id.clone()));
    }
    let client = client_spec(id, &sink.receiver, shared)?;
    let resource = shared.identity.resource(&wanted.resource_attributes);
    let OtlpSink { receiver: _, period, temporality } = *sink;
    Ok(SinkSpec { name: id.name.clone(), client, resource, period, temporality, stats })
}

pub(crate) fn client_spec(
    id: &SinkId,
    receiver: &OtlpReceiver,
    shared: &Shared,
) -> Result<ClientSpec, PrepareError> {
    if !SENSIBLE.contains(&receiver.timeout) {
        return Err(PrepareError::Timeout(id.clone()));
    }
    ClientSpec::new(receiver, &shared.proxies.load())
        .map_err(|error| PrepareError::Client(id.clone(), error))
}

// === impl Prepared ===

impl Prepared<'_> {
    /// What the commit will change.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The metrics that will start again, from zero, because of the views.
    pub fn resets(&self) -> &[StreamReset] {
        self.rebuild.as_ref().map(Rebuild::resets).unwrap_or_default()
    }

    /// Puts it in force. Cannot fail and does not wait.
    pub fn commit(self) -> Retired {
        let Self { shared, place, plan, wanted, start, transport, records, stats, rebuild, fate } =
            self;
        let mut fate = fate;
        fate.committed();
        let (setter, deadline) = Deadline::start();
        let (applied, when_applied) = oneshot::channel();
        let running = shared.running.load();
        let (retire, mut sinks): (Vec<_>, Vec<_>) = plan
            .of(Signal::Metrics)
            .filter(|(name, change)| change.retires() && pushes(&running, name))
            .map(|(name, _)| {
                let (reply, last_export) = oneshot::channel();
                let sink = SinkId::new(Signal::Metrics, name.clone());
                ((name.clone(), reply), (sink, last_export))
            })
            .unzip();
        let (records, last_exports) = shared.records.commit(&plan, &wanted, &stats, records);
        sinks.extend(last_exports);
        shared.stats.store(Arc::new(stats));
        let ended = rebuild.map(|rebuild| shared.totals.commit(rebuild));
        let scraped = wanted.scraped().cloned().collect();
        shared.running.store(Arc::new(wanted));
        shared.scrape_transport.send_if_modified(|running| {
            let changed = *running != transport;
            *running = transport;
            changed
        });
        if !plan.keeps_everything() {
            place.send(Switch { retire, deadline, ended, start, records, scraped, applied });
        }
        Retired { applied: Some(when_applied), deadline: setter, sinks }
    }
}

fn pushes(config: &Config, sink: &SinkName) -> bool {
    config.metric_sinks().any(|(name, it)| name == sink && matches!(it, MetricSink::Otlp(_)))
}

/// The counters of the sinks that push after the commit: a name keeps its own.
fn stats_after(shared: &Shared, wanted: &Config) -> SinkStats {
    let before = shared.stats.load();
    let new = |sink: &SinkId| Arc::new(Stats::new(shared.own.as_ref().map(|own| own.of(sink))));
    let kept = |sink: &SinkId| before.get(sink).map_or_else(|| new(sink), Arc::clone);
    wanted.receivers().map(|(sink, _)| (sink.clone(), kept(&sink))).collect()
}

// === impl PrepareError ===

impl PrepareError {
    /// The kind of the error, from a closed set.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Period(_) => "Period",
            Self::Timeout(_) => "Timeout",
            Self::Client(..) => "Client",
            Self::Scrape(..) => "Scrape",
            Self::View(_) => "View",
            Self::Ended => "Ended",
        }
    }
}

// === impl Background ===

impl Background {
    /// Waits for the hub, on this runtime's own clock, and ends both. A sink that left before may
    /// have more time for its last export than there is now.
    async fn join(self, hub: JoinHandle<()>, by: Instant) {
        let Some(runtime) = &self.0 else { return };
        let hub = async move {
            let abort = hub.abort_handle();
            let joined = tokio::time::timeout_at(by, hub).await;
            abort.abort();
            joined
        };
        match runtime.spawn(hub).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Err(_)) => tracing::warn!("last exports of earlier reloads were given up"),
            Ok(Ok(Err(error))) | Err(error) => {
                tracing::error!(%error, "the telemetry pipeline died");
            }
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
