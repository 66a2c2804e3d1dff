//! How much is taken on at a time: connections, requests, bytes of requests, and what becomes of them.
//!
//! What is over a limit is turned away at once, so that whoever asks knows and nothing waits without
//! a bound: a connection is closed, a request is answered with a status that makes the API server go
//! by the webhook's failure policy. It is counted where it is turned away.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::CONTENT_LENGTH;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::routes::{BODY_LIMIT, Refusal, Webhook};

/// Bytes are counted in units of this many.
const UNIT: usize = 1024;

/// How much is taken on at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections, those in the TLS handshake among them.
    pub connections: usize,
    /// Requests that are being read or answered.
    pub requests: usize,
    /// Bytes of the bodies of these requests, as they come.
    pub body_bytes: usize,
    /// Bytes of memory that these bodies take when they are parsed ([`crate::review::memory`]).
    pub parsed_bytes: usize,
}

/// Requests that are being read or answered.
#[derive(Clone)]
pub(crate) struct InFlight {
    webhook: Arc<Webhook>,
    requests: Arc<Semaphore>,
    units: Arc<Semaphore>,
}

// === impl Limits ===

impl Default for Limits {
    /// Room for a few API servers, each of which keeps 25 connections and opens more as it needs
    /// them; and for the memory that the chart gives.
    fn default() -> Self {
        Self { connections: 1024, requests: 256, body_bytes: 32 << 20, parsed_bytes: 192 << 20 }
    }
}

// === impl InFlight ===

impl InFlight {
    pub(crate) fn new(webhook: Arc<Webhook>, limits: Limits) -> Self {
        // At least one request of any length that is read at all.
        let units = (limits.body_bytes / UNIT).max(units(BODY_LIMIT));
        Self { webhook, requests: semaphore(limits.requests), units: semaphore(units) }
    }

    fn admit(&self, request: &Request) -> Option<[OwnedSemaphorePermit; 2]> {
        let one = self.requests.clone().try_acquire_owned().ok()?;
        let units = u32::try_from(units(length(request))).ok()?;
        let bytes = self.units.clone().try_acquire_many_owned(units).ok()?;
        Some([one, bytes])
    }
}

/// Answers a request if there is room for it.
pub(crate) async fn within(
    State(in_flight): State<InFlight>,
    request: Request,
    next: Next,
) -> Response {
    let Some(_room) = in_flight.admit(&request) else {
        return in_flight.webhook.refuse(&Refusal::TooMany);
    };
    next.run(request).await
}

/// What is announced, or the longest that is read where nothing is.
fn length(request: &Request) -> usize {
    let announced = request.headers().get(CONTENT_LENGTH);
    let announced = announced.and_then(|it| it.to_str().ok()).and_then(|it| it.parse().ok());
    announced.unwrap_or(BODY_LIMIT).min(BODY_LIMIT)
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT)
}

pub(super) fn semaphore(permits: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(permits.clamp(1, Semaphore::MAX_PERMITS)))
}
