//! One sink of spans or log records while it runs: a task with a client, fed by a queue.
//!
//! It sends one request at a time, and the same one again until it is answered for good. It runs
//! until the hub says farewell. Swapped, it leaves the queue to the next sender at once and waits
//! for nothing but the answer that is still open; without one in time, the request goes back to
//! the front of the queue. Removed, it sends what the queue holds, as long as the deadline lets it.

use std::pin::Pin;
use std::sync::Arc;

use opentelemetry_proto::tonic::resource::v1::Resource;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::client::{Client, ClientSpec};
use crate::health::Pulse;
use crate::outcome::{ExportOutcome, Retry};
use crate::request::Request;
use crate::signal::SinkId;
use crate::sink::{Deadline, LastExport, LastExportCounts, Report};
use crate::stats::Stats;

use super::probe::Probe;
use super::queue::{Next, Queue};
use super::record::{Record, requests};

mod farewell;

/// What a sender is made of.
pub(crate) struct SenderSpec<R> {
    pub(crate) sink: SinkId,
    pub(crate) client: ClientSpec,
    pub(crate) resource: Resource,
    pub(crate) stats: Arc<Stats>,
    pub(crate) queue: Arc<Queue<R>>,
}

/// What a sender hears from the hub, and tells it.
pub(crate) struct Ties {
    pub(crate) farewell: oneshot::Receiver<Farewell>,
    pub(crate) reports: mpsc::Sender<Report>,
}

/// What the hub says to a sender that has to end.
pub(crate) struct Farewell {
    pub(crate) leave: Leave,
    pub(crate) deadline: Deadline,
    pub(crate) counts: Arc<LastExportCounts>,
    pub(crate) reply: oneshot::Sender<LastExport>,
}

/// Why a sender has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    /// Another one goes on with the queue.
    Swapped,
    /// Nobody does.
    Removed,
}

/// A running sink of records.
pub(crate) struct Sender<R> {
    spec: SenderSpec<R>,
    client: Client,
    backoff: Backoff,
    probe: Probe,
    pulse: Pulse,
    ties: Ties,
}

/// A request that was not answered yet.
struct InFlight {
    request: Request,
    began: Instant,
    answer: Pin<Box<dyn Future<Output = ExportOutcome> + Send>>,
}

/// What an answer means for the request.
enum Settled {
    /// It need not be sent again.
    Done { accepted: u64, missing: u64 },
    /// It has to be.
    Again(Retry),
}

/// The hub spoke, or is gone.
struct Told(Option<Farewell>);

// === impl Sender ===

impl<R: Record> Sender<R> {
    /// Must be called on the runtime that exports.
    pub(crate) fn new(spec: SenderSpec<R>, ties: Ties) -> Self {
        let client = Client::new(spec.client.clone());
        let probe = Probe::start(&client, R::SIGNAL);
        Self { spec, client, backoff: Backoff::default(), probe, pulse: Pulse::new(), ties }
    }

    /// Sends until the hub says farewell, and then what has to be sent.
    pub(crate) async fn run(mut self) {
        let mut in_flight = None;
        let Told(farewell) = self.send_until_told(&mut in_flight).await;
        // No farewell: the pipeline was dropped, and nobody waits for what is left.
        if let Some(farewell) = farewell {
            self.part(in_flight, farewell).await;
        }
    }

    /// Returns when told to end, and leaves the request that is unanswered at that moment.
    async fn send_until_told(&mut self, in_flight: &mut Option<InFlight>) -> Told {
        loop {
            // Before every request: what came during the last one waits for others, too.
            let queue = Arc::clone(&self.spec.queue);
            if let Err(told) = self.until_told(queue.ready()).await {
                return told;
            }
            let Some(request) = self.next_request() else { continue };
            let current = in_flight.insert(self.send(request));
            let outcome = match self.until_told(&mut current.answer).await {
                Ok(outcome) => outcome,
                Err(told) => return told,
            };
            let Some(InFlight { request, began, .. }) = in_flight.take() else { continue };
            let settled = self.settle(&request, &outcome, began);
            self.report(&outcome, began).await;
            let Settled::Again(retry) = settled else { continue };
            let wait = self.backoff.after(retry, fastrand::f64()).unwrap_or_default();
            // It waits where a successor finds it. Only the last sender of a queue ends it.
            let _ = self.spec.queue.give_back(request);
            if let Err(told) = self.until_told(tokio::time::sleep(wait)).await {
                return told;
            }
            self.spec.stats.retried();
        }
    }

    /// The result of `work`, unless the hub speaks before. Takes the answers to the probe meanwhile.
    async fn until_told<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Told> {
        tokio::pin!(work);
        loop {
            let probed = tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                farewell = &mut self.ties.farewell => return Err(Told(farewell.ok())),
                probed = self.probe.answer() => probed,
            };
            if let Some(probed) = self.probe.consider(&mut self.client, R::SIGNAL, probed) {
                self.report(&probed.outcome, probed.began).await;
            }
        }
    }

    /// What the queue has to send, whether or not it is time.
    fn next_request(&self) -> Option<Request> {
        loop {
            match self.spec.queue.next()? {
                Next::Send(request) => return Some(request),
                Next::Encode(records) => {
                    self.spec.queue.encoded(requests(&self.spec.resource, records));
                }
            }
        }
    }

    fn send(&self, request: Request) -> InFlight {
        let answer = Box::pin(self.client.send(&request));
        InFlight { request, began: Instant::now(), answer }
    }

    /// Counts an answer, and decides what it means.
    fn settle(&mut self, request: &Request, outcome: &ExportOutcome, began: Instant) -> Settled {
        let took = began.elapsed();
        let (accepted, missing) = match outcome {
            ExportOutcome::Accepted => (request.items, 0),
            ExportOutcome::PartiallyRejected { items, .. } => {
                (request.items.saturating_sub(*items), *items)
            }
            _ => (0, request.items),
        };
        self.probe.stop();
        self.spec.stats.answered(outcome, accepted, took);
        tracing::debug!(
            sink = %self.spec.sink, outcome = outcome.reason(), said = outcome.message(),
            items = accepted, ?took, "exported"
        );
        match outcome.retry() {
            Retry::No => {
                self.spec.stats.dropped(outcome.reason(), missing);
                self.spec.queue.settled(request);
                self.backoff.reset();
                Settled::Done { accepted, missing }
            }
            retry => {
                if retry == Retry::Backoff {
                    self.client.reconnect();
                }
                Settled::Again(retry)
            }
        }
    }

    /// Tells the hub if the answer changed the state of this sink.
    async fn report(&mut self, outcome: &ExportOutcome, began: Instant) {
        if let Some(health) = self.pulse.observe(outcome, began, Instant::now()) {
            let sink = self.spec.sink.clone();
            let report = Report { task: tokio::task::id(), sink, health };
            // The hub is gone only when there is nobody left to tell.
            let _ = self.ties.reports.send(report).await;
        }
    }
}
