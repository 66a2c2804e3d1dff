//! What the receiver of a sink has, as far as anybody knows. It outlives the sinks that follow each
//! other under one name: a delta goes on where the one before it stopped.
//!
//! A window is what was counted between two snapshots, in one request or in several. A request that
//! may have arrived is kept, and sent again as it is, byte for byte, before anything newer, so that
//! a receiver that has it can tell; so are the others of its window. What certainly did not arrive
//! is forgotten: the next window begins earlier instead.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::config::Temporality;
use crate::delta;
use crate::request::Request;
use crate::signal::Signal;
use crate::snapshot::{self, Snapshot};

use super::exported::Exported;

/// What the receiver of a sink has, as far as anybody knows.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Account>);

#[derive(Debug, Default)]
struct Account {
    /// The receiver has everything up to this.
    acknowledged: Option<Arc<Snapshot>>,
    /// What follows it, oldest first. Between two exports one at most, and a settled one.
    windows: VecDeque<Window>,
}

/// What was counted between two snapshots, as far as it has to be sent.
#[derive(Debug)]
struct Window {
    until: Arc<Snapshot>,
    requests: VecDeque<Request>,
    fate: Fate,
}

/// Whether a window can be replaced by a longer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Nothing of it has arrived.
    Open,
    /// Some of it has arrived, or may have.
    Sealed,
}

// === impl Ledger ===

impl Ledger {
    /// The requests that bring a receiver of deltas up to `now`, oldest first. There is always one.
    pub(super) fn requests(
        &self,
        now: &Arc<Snapshot>,
        temporality: Temporality,
        resource: &Resource,
    ) -> Vec<Request> {
        let since = {
            let mut account = self.lock();
            account.forget_open();
            account.last().map(Arc::clone)
        };
        // A snapshot that is older than what the receiver has is no news.
        if since.as_ref().is_none_or(|since| !since.is_newer_than(now)) {
            // Not under the lock: this takes as long as there are series.
            let changes = delta::between(now, since.as_deref(), temporality);
            let requests = snapshot::requests(&changes, resource).into();
            let until = Arc::clone(now);
            self.lock().windows.push_back(Window { until, requests, fate: Fate::Open });
        }
        let account = self.lock();
        let requests = account.windows.iter().flat_map(|window| &window.requests);
        let mut requests: Vec<_> = requests.cloned().collect();
        if requests.is_empty() {
            requests.push(Request::probe(Signal::Metrics));
        }
        requests
    }

    /// Takes what came of those requests.
    pub(super) fn settle(&self, exported: &Exported) {
        let mut account = self.lock();
        let mut settled = exported.settled;
        while let Some(window) = account.windows.front_mut() {
            let done = settled.min(window.requests.len());
            window.requests.drain(..done);
            settled -= done;
            if done > 0 {
                window.fate = Fate::Sealed;
            }
            if !window.requests.is_empty() {
                if exported.is_doubtful() {
                    window.fate = Fate::Sealed;
                }
                break;
            }
            account.acknowledged = account.windows.pop_front().map(|window| window.until);
        }
        account.forget_open();
    }

    /// The receiver has these totals: windows before them are of no use any more.
    pub(super) fn acknowledge(&self, totals: &Arc<Snapshot>) {
        let mut account = self.lock();
        let known = account.acknowledged.as_ref();
        if known.is_none_or(|known| totals.is_newer_than(known)) {
            account.acknowledged = Some(Arc::clone(totals));
            account.windows.clear();
        }
    }

    /// How many points may or may not have arrived.
    pub(super) fn pending(&self) -> u64 {
        let account = self.lock();
        let requests = account.windows.iter().flat_map(|window| &window.requests);
        requests.map(|request| request.items).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Account ===

impl Account {
    /// What the receiver has once it has all windows.
    fn last(&self) -> Option<&Arc<Snapshot>> {
        self.windows.back().map(|window| &window.until).or(self.acknowledged.as_ref())
    }

    fn forget_open(&mut self) {
        self.windows.retain(|window| window.fate == Fate::Sealed);
    }
}

#[cfg(test)]
mod tests;
