//! One OTLP sink while it runs: a task with a timer, a client and counters of its own.
//!
//! A sink exports the snapshot that it was born with, then a new one every period, until the hub
//! tells it to stop; then it exports the snapshot of that commit, and ends. It never sends an older
//! total after a newer one: a receiver would see a counter go down. That is promised for each
//! endpoint as it is written: two spellings of one receiver are two endpoints.
//!
//! A sink that exports deltas keeps a [`Ledger`] of what its receiver has, and leaves it to its
//! successor under the same name, which begins when it has ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::client::{Client, ClientSpec};
use crate::config::{SinkName, Temporality};
use crate::generation::Totals;
use crate::health::{Pulse, SinkHealth};
use crate::outcome::Retry;
use crate::signal::{Signal, SinkId};
use crate::snapshot::Snapshot;
use crate::stats::Stats;

mod exported;
mod farewell;
mod ledger;
mod part;
mod schedule;

use exported::{Exported, Refusal, Sending};
pub use farewell::LastExport;
pub(crate) use farewell::{
    Deadline, DeadlineSetter, Farewell, LAST_EXPORT_LOST, LastExportCounts, Succession, last_pause,
};
pub(crate) use ledger::Ledger;
use schedule::Schedule;

/// Exports to one endpoint take turns, whichever sinks they are of: a turn covers the snapshot and
/// its export. What it leaves behind is the newest snapshot that was sent there.
pub(crate) type Lane = Arc<Mutex<Option<Arc<Snapshot>>>>;

/// The right to export.
enum Turn {
    /// Among the sinks that send totals to the same endpoint.
    InLane(OwnedMutexGuard<Option<Arc<Snapshot>>>),
    /// Deltas depend on what they follow, and on no other sink's.
    Alone,
}

/// What a sink is made of.
pub(crate) struct SinkSpec {
    pub(crate) name: SinkName,
    pub(crate) client: ClientSpec,
    pub(crate) resource: Resource,
    pub(crate) period: Duration,
    pub(crate) temporality: Temporality,
    pub(crate) stats: Arc<Stats>,
}

/// A sink's state changed.
pub(crate) struct Report {
    pub(crate) task: tokio::task::Id,
    pub(crate) sink: SinkId,
    pub(crate) health: SinkHealth,
}

/// What a sink hears from the hub, and tells it.
pub(crate) struct Ties {
    /// The totals of the commit that it was born in.
    pub(crate) first: Arc<Snapshot>,
    /// Sinks that have to finish before this one begins.
    pub(crate) predecessors: Vec<CancellationToken>,
    pub(crate) lane: Lane,
    /// That of the sink before, if there was one under this name.
    pub(crate) ledger: Arc<Ledger>,
    /// Cancelled *before* the snapshot of the commit that ends the sink is taken.
    pub(crate) stop: CancellationToken,
    pub(crate) farewell: oneshot::Receiver<Farewell>,
    pub(crate) reports: mpsc::Sender<Report>,
}

/// A running sink.
pub(crate) struct Sink {
    name: SinkName,
    client: Client,
    resource: Resource,
    temporality: Temporality,
    schedule: Schedule,
    stats: Arc<Stats>,
    pulse: Pulse,
    totals: Arc<Totals>,
    ties: Ties,
}

/// An export that was not answered yet, and the turn that it is made in.
struct InFlight {
    turn: Turn,
    began: Instant,
    snapshot: Arc<Snapshot>,
    sending: Sending,
}

// === impl Sink ===

impl Sink {
    /// Must be called on the runtime that exports.
    pub(crate) fn new(spec: SinkSpec, totals: Arc<Totals>, ties: Ties) -> Self {
        Self {
            name: spec.name,
            client: Client::new(spec.client),
            resource: spec.resource,
            temporality: spec.temporality,
            schedule: Schedule::new(spec.period, Instant::now()),
            stats: spec.stats,
            pulse: Pulse::new(),
            totals,
            ties,
        }
    }

    /// Exports until the hub says farewell, and once more then.
    pub(crate) async fn run(mut self) {
        let in_flight = self.export_until_stopped().await;
        // No farewell: the pipeline was dropped, and nobody waits for the last totals.
        if let Ok(farewell) = (&mut self.ties.farewell).await {
            self.part(in_flight, farewell).await;
        }
    }

    /// Returns when told to stop, with the export that is unanswered at that moment.
    async fn export_until_stopped(&mut self) -> Option<InFlight> {
        let stop = self.ties.stop.clone();
        stop.run_until_cancelled(finished(&self.ties.predecessors)).await?;
        let mut first = Some(Arc::clone(&self.ties.first));
        loop {
            let turn = stop.run_until_cancelled(self.turn()).await?;
            let snapshot = first.take().unwrap_or_else(|| self.totals.snapshot());
            // The hub stops sinks before it takes the snapshot that is to be their last. Not
            // stopped here therefore means: this one is older than that, and may still be sent.
            if stop.is_cancelled() {
                return None;
            }
            let mut in_flight = self.send(turn, snapshot);
            let exported = tokio::select! {
                biased;
                exported = in_flight.sending.ended() => exported,
                () = stop.cancelled() => return Some(in_flight),
            };
            let began = in_flight.began;
            let next = self.settle(in_flight, &exported);
            stop.run_until_cancelled(self.report(&exported, began)).await?;
            stop.run_until_cancelled(tokio::time::sleep_until(next)).await?;
        }
    }

    async fn turn(&self) -> Turn {
        match self.temporality {
            Temporality::Cumulative => Turn::InLane(Arc::clone(&self.ties.lane).lock_owned().await),
            Temporality::Delta | Temporality::LowMemory => Turn::Alone,
        }
    }

    /// Sends `snapshot`. Of totals, a newer one if another sink has sent that to the same endpoint
    /// since; of deltas, what is unanswered first.
    fn send(&self, mut turn: Turn, mut snapshot: Arc<Snapshot>) -> InFlight {
        let (requests, refusal) = match &mut turn {
            Turn::InLane(newest) => {
                if let Some(sent) = newest.take().filter(|sent| sent.is_newer_than(&snapshot)) {
                    snapshot = sent;
                }
                **newest = Some(Arc::clone(&snapshot));
                (snapshot.requests(&self.resource), Refusal::Ends)
            }
            Turn::Alone => {
                let ledger = &self.ties.ledger;
                let requests = ledger.requests(&snapshot, self.temporality, &self.resource);
                (requests, Refusal::GoesOn)
            }
        };
        let sending = Sending::start(&self.client, &requests, refusal);
        InFlight { turn, began: Instant::now(), snapshot, sending }
    }

    /// Counts an export and decides when the next one is due.
    fn settle(&mut self, in_flight: InFlight, exported: &Exported) -> Instant {
        let began = in_flight.began;
        drop(self.count(in_flight, exported));
        let retry = exported.outcome.retry();
        if retry == Retry::Backoff {
            self.client.reconnect();
        }
        let now = Instant::now();
        tracing::debug!(
            sink = %self.name, outcome = exported.outcome.reason(),
            said = exported.outcome.message(), points = exported.accepted,
            took = ?(now - began), "exported"
        );
        let (next, retried) = self.schedule.after(retry, now, fastrand::f64());
        if retried {
            self.stats.retried();
        }
        next
    }

    /// Counts an export, notes what the receiver has now, and gives back the turn.
    fn count(&self, in_flight: InFlight, exported: &Exported) -> Turn {
        let InFlight { turn, began, snapshot, sending: _ } = in_flight;
        let Exported { outcome, accepted, refused, missing, settled: _ } = exported;
        self.stats.answered(outcome, *accepted, began.elapsed());
        for (reason, points) in refused {
            self.stats.dropped(reason, *points);
        }
        match &turn {
            Turn::InLane(_) => {
                if exported.is_accepted() {
                    self.ties.ledger.acknowledge(&snapshot);
                } else if outcome.retry() == Retry::No {
                    self.stats.dropped(outcome.reason(), *missing);
                }
            }
            // What is missing is in a window that is kept, or will be in a longer one.
            Turn::Alone => self.ties.ledger.settle(exported),
        }
        turn
    }

    /// Tells the hub if the export changed the state of this sink.
    async fn report(&mut self, exported: &Exported, began: Instant) {
        if let Some(health) = self.pulse.observe(&exported.outcome, began, Instant::now()) {
            let sink = SinkId::new(Signal::Metrics, self.name.clone());
            let report = Report { task: tokio::task::id(), sink, health };
            // The hub is gone only when there is nobody left to tell.
            let _ = self.ties.reports.send(report).await;
        }
    }
}

async fn finished(sinks: &[CancellationToken]) {
    for sink in sinks {
        sink.cancelled().await;
    }
}
