//! One OTLP request, encoded once: whatever is sent again is sent byte for byte.

use bytes::Bytes;
use prost::Message;

use crate::signal::Signal;

/// One request to a receiver, before compression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Which service takes it.
    pub(crate) signal: Signal,
    /// An encoded `Export*ServiceRequest`.
    pub(crate) body: Bytes,
    /// How many points, spans or log records it holds.
    pub(crate) items: u64,
}

// === impl Request ===

impl Request {
    pub(crate) fn encode(signal: Signal, request: &impl Message, items: u64) -> Self {
        Self { signal, body: request.encode_to_vec().into(), items }
    }

    /// A request without content: tells whether a receiver can be reached, and takes it from us.
    pub(crate) fn probe(signal: Signal) -> Self {
        Self { signal, body: Bytes::new(), items: 0 }
    }
}
