//! What became of one export.
//!
//! Pure: the transport ([`crate::client`]) brings what a receiver said, or what kept it from saying
//! anything; here it gets its kind. Texts in `why` are shown in status, so they are stable: no
//! address, no time, nothing that a receiver said.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// How many characters of a receiver's own words are kept.
const MESSAGE_LIMIT: usize = 256;

/// What became of one export. Nothing is left of it in a log line or a string only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExportOutcome {
    /// The receiver has all of it.
    Accepted,
    /// The receiver has it but for some points, spans or log records, which it will never take.
    PartiallyRejected { items: u64, message: String },
    /// The receiver has none of it and asks to send less often, or to wait.
    Throttled { wait: Option<Duration> },
    /// The receiver does not take it from us.
    Unauthenticated { code: AnswerCode },
    /// The receiver does not know this signal, or this compression.
    Unimplemented,
    /// The receiver will not take this, ever.
    Rejected { code: AnswerCode, message: String },
    /// The receiver is not who it should be, or does not take our certificate.
    Tls { why: String },
    /// There is no receiver.
    Unreachable { why: String },
    /// It was sent, and no answer says whether it arrived.
    Ambiguous { why: String },
}

/// The code of an answer, by the protocol that it came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerCode {
    Grpc(Code),
    Http(StatusCode),
}

/// What to do about an export that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// Nothing before the next period.
    No,
    /// Again, soon, over a new connection.
    Backoff,
    /// Again, when the receiver said.
    After(Duration),
}

// === impl ExportOutcome ===

impl ExportOutcome {
    /// What the receiver answered to a request of `sent` items. The answers of the three signals are
    /// alike on the wire. It may say anything.
    pub(crate) fn from_response(response: ExportMetricsServiceResponse, sent: u64) -> Self {
        match response.partial_success {
            Some(partial) if partial.rejected_data_points > 0 => Self::PartiallyRejected {
                items: partial.rejected_data_points.unsigned_abs().min(sent),
                message: bounded(&partial.error_message),
            },
            // A message alone is a warning.
            _ => Self::Accepted,
        }
    }

    /// What a gRPC status means that the receiver sent.
    pub(crate) fn from_status(status: &Status) -> Self {
        let wait = status.get_details_retry_info().and_then(|info| info.retry_delay);
        match (status.code(), wait) {
            (Code::Ok, _) => Self::Accepted,
            // Without the wait, exhausted means for good: the request is too large, say.
            (Code::Unavailable | Code::ResourceExhausted, Some(_)) => Self::Throttled { wait },
            (code @ (Code::Unauthenticated | Code::PermissionDenied), _) => {
                Self::Unauthenticated { code: code.into() }
            }
            (Code::Unimplemented, _) => Self::Unimplemented,
            (Code::Unavailable, None) => {
                Self::Unreachable { why: "the receiver says that it is unavailable".to_owned() }
            }
            (
                code @ (Code::Cancelled
                | Code::DeadlineExceeded
                | Code::Aborted
                | Code::OutOfRange
                | Code::DataLoss),
                _,
            ) => Self::Ambiguous { why: code.description().to_owned() },
            (code, _) => Self::rejected(code, status.message()),
        }
    }

    /// What an HTTP status means that says no, with the receiver's words about it.
    pub(crate) fn from_http(status: StatusCode, wait: Option<Duration>, said: &str) -> Self {
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Self::Unauthenticated { code: status.into() }
            }
            StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::NOT_IMPLEMENTED => Self::Unimplemented,
            StatusCode::TOO_MANY_REQUESTS => Self::Throttled { wait },
            StatusCode::SERVICE_UNAVAILABLE if wait.is_some() => Self::Throttled { wait },
            StatusCode::SERVICE_UNAVAILABLE => {
                Self::Unreachable { why: "the receiver says that it is unavailable".to_owned() }
            }
            // Said by somebody in between, who passed the request on.
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
                Self::Ambiguous { why: format!("a gateway has no answer ({status})") }
            }
            _ => Self::rejected(status, said),
        }
    }

    pub(crate) fn rejected(code: impl Into<AnswerCode>, said: &str) -> Self {
        Self::Rejected { code: code.into(), message: bounded(said) }
    }

    pub(crate) fn timed_out(timeout: Duration) -> Self {
        Self::Ambiguous { why: format!("no answer within {timeout:?}") }
    }

    /// What the receiver said about it, in its own words: for logs, not for status.
    pub(crate) fn message(&self) -> Option<&str> {
        match self {
            Self::PartiallyRejected { message, .. } | Self::Rejected { message, .. } => {
                Some(message)
            }
            _ => None,
        }
    }

    pub(crate) fn retry(&self) -> Retry {
        match self {
            Self::Throttled { wait: Some(wait) } => Retry::After(*wait),
            Self::Throttled { wait: None }
            | Self::Tls { .. }
            | Self::Unreachable { .. }
            | Self::Ambiguous { .. } => Retry::Backoff,
            Self::Accepted
            | Self::PartiallyRejected { .. }
            | Self::Unauthenticated { .. }
            | Self::Unimplemented
            | Self::Rejected { .. } => Retry::No,
        }
    }

    /// The kind of the outcome, from a closed set.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::PartiallyRejected { .. } => "partially_rejected",
            Self::Throttled { .. } => "throttled",
            Self::Unauthenticated { .. } => "unauthenticated",
            Self::Unimplemented => "unimplemented",
            Self::Rejected { .. } => "rejected",
            Self::Tls { .. } => "tls",
            Self::Unreachable { .. } => "unreachable",
            Self::Ambiguous { .. } => "ambiguous",
        }
    }
}

/// A receiver's own words: not for ever, and on one line.
fn bounded(said: &str) -> String {
    said.chars().filter(|it| !it.is_control()).take(MESSAGE_LIMIT).collect()
}

// === impl AnswerCode ===

impl AnswerCode {
    /// What to do about an answer that rejects everything, where its code tells.
    pub(crate) fn remedy(self) -> Option<&'static str> {
        match self {
            Self::Http(status) if status.is_redirection() => Some(
                "redirects are not followed; the endpoint must be the address that they lead to",
            ),
            Self::Http(StatusCode::PAYLOAD_TOO_LARGE) => {
                Some("its limit for the size of a request is too small")
            }
            Self::Http(status) if status.is_success() => {
                Some("its answer is not that of an OTLP receiver; check the address")
            }
            Self::Grpc(_) | Self::Http(_) => None,
        }
    }
}

impl From<Code> for AnswerCode {
    fn from(code: Code) -> Self {
        Self::Grpc(code)
    }
}

impl From<StatusCode> for AnswerCode {
    fn from(status: StatusCode) -> Self {
        Self::Http(status)
    }
}

impl fmt::Display for AnswerCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grpc(code) => write!(formatter, "{code:?}"),
            Self::Http(status) => write!(formatter, "HTTP {}", status.as_u16()),
        }
    }
}

#[cfg(test)]
mod tests;
