//! What the connections of a proxy and its owner share: requests, injections, and what flows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::StatusCode;
use reqwest::Client;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Fault;
use super::matching::{Matching, ProxiedRequest};

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) upstream: String,
    pub(super) client: Client,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// In the order in which they arrived; the index is the id of a request.
    requests: Vec<ProxiedRequest>,
    answering: BTreeMap<usize, watch::Sender<Flow>>,
    /// In the order in which they were made; the index is the id of an injection.
    injections: Vec<Injected>,
}

#[derive(Debug)]
struct Injected {
    matching: Matching,
    fault: Fault,
    /// How many requests it selected.
    selected: usize,
    /// How many of them it befell.
    hits: usize,
    ended: CancellationToken,
}

/// What becomes of an answer on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// It is delivered.
    Open,
    /// Half of its next piece is delivered, then the connection closes.
    Half,
    /// Nothing more is delivered.
    Silent,
    /// The connection closes.
    Cut,
}

/// A request that is being answered, until this is dropped.
#[derive(Debug)]
pub(super) struct Answering {
    shared: Arc<Shared>,
    id: usize,
    pub(super) flow: watch::Receiver<Flow>,
}

/// What befalls a request, and until when.
#[derive(Clone, Debug)]
pub(super) struct Befalling {
    pub(super) fault: Fault,
    pub(super) ended: CancellationToken,
}

// === impl Shared ===

impl Shared {
    pub(super) fn new(upstream: String, client: Client) -> Self {
        Self { upstream, client, state: Mutex::default() }
    }

    pub(super) fn inject(&self, matching: Matching, fault: Fault) -> usize {
        let mut state = self.lock();
        let ended = CancellationToken::new();
        state.injections.push(Injected { matching, fault, selected: 0, hits: 0, ended });
        state.injections.len() - 1
    }

    pub(super) fn end(&self, injection: usize) {
        self.lock().injections[injection].ended.cancel();
    }

    pub(super) fn hits(&self, injection: usize) -> usize {
        self.lock().injections[injection].hits
    }

    pub(super) fn requests(&self) -> Vec<ProxiedRequest> {
        self.lock().requests.clone()
    }

    /// Sets the flow of the requests that are being answered and match; says how many.
    pub(super) fn redirect(&self, matching: &Matching, flow: Flow) -> usize {
        let State { requests, answering, .. } = &*self.lock();
        let mut redirected = 0;
        for (_, answer) in answering.iter().filter(|(id, _)| matching.selects(&requests[**id])) {
            answer.send_replace(flow);
            redirected += 1;
        }
        redirected
    }

    /// Takes a request down and says what befalls it.
    pub(super) fn arrive(
        self: &Arc<Self>,
        request: ProxiedRequest,
    ) -> (Answering, Option<Befalling>) {
        let mut state = self.lock();
        let befalling = state.injections.iter_mut().rev().find_map(|it| it.befall(&request));
        let (sender, flow) = watch::channel(Flow::Open);
        let id = state.requests.len();
        state.requests.push(request);
        state.answering.insert(id, sender);
        (Answering { shared: Arc::clone(self), id, flow }, befalling)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Injected ===

impl Injected {
    fn befall(&mut self, request: &ProxiedRequest) -> Option<Befalling> {
        let possible = match self.fault {
            Fault::Replay(_) => request.reads_collection(),
            _ => true,
        };
        if self.ended.is_cancelled() || !possible || !self.matching.selects(request) {
            return None;
        }
        self.selected += 1;
        self.matching.is_turn(self.selected).then(|| {
            self.hits += 1;
            Befalling { fault: self.fault.clone(), ended: self.ended.clone() }
        })
    }
}

// === impl Answering ===

impl Answering {
    /// Notes the status of the answer.
    pub(super) fn began(&self, status: StatusCode) {
        self.shared.lock().requests[self.id].status = Some(status);
    }

    /// Sets what becomes of the answer.
    pub(super) fn set(&self, flow: Flow) {
        if let Some(answer) = self.shared.lock().answering.get(&self.id) {
            answer.send_replace(flow);
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.shared.lock().answering.remove(&self.id);
    }
}

/// Returns when the connection is to be closed.
pub(super) async fn cut(mut flow: watch::Receiver<Flow>) {
    if flow.wait_for(|flow| *flow == Flow::Cut).await.is_err() {
        std::future::pending().await
    }
}
