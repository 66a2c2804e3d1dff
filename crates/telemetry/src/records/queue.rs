//! What waits for one sink: records that were pushed, and requests that were encoded already.
//!
//! Whoever pushes holds a lock for a few instructions and waits for no I/O. A queue belongs to the
//! *name* of a sink: a sink that is swapped leaves it to the next one. What is on its way to the
//! receiver still counts, so that a queue of n never stands for more than n records in memory,
//! however many senders leave with one request each.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::Batch;
use crate::request::Request;
use crate::stats::Stats;

/// Longer delays overflow clocks, and mean the same.
const LONGEST_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The bounded queue of one sink.
#[derive(Debug)]
pub(crate) struct Queue<R> {
    waiting: Mutex<Waiting<R>>,
    /// Told when the first record comes, when a batch is full, and when a request comes back.
    filled: Notify,
    stats: Arc<Stats>,
}

/// What became of a record that was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pushed {
    /// It waits, or it was dropped and counted.
    Settled,
    /// The sink was removed: the record may belong to another one that is there instead.
    Closed,
}

/// What became of the requests that other senders have on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// One came back and has to be sent.
    GaveBack,
    /// There is none.
    Settled,
}

/// A request that came too late: the last sender of the queue is gone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLate(pub(crate) Request);

/// What a sender has to do next.
#[derive(Debug)]
pub(crate) enum Next<R> {
    /// This was encoded before, and is sent as it is.
    Send(Request),
    /// These have to be encoded; never empty.
    Encode(Vec<Arc<R>>),
}

#[derive(Debug)]
struct Waiting<R> {
    phase: Phase,
    batch: Batch,
    records: VecDeque<Arc<R>>,
    /// Encoded, and to be sent before any record.
    requests: VecDeque<Request>,
    /// How many records are in requests, here or on their way.
    encoded: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The sink runs.
    Open,
    /// The sink was removed; what waits may still be sent.
    Closed,
    /// Nobody sends any more.
    Ended,
}

/// How far a batch is.
enum Fill {
    Empty,
    Partial(Duration),
    Full,
}

// === impl Queue ===

impl<R> Queue<R> {
    pub(crate) fn new(batch: Batch, stats: Arc<Stats>) -> Self {
        let waiting = Waiting {
            phase: Phase::Open,
            batch,
            records: VecDeque::new(),
            requests: VecDeque::new(),
            encoded: 0,
        };
        Self { waiting: Mutex::new(waiting), filled: Notify::new(), stats }
    }

    /// Changes how records are gathered. What waits stays, also where there is room for less.
    pub(crate) fn configure(&self, batch: Batch) {
        self.lock().batch = batch;
        self.filled.notify_one();
    }

    /// Adds a record; drops and counts it if the queue is full.
    pub(crate) fn push(&self, record: Arc<R>) -> Pushed {
        let mut waiting = self.lock();
        if waiting.phase != Phase::Open {
            return Pushed::Closed;
        }
        if waiting.held() >= waiting.batch.max_queue_size.get() {
            drop(waiting);
            self.stats.overflowed();
            return Pushed::Settled;
        }
        waiting.records.push_back(record);
        self.stats.holds(waiting.held());
        let news = waiting.records.len() == 1 || waiting.records.len() == waiting.batch_size();
        drop(waiting);
        if news {
            self.filled.notify_one();
        }
        Pushed::Settled
    }

    /// Waits until there is something to send: a batch, or less of it that waited long enough.
    pub(crate) async fn ready(&self) {
        let mut due = None;
        loop {
            let filled = self.filled.notified();
            let delay = match self.lock().fill() {
                Fill::Full => return,
                Fill::Partial(delay) => Some(delay),
                Fill::Empty => None,
            };
            let Some(delay) = delay else {
                due = None;
                filled.await;
                continue;
            };
            let due = *due.get_or_insert_with(|| Instant::now() + delay.min(LONGEST_DELAY));
            if tokio::time::timeout_at(due, filled).await.is_err() {
                return;
            }
        }
    }

    /// A sender stops waiting here, and another may have begun. Whoever waits looks again: what
    /// was pushed meanwhile may have woken the one that leaves.
    pub(crate) fn pass_on(&self) {
        self.filled.notify_one();
    }

    /// What to do next, if anything. What is taken still counts until it is settled.
    pub(crate) fn next(&self) -> Option<Next<R>> {
        let mut waiting = self.lock();
        if let Some(request) = waiting.requests.pop_front() {
            return Some(Next::Send(request));
        }
        let batch = waiting.batch_size().min(waiting.records.len());
        waiting.encoded += batch;
        let records: Vec<_> = waiting.records.drain(..batch).collect();
        (!records.is_empty()).then_some(Next::Encode(records))
    }

    /// Waits until another sender gives back a request, or none has one any more. To be called with
    /// nothing on one's own way.
    pub(crate) async fn others(&self) -> Others {
        loop {
            let filled = self.filled.notified();
            {
                let waiting = self.lock();
                if !waiting.requests.is_empty() {
                    return Others::GaveBack;
                }
                if waiting.encoded == 0 {
                    return Others::Settled;
                }
            }
            filled.await;
        }
    }

    /// Takes the requests that were made of what [`Self::next`] gave.
    pub(crate) fn encoded(&self, requests: Vec<Request>) {
        self.lock().requests.extend(requests);
    }

    /// Takes back a request that has to be sent again, before anything else.
    pub(crate) fn give_back(&self, request: Request) -> Result<(), TooLate> {
        let mut waiting = self.lock();
        if waiting.phase == Phase::Ended {
            return Err(TooLate(request));
        }
        waiting.requests.push_front(request);
        drop(waiting);
        self.filled.notify_one();
        Ok(())
    }

    /// A request was answered for good, or given up.
    pub(crate) fn settled(&self, request: &Request) {
        let mut waiting = self.lock();
        waiting.encoded = waiting.encoded.saturating_sub(items(request));
        self.stats.holds(waiting.held());
        let last = waiting.encoded == 0 && waiting.phase == Phase::Closed;
        drop(waiting);
        if last {
            self.filled.notify_one();
        }
    }

    /// How many records are in requests that are on their way.
    pub(crate) fn on_their_way(&self) -> u64 {
        let waiting = self.lock();
        let here: usize = waiting.requests.iter().map(items).sum();
        waiting.encoded.saturating_sub(here) as u64
    }

    /// The sink was removed: takes no record any more.
    pub(crate) fn close(&self) {
        let mut waiting = self.lock();
        if waiting.phase == Phase::Open {
            waiting.phase = Phase::Closed;
        }
    }

    /// Nobody will send any more: how many records are lost by that. What another sender still has
    /// on its way is not among them.
    pub(crate) fn end(&self) -> u64 {
        let mut waiting = self.lock();
        waiting.phase = Phase::Ended;
        let records = std::mem::take(&mut waiting.records);
        let requests = std::mem::take(&mut waiting.requests);
        let in_requests: usize = requests.iter().map(items).sum();
        waiting.encoded = waiting.encoded.saturating_sub(in_requests);
        self.stats.holds(waiting.held());
        drop(waiting);
        (records.len() + in_requests) as u64
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<R>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn items(request: &Request) -> usize {
    usize::try_from(request.items).unwrap_or(usize::MAX)
}

// === impl Waiting ===

impl<R> Waiting<R> {
    fn held(&self) -> usize {
        self.records.len() + self.encoded
    }

    fn batch_size(&self) -> usize {
        self.batch.max_export_size.min(self.batch.max_queue_size).get()
    }

    fn fill(&self) -> Fill {
        if !self.requests.is_empty() || self.records.len() >= self.batch_size() {
            Fill::Full
        } else if self.records.is_empty() {
            Fill::Empty
        } else {
            Fill::Partial(self.batch.schedule_delay)
        }
    }
}

#[cfg(test)]
mod tests;
