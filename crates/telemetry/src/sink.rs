//! One OTLP sink while it runs: a task with a timer, a client and counters of its own.
//!
//! A sink exports the snapshot that it was born with, then a new one every period, until the hub
//! tells it to stop; then it exports the snapshot of that commit, and ends. It never sends an older
//! total after a newer one: a receiver would see a counter go down. That is promised for each
//! endpoint as it is written: two spellings of one receiver are two endpoints.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::client::{Client, ClientSpec};
use crate::config::SinkName;
use crate::generation::Generation;
use crate::health::{Pulse, SinkHealth};
use crate::outcome::{ExportOutcome, Retry};
use crate::signal::{Signal, SinkId};
use crate::snapshot::Snapshot;
use crate::stats::Stats;

mod exported;
mod farewell;
mod schedule;

use exported::{Exported, export};
pub use farewell::LastExport;
pub(crate) use farewell::{Deadline, DeadlineSetter, Farewell, LastExportCounts};
use schedule::Schedule;

/// Exports to one endpoint take turns, whichever sinks they are of: a turn covers the snapshot and
/// its export. What it leaves behind is the newest snapshot that was sent there.
pub(crate) type Lane = Arc<Mutex<Option<Arc<Snapshot>>>>;
type Turn = OwnedMutexGuard<Option<Arc<Snapshot>>>;

/// How often the last export is tried: once, and again over new connections.
const LAST_ATTEMPTS: u32 = 3;
const LAST_ATTEMPT_PAUSE: Duration = Duration::from_millis(200);

/// What a sink is made of.
pub(crate) struct SinkSpec {
    pub(crate) name: SinkName,
    pub(crate) client: ClientSpec,
    pub(crate) resource: Resource,
    pub(crate) period: Duration,
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
    /// Sinks that leave the same endpoint and have to finish before this one begins.
    pub(crate) predecessors: Vec<CancellationToken>,
    pub(crate) lane: Lane,
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
    schedule: Schedule,
    stats: Arc<Stats>,
    pulse: Pulse,
    generation: Arc<Generation>,
    ties: Ties,
}

/// An export that was not answered yet, and the turn that it is made in.
struct InFlight {
    turn: Turn,
    began: Instant,
    points: u64,
    answer: Pin<Box<dyn Future<Output = Exported> + Send>>,
}

// === impl Sink ===

impl Sink {
    /// Must be called on the runtime that exports.
    pub(crate) fn new(spec: SinkSpec, generation: Arc<Generation>, ties: Ties) -> Self {
        Self {
            name: spec.name,
            client: Client::new(spec.client),
            resource: spec.resource,
            schedule: Schedule::new(spec.period, Instant::now()),
            stats: spec.stats,
            pulse: Pulse::new(),
            generation,
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
            let turn = stop.run_until_cancelled(Arc::clone(&self.ties.lane).lock_owned()).await?;
            let snapshot = first.take().unwrap_or_else(|| self.generation.snapshot());
            // The hub stops sinks before it takes the snapshot that is to be their last. Not
            // stopped here therefore means: this one is older than that, and may still be sent.
            if stop.is_cancelled() {
                return None;
            }
            let mut in_flight = self.send(turn, snapshot);
            let exported = tokio::select! {
                biased;
                exported = &mut in_flight.answer => exported,
                () = stop.cancelled() => return Some(in_flight),
            };
            let began = in_flight.began;
            drop(in_flight);
            let next = self.settle(&exported, began);
            stop.run_until_cancelled(self.report(&exported, began)).await?;
            stop.run_until_cancelled(tokio::time::sleep_until(next)).await?;
        }
    }

    /// Sends `snapshot`, or a newer one if another sink has sent that to the same endpoint since.
    fn send(&self, mut turn: Turn, snapshot: Arc<Snapshot>) -> InFlight {
        let snapshot = match turn.take() {
            Some(sent) if sent.is_newer_than(&snapshot) => sent,
            _ => snapshot,
        };
        let requests = snapshot.requests(&self.resource);
        let answer = Box::pin(export(&self.client, &requests));
        let (began, points) = (Instant::now(), snapshot.points());
        *turn = Some(snapshot);
        InFlight { turn, began, points, answer }
    }

    /// Counts an export and decides when the next one is due.
    fn settle(&mut self, exported: &Exported, began: Instant) -> Instant {
        self.count(exported, began);
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

    fn count(&self, exported: &Exported, began: Instant) {
        let Exported { outcome, accepted, missing } = exported;
        self.stats.answered(outcome, *accepted, began.elapsed());
        let refused = matches!(outcome, ExportOutcome::PartiallyRejected { .. });
        if refused || outcome.retry() == Retry::No {
            self.stats.dropped(outcome.reason(), *missing);
        }
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

    /// The last export. What is in flight gets half of the time that is left: the receiver may
    /// still be at it, and must not meet it after the last totals.
    async fn part(mut self, in_flight: Option<InFlight>, farewell: Farewell) {
        let Farewell { last, mut deadline, counts, reply } = farewell;
        let turn = match in_flight {
            Some(InFlight { turn, answer, points, began }) => {
                let abandoned = Exported::abandoned(points);
                let exported = deadline.half().or(answer).await.unwrap_or(abandoned);
                self.count(&exported, began);
                if exported.outcome.retry() == Retry::Backoff {
                    self.client.reconnect();
                }
                Some(turn)
            }
            None => {
                let lane = Arc::clone(&self.ties.lane);
                let predecessors = std::mem::take(&mut self.ties.predecessors);
                let turn = async {
                    finished(&predecessors).await;
                    lane.lock_owned().await
                };
                deadline.whole().or(turn).await
            }
        };
        let outcome = match turn {
            Some(turn) => self.export_last(turn, last, &mut deadline).await,
            None => {
                self.stats.dropped("last_export_lost", last.points());
                LastExport::Lost { points: last.points(), reason: "no_turn" }
            }
        };
        counts.count(&outcome);
        // Whoever asked may have stopped waiting.
        let _ = reply.send(outcome);
    }

    async fn export_last(
        &mut self,
        mut turn: Turn,
        last: Arc<Snapshot>,
        deadline: &mut Deadline,
    ) -> LastExport {
        let mut attempt = 1;
        loop {
            let in_flight = self.send(turn, Arc::clone(&last));
            let began = in_flight.began;
            let abandoned = Exported::abandoned(in_flight.points);
            let exported = deadline.whole().or(in_flight.answer).await.unwrap_or(abandoned);
            turn = in_flight.turn;
            self.count(&exported, began);
            let again = exported.outcome.retry() == Retry::Backoff && attempt < LAST_ATTEMPTS;
            let pause = tokio::time::sleep(LAST_ATTEMPT_PAUSE);
            if !again || deadline.whole().or(pause).await.is_none() {
                // What the receiver refused is counted as that already.
                if exported.outcome.retry() != Retry::No {
                    self.stats.dropped("last_export_lost", exported.missing);
                }
                return LastExport::of(&exported);
            }
            attempt += 1;
            self.stats.retried();
            self.client.reconnect();
        }
    }
}

async fn finished(sinks: &[CancellationToken]) {
    for sink in sinks {
        sink.cancelled().await;
    }
}
