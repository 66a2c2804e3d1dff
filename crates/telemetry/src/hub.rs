//! The one owner of the sinks that run: starts them, ends them, joins them, publishes their state.
//!
//! The hub takes the snapshot of a commit: the last totals of the sinks that it ends and the first
//! of those that it starts, so that both sides of a switch agree by construction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::config::{Endpoint, SinkName, Temporality};
use crate::generation::{BROKEN, Ended, Totals};
use crate::health::{FailureReason, Health, SinkHealth};
use crate::records::{RecordSwitch, Records, Senders};
use crate::signal::{Signal, SinkId};
use crate::sink::{
    Deadline, Farewell, Lane, LastExport, LastExportCounts, Ledger, Report, Sink, SinkSpec,
    Succession, Ties,
};
use crate::snapshot::Snapshot;

mod retiring;

use retiring::Retiring;

/// Reports that may wait for the hub, which is never busy for long.
const REPORTS: usize = 64;

/// What a commit switches.
pub(crate) struct Switch {
    /// The sinks that end, and who waits for their last export.
    pub(crate) retire: Vec<(SinkName, oneshot::Sender<LastExport>)>,
    pub(crate) deadline: Deadline,
    /// The generation of instruments that ended.
    pub(crate) ended: Option<Ended>,
    /// The sinks that start.
    pub(crate) start: Vec<(Endpoint, SinkSpec)>,
    /// The sinks of spans and log records.
    pub(crate) records: RecordSwitch,
    /// The sinks that are scraped from then on.
    pub(crate) scraped: BTreeSet<SinkName>,
    /// Told when all of that is so.
    pub(crate) applied: oneshot::Sender<()>,
}

/// The totals at a commit, and when that was.
pub(crate) struct Commit {
    pub(crate) at: Timestamp,
    pub(crate) snapshot: Arc<Snapshot>,
}

/// What the hub writes and others read.
pub(crate) struct Published {
    pub(crate) health: watch::Sender<Health>,
    pub(crate) last_commit: ArcSwapOption<Commit>,
    pub(crate) last_exports: Arc<LastExportCounts>,
}

/// The one owner of the sinks that run.
pub(crate) struct Hub {
    totals: Arc<Totals>,
    published: Arc<Published>,
    tasks: JoinSet<()>,
    live: BTreeMap<SinkName, Live>,
    senders: Senders,
    scraped: BTreeSet<SinkName>,
    leaving: Vec<Leaving>,
    lanes: BTreeMap<Endpoint, Lane>,
    reports: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
    retiring: Retiring,
}

/// The hub's side of a sink that runs.
struct Live {
    task: Id,
    endpoint: Endpoint,
    temporality: Temporality,
    ledger: Arc<Ledger>,
    stop: CancellationToken,
    farewell: oneshot::Sender<Farewell>,
    finished: CancellationToken,
    health: SinkHealth,
}

/// A sink on its way out.
struct Leaving {
    name: SinkName,
    endpoint: Endpoint,
    temporality: Temporality,
    finished: CancellationToken,
}

// === impl Hub ===

impl Hub {
    pub(crate) fn new(
        totals: Arc<Totals>,
        records: Arc<Records>,
        published: Arc<Published>,
    ) -> Self {
        Self {
            retiring: Retiring::new(Arc::clone(&totals)),
            totals,
            published,
            tasks: JoinSet::new(),
            live: BTreeMap::new(),
            senders: Senders::new(records),
            scraped: BTreeSet::new(),
            leaving: Vec::new(),
            lanes: BTreeMap::new(),
            reports: mpsc::channel(REPORTS),
        }
    }

    /// Runs until nobody can send a switch any more, and every sink has ended.
    pub(crate) async fn run(mut self, mut switches: mpsc::Receiver<Switch>) {
        let broken = self.totals.broken().clone();
        let mut told = false;
        loop {
            tokio::select! {
                () = self.retiring.due() => self.retiring.settle(),
                () = broken.cancelled(), if !told => {
                    told = true;
                    self.publish_health();
                }
                switch = switches.recv() => match switch {
                    Some(switch) => self.apply(switch),
                    None => break,
                },
                Some(report) = self.reports.1.recv() => self.note(report),
                Some(ended) = self.tasks.join_next_with_id() => self.join(ended),
                Some(ended) = self.senders.join_next() => self.join(ended),
            }
        }
        for live in std::mem::take(&mut self.live).into_values() {
            live.stop.cancel();
        }
        self.senders.dismiss();
        self.reports.1.close();
        while let Some(ended) = self.tasks.join_next_with_id().await {
            self.join(ended);
        }
        while let Some(ended) = self.senders.join_next().await {
            self.join(ended);
        }
    }

    fn apply(&mut self, switch: Switch) {
        let retiring: Vec<_> = switch
            .retire
            .into_iter()
            .filter_map(|(name, reply)| Some((self.live.remove(&name)?, name, reply)))
            .collect();
        // Before the snapshot: a sink that was not told to stop by then may export a newer one.
        for (live, ..) in &retiring {
            live.stop.cancel();
        }
        // Sinks that end tell the last totals in the shape that they told all others in.
        let ended = switch.ended.filter(|_| !retiring.is_empty());
        let last = ended.map(|ended| self.totals.last_of(ended));
        let snapshot = self.totals.snapshot();
        let last = last.unwrap_or_else(|| Arc::clone(&snapshot));
        let commit = Commit { at: Timestamp::now(), snapshot: Arc::clone(&snapshot) };
        self.published.last_commit.store(Some(Arc::new(commit)));
        self.leaving.retain(|leaving| !leaving.finished.is_cancelled());
        let mut ledgers = BTreeMap::new();
        for (live, name, reply) in retiring {
            let Live { endpoint, temporality, ledger, farewell, finished, .. } = live;
            let succession = if switch.start.iter().any(|(_, spec)| spec.name == name) {
                Succession::SameName
            } else {
                Succession::None
            };
            // A sink that panicked hears nothing; its reply is dropped, which says so.
            let _ = farewell.send(Farewell {
                last: Arc::clone(&last),
                succession,
                deadline: switch.deadline.clone(),
                counts: Arc::clone(&self.published.last_exports),
                reply,
            });
            ledgers.insert(name.clone(), ledger);
            self.leaving.push(Leaving { name, endpoint, temporality, finished });
        }
        for (endpoint, spec) in switch.start {
            let ledger = ledgers.remove(&spec.name).unwrap_or_default();
            self.start(endpoint, spec, ledger, Arc::clone(&snapshot));
        }
        let counts = &self.published.last_exports;
        self.senders.apply(switch.records, &switch.deadline, counts, &self.reports.0);
        self.lanes.retain(|_, lane| Arc::strong_count(lane) > 1);
        self.scraped = switch.scraped;
        if let Some(ended) = switch.ended {
            self.retiring.ended(ended);
        }
        self.publish_health();
        // Whoever committed need not wait.
        let _ = switch.applied.send(());
    }

    fn start(
        &mut self,
        endpoint: Endpoint,
        spec: SinkSpec,
        ledger: Arc<Ledger>,
        first: Arc<Snapshot>,
    ) {
        let (name, temporality) = (spec.name.clone(), spec.temporality);
        let (stop, finished) = (CancellationToken::new(), CancellationToken::new());
        let (farewell, farewell_receiver) = oneshot::channel();
        let leaving = self.leaving.iter();
        let ties = Ties {
            first,
            predecessors: leaving
                .filter(|leaving| leaving.precedes(&spec, &endpoint))
                .map(|leaving| leaving.finished.clone())
                .collect(),
            lane: Arc::clone(self.lanes.entry(endpoint.clone()).or_default()),
            ledger: Arc::clone(&ledger),
            stop: stop.clone(),
            farewell: farewell_receiver,
            reports: self.reports.0.clone(),
        };
        let sink = Sink::new(spec, Arc::clone(&self.totals), ties);
        let ending = finished.clone().drop_guard();
        let task = self.tasks.spawn(async move {
            let _ending = ending;
            sink.run().await;
        });
        let (task, health) = (task.id(), SinkHealth::NotYetExported);
        let live = Live { task, endpoint, temporality, ledger, stop, farewell, finished, health };
        self.live.insert(name, live);
    }

    fn note(&mut self, report: Report) {
        let Report { task, sink, health } = report;
        // A sink that was swapped speaks for itself, not for the one that has its name now.
        let known = match sink.signal {
            Signal::Metrics => {
                let live = self.live.get_mut(&sink.name).filter(|live| live.task == task);
                live.map(|live| &mut live.health)
            }
            Signal::Traces | Signal::Logs => self.senders.health_of(&sink, task),
        };
        let Some(known) = known else { return };
        match &health {
            SinkHealth::NotYetExported => {}
            SinkHealth::Healthy => tracing::info!(%sink, "exports arrive"),
            SinkHealth::Failing { reason, message } => {
                tracing::warn!(%sink, reason = reason.as_str(), "exports do not arrive: {message}");
            }
        }
        *known = health;
        self.publish_health();
    }

    fn publish_health(&self) {
        let pushed = self.live.iter().map(|(name, live)| (name, &live.health));
        let scraped = self.scraped.iter().map(|name| (name, &SinkHealth::Healthy));
        // Whether totals that stand still arrive is no question.
        let uncollected = self.totals.broken().is_cancelled().then(uncollected);
        let state = |(name, health): (&SinkName, &SinkHealth)| {
            let sink = SinkId::new(Signal::Metrics, name.clone());
            (sink, uncollected.as_ref().unwrap_or(health).clone())
        };
        let senders = self.senders.health().map(|(sink, health)| (sink.clone(), health.clone()));
        let health = Health { sinks: pushed.chain(scraped).map(state).chain(senders).collect() };
        self.published.health.send_if_modified(|published| {
            let changed = *published != health;
            *published = health;
            changed
        });
    }

    fn join(&mut self, ended: Result<(Id, ()), JoinError>) {
        let Err(error) = ended else { return };
        let sender = || self.senders.sink_of(error.id());
        let Some(sink) = self.metric_sink_of(error.id()).or_else(sender) else { return };
        tracing::error!(%sink, %error, "a sink died");
        let message =
            "the sink died of a bug; change its configuration to start it again".to_owned();
        let health = SinkHealth::Failing { reason: FailureReason::AllDataDropped, message };
        self.note(Report { task: error.id(), sink, health });
    }

    fn metric_sink_of(&self, task: Id) -> Option<SinkId> {
        let (name, _) = self.live.iter().find(|(_, live)| live.task == task)?;
        Some(SinkId::new(Signal::Metrics, name.clone()))
    }
}

// === impl Leaving ===

impl Leaving {
    /// Whether this sink has to finish before the one that starts begins: where an older total could
    /// meet a newer one, and where what it leaves is gone on with.
    fn precedes(&self, next: &SinkSpec, endpoint: &Endpoint) -> bool {
        let (same_name, same_endpoint) = (self.name == next.name, self.endpoint == *endpoint);
        match (self.temporality, next.temporality) {
            (Temporality::Cumulative, Temporality::Cumulative) => same_endpoint,
            // Totals do not depend on what another endpoint was told before.
            (Temporality::Delta | Temporality::LowMemory, Temporality::Cumulative) => {
                same_name && same_endpoint
            }
            (_, Temporality::Delta | Temporality::LowMemory) => same_name,
        }
    }
}

/// The state of every sink once some metrics cannot be collected any more.
fn uncollected() -> SinkHealth {
    let message = format!("some metrics cannot be collected: {BROKEN}");
    SinkHealth::Failing { reason: FailureReason::SomeDataDropped, message }
}

// === impl Published ===

impl Published {
    pub(crate) fn new() -> Self {
        Self {
            health: watch::Sender::new(Health::default()),
            last_commit: ArcSwapOption::empty(),
            last_exports: Arc::default(),
        }
    }
}
