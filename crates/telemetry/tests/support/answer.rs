//! How a receiver answers, told by the test.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// How a receiver answers. What is said of gRPC is said by HTTP as OTLP asks.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Accept,
    Refuse(Code),
    /// Asks to wait: `RetryInfo`, or `Retry-After`.
    Throttle(Code, Duration),
    /// Points, spans or log records.
    RejectPoints(i64),
    /// Takes it, and has something to say.
    Warn(&'static str),
    /// Takes the request and never answers.
    Nothing,
    /// Accepts, later.
    Slow(Duration),
    /// Takes the request and resets the connection.
    Reset,
    /// This and nothing else, by either protocol: somebody in between, or no receiver at all.
    Http(HttpAnswer),
}

/// An answer that knows nothing of OTLP.
#[derive(Clone, Debug)]
pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Bytes,
}

/// What everybody says when a test wants it.
pub(super) const SAID: &str = "as the test wants it";

// === impl HttpAnswer ===

impl HttpAnswer {
    pub(crate) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new() }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub(crate) fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }
}

/// The answer of HTTP that says what `code` says.
pub(super) fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unimplemented => StatusCode::NOT_FOUND,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}

pub(super) fn status(code: Code, wait: Option<Duration>) -> Status {
    match wait {
        None => Status::new(code, SAID),
        Some(_) => Status::with_error_details(code, SAID, ErrorDetails::with_retry_info(wait)),
    }
}
