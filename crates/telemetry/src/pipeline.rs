//! The pipeline as everybody but its one owner sees it: instruments in, readings out.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use opentelemetry::Context;
use opentelemetry::metrics::Meter;
use opentelemetry_sdk::trace::SdkTracer;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{mpsc, watch};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::client::Proxies;
use crate::config::{Config, MetricShape};
use crate::debug::{DebugSnapshot, Generations, Reloads};
use crate::exposition::{self, ExpositionFormat, Scrape};
use crate::generation::Totals;
use crate::health::Health;
use crate::hub::{Hub, Published};
use crate::identity::Identity;
use crate::instrument::{Catalogue, DeclarationError};
use crate::layers;
use crate::own::Own;
use crate::records::Records;
use crate::reload::Reloader;
use crate::scrape::Transport;
use crate::shape::ViewFinding;
use crate::signal::SinkId;
use crate::stats::{SinkStats, Stats};

/// One thread does all export I/O; what waits is not the CPU.
const WORKERS: usize = 1;

/// A running pipeline: makes instruments and tells what it does. Cheap to clone.
#[derive(Clone)]
pub struct Pipeline {
    shared: Arc<Shared>,
}

/// A pipeline could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No thread for exports could be started.
    #[error("cannot start the runtime of the telemetry pipeline")]
    Runtime(#[source] io::Error),
    /// An instrument is declared in a way that cannot be.
    #[error(transparent)]
    Declaration(#[from] DeclarationError),
}

/// What the reloader writes and the pipeline reads.
pub(crate) struct Shared {
    pub(crate) identity: Identity,
    pub(crate) totals: Arc<Totals>,
    pub(crate) records: Arc<Records>,
    pub(crate) running: ArcSwap<Config>,
    pub(crate) proxies: ArcSwap<Proxies>,
    /// How scrapes are served, made from the same configuration.
    pub(crate) scrape_transport: watch::Sender<Transport>,
    pub(crate) stats: ArcSwap<BTreeMap<SinkId, Arc<Stats>>>,
    pub(crate) reloads: ReloadCounts,
    pub(crate) published: Arc<Published>,
    pub(crate) own: Option<Own>,
    /// Of exports.
    pub(crate) runtime: Handle,
}

/// Reloads by outcome.
#[derive(Default)]
pub(crate) struct ReloadCounts {
    pub(crate) committed: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) abandoned: AtomicU64,
}

// === impl Pipeline ===

impl Pipeline {
    /// Starts a pipeline that exports nowhere: what it runs comes from the [`Reloader`] alone. The
    /// instruments of `catalogue` count from here on.
    ///
    /// Exports have a runtime of their own, so that they neither wait for the caller's nor take
    /// its threads.
    ///
    /// # Errors
    /// If that runtime cannot be started, or a declaration is none.
    pub fn start(identity: Identity, catalogue: Catalogue) -> Result<(Self, Reloader), StartError> {
        let own = catalogue.own();
        let (slot, declared) = catalogue.finish()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("telemetry")
            .on_thread_start(suppress_telemetry)
            .enable_all()
            .build()
            .map_err(StartError::Runtime)?;
        let totals = Totals::start(slot, declared);
        let shared = Arc::new(Shared::new(identity, totals, own, runtime.handle().clone()));
        if let Some(own) = &shared.own {
            own.watch(&shared);
        }
        let reloader = spawn_hub(runtime, Arc::clone(&shared));
        Ok((Self { shared }, reloader))
    }

    /// Makes instruments under `scope` that are not declared: those of libraries, say. They stay
    /// valid through every reload, and no view reaches them.
    pub fn meter(&self, scope: &'static str) -> Meter {
        self.shared.totals.meter(scope)
    }

    /// Makes spans under `scope`. It stays valid through every reload.
    pub fn tracer(&self, scope: &'static str) -> SdkTracer {
        self.shared.records.traces.tracer(scope)
    }

    /// Makes spans and log records of what `tracing` sees: [`Self::trace_layer`] and
    /// [`Self::log_layer`]. Install it once, next to whatever else listens; it follows every
    /// reload, and costs next to nothing while spans and log records go nowhere.
    pub fn layers<S>(&self) -> Vec<Box<dyn Layer<S> + Send + Sync>>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        // Not `and_then`: on top of a bare registry, that forgets one of the two level hints.
        vec![Box::new(self.trace_layer()), Box::new(self.log_layer())]
    }

    /// Makes spans of the spans of `tracing`, and events of them of its events, from level INFO.
    pub fn trace_layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let traces = &self.shared.records.traces;
        layers::spans(traces.tracer("tracing"), traces.gate())
    }

    /// Makes log records of the events of `tracing`, with the trace and span that they belong to.
    pub fn log_layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        layers::logs(&self.shared.records.logs)
    }

    /// The answer to a scrape as text. Collects and encodes on the calling thread.
    pub fn scrape(&self) -> Scrape {
        match self.is_scraped() {
            true => Scrape::Text(exposition::text(&self.shared.totals.snapshot())),
            false => Scrape::Off,
        }
    }

    /// The answer to a scrape in `format`; none while no sink is one that is scraped. Collects and
    /// encodes on the calling thread.
    pub fn scrape_as(&self, format: ExpositionFormat) -> Option<Vec<u8>> {
        let mut page = Vec::new();
        self.scrape_into(format, &mut page).expect("memory takes any page").then_some(page)
    }

    /// Writes the answer to a scrape, and whether there is one: nothing is written while no sink
    /// is one that is scraped.
    pub(crate) fn scrape_into(
        &self,
        format: ExpositionFormat,
        page: &mut impl io::Write,
    ) -> io::Result<bool> {
        let is_scraped = self.is_scraped();
        if is_scraped {
            exposition::encode(&self.shared.totals.snapshot(), format, page)?;
        }
        Ok(is_scraped)
    }

    /// How scrapes are to be served; changes with the configuration.
    pub(crate) fn scrape_transport(&self) -> watch::Receiver<Transport> {
        self.shared.scrape_transport.subscribe()
    }

    fn is_scraped(&self) -> bool {
        self.shared.running.load().scraped().next().is_some()
    }

    /// What there is to say about the views of `wanted`. Of these findings some refuse it; what
    /// others are for may yet come.
    pub fn check(&self, wanted: &MetricShape) -> Vec<ViewFinding> {
        self.shared.totals.check(wanted)
    }

    /// The configuration in force.
    pub fn running(&self) -> Arc<Config> {
        self.shared.running.load_full()
    }

    /// The state of every sink; changes on transitions only.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.shared.published.health.subscribe()
    }

    /// What every sink that pushes did so far.
    pub fn stats(&self) -> BTreeMap<SinkId, SinkStats> {
        let stats = self.shared.stats.load();
        stats.iter().map(|(id, stats)| (id.clone(), stats.read())).collect()
    }

    /// All that is known about what the pipeline does.
    pub fn debug(&self) -> DebugSnapshot {
        let Shared { identity, totals, running, reloads, published, runtime, .. } = &*self.shared;
        DebugSnapshot {
            instance_id: identity.instance_id().to_owned(),
            running: running.load_full(),
            health: published.health.borrow().clone(),
            sinks: self.stats(),
            reloads: reloads.read(),
            last_exports: published.last_exports.read(),
            last_commit: published.last_commit.load().as_ref().map(|commit| commit.at),
            failed_collections: totals.failed_collections(),
            generations: Generations::read(totals),
            tasks: runtime.metrics().num_alive_tasks(),
        }
    }

    /// The totals at the commit of the last reload, as a scrape at that moment would have shown
    /// them: what removed sinks exported last and new ones first. Empty before the first reload.
    pub fn last_commit_exposition(&self) -> String {
        let commit = self.shared.published.last_commit.load();
        commit.as_ref().map(|commit| exposition::text(&commit.snapshot)).unwrap_or_default()
    }
}

fn spawn_hub(runtime: Runtime, shared: Arc<Shared>) -> Reloader {
    let (switches, receiver) = mpsc::channel(1);
    let (totals, records) = (Arc::clone(&shared.totals), Arc::clone(&shared.records));
    let hub = Hub::new(totals, records, Arc::clone(&shared.published));
    let hub = runtime.spawn(hub.run(receiver));
    Reloader::new(shared, switches, hub, runtime)
}

/// What the calling thread does from now on is not recorded: exporting would lead to exporting.
fn suppress_telemetry() {
    // For as long as the thread lives. A guard that is dropped when it ends would find the state
    // that it restores gone.
    std::mem::forget(Context::enter_telemetry_suppressed_scope());
}

// === impl ReloadCounts ===

impl ReloadCounts {
    fn read(&self) -> Reloads {
        Reloads {
            committed: self.committed.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            abandoned: self.abandoned.load(Ordering::Relaxed),
        }
    }
}

// === impl StartError ===

impl StartError {
    /// The kind of the error, from a closed set.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Runtime(_) => "Runtime",
            Self::Declaration(_) => "Declaration",
        }
    }
}

// === impl Shared ===

impl Shared {
    fn new(identity: Identity, totals: Totals, own: Option<Own>, runtime: Handle) -> Self {
        Self {
            identity,
            totals: Arc::new(totals),
            records: Arc::default(),
            running: ArcSwap::from_pointee(Config::off()),
            proxies: ArcSwap::default(),
            scrape_transport: watch::Sender::default(),
            stats: ArcSwap::default(),
            reloads: ReloadCounts::default(),
            published: Arc::new(Published::new()),
            own,
            runtime,
        }
    }
}
