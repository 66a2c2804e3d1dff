//! What became of one export.

use std::error::Error as _;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use tonic::{Code, ConnectError, Status};
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
    /// The receiver has none of it and asks to wait.
    Throttled { wait: Duration },
    /// The receiver does not take it from us.
    Unauthenticated { code: Code },
    /// The receiver does not know this signal, or this compression.
    Unimplemented,
    /// The receiver will not take this, ever.
    Rejected { code: Code },
    /// The receiver is not who it should be, or does not take our certificate.
    Tls { why: String },
    /// There is no receiver.
    Unreachable { why: String },
    /// It was sent, and no answer says whether it arrived.
    Ambiguous { why: String },
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
                message: partial.error_message.chars().take(MESSAGE_LIMIT).collect(),
            },
            // A message alone is a warning.
            _ => Self::Accepted,
        }
    }

    /// What the receiver said about it, in its own words.
    pub(crate) fn message(&self) -> Option<&str> {
        match self {
            Self::PartiallyRejected { message, .. } => Some(message),
            _ => None,
        }
    }

    pub(crate) fn from_status(status: &Status) -> Self {
        let wait = status.get_details_retry_info().and_then(|info| info.retry_delay);
        match (status.code(), wait) {
            _ if status.source().is_some() => Self::from_transport(status),
            (Code::Unavailable | Code::ResourceExhausted, Some(wait)) => Self::Throttled { wait },
            (code @ (Code::Unauthenticated | Code::PermissionDenied), _) => {
                Self::Unauthenticated { code }
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
            (code, _) => Self::Rejected { code },
        }
    }

    /// A status that no server sent: it has the error of our own transport inside.
    fn from_transport(status: &Status) -> Self {
        let mut chain = std::iter::successors(status.source(), |error| (*error).source());
        if !chain.clone().any(|error| error.is::<ConnectError>()) {
            return Self::Ambiguous { why: "the connection was lost before the answer".to_owned() };
        }
        let root = chain.by_ref().last().map(ToString::to_string);
        Self::Unreachable { why: root.unwrap_or_default() }
    }

    pub(crate) fn timed_out(timeout: Duration) -> Self {
        Self::Ambiguous { why: format!("no answer within {timeout:?}") }
    }

    pub(crate) fn retry(&self) -> Retry {
        match self {
            Self::Tls { .. } | Self::Unreachable { .. } | Self::Ambiguous { .. } => Retry::Backoff,
            Self::Throttled { wait } => Retry::After(*wait),
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

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsPartialSuccess;
    use tonic_types::ErrorDetails;

    fn response(rejected_data_points: i64, message: &str) -> ExportMetricsServiceResponse {
        let error_message = message.to_owned();
        ExportMetricsServiceResponse {
            partial_success: Some(ExportMetricsPartialSuccess {
                rejected_data_points,
                error_message,
            }),
        }
    }

    #[test]
    fn a_warning_is_not_a_rejection() {
        for accepted in
            [ExportMetricsServiceResponse::default(), response(0, ""), response(0, "hm")]
        {
            assert_eq!(ExportOutcome::from_response(accepted, 9), ExportOutcome::Accepted);
        }
        let partial = ExportOutcome::from_response(response(3, "too old"), 9);
        let message = "too old".to_owned();
        assert_eq!(partial, ExportOutcome::PartiallyRejected { items: 3, message });
        assert_eq!(partial.retry(), Retry::No);
    }

    #[test]
    fn a_receiver_can_reject_no_more_than_it_was_sent_and_not_talk_for_ever() {
        let partial = ExportOutcome::from_response(response(i64::MAX, &"é".repeat(1000)), 9);
        let message = "é".repeat(MESSAGE_LIMIT);
        assert_eq!(partial, ExportOutcome::PartiallyRejected { items: 9, message });
    }

    #[test]
    fn what_the_server_says_decides_what_is_tried_again() {
        for (code, reason, retry) in [
            (Code::Unauthenticated, "unauthenticated", Retry::No),
            (Code::PermissionDenied, "unauthenticated", Retry::No),
            (Code::Unimplemented, "unimplemented", Retry::No),
            (Code::InvalidArgument, "rejected", Retry::No),
            (Code::ResourceExhausted, "rejected", Retry::No),
            (Code::Internal, "rejected", Retry::No),
            (Code::Unavailable, "unreachable", Retry::Backoff),
            (Code::Cancelled, "ambiguous", Retry::Backoff),
            (Code::DeadlineExceeded, "ambiguous", Retry::Backoff),
            (Code::Aborted, "ambiguous", Retry::Backoff),
            (Code::OutOfRange, "ambiguous", Retry::Backoff),
            (Code::DataLoss, "ambiguous", Retry::Backoff),
        ] {
            let outcome = ExportOutcome::from_status(&Status::new(code, "said"));
            assert_eq!((outcome.reason(), outcome.retry()), (reason, retry), "{code:?}");
        }
    }

    #[test]
    fn a_receiver_may_ask_to_wait() {
        let wait = Duration::from_secs(7);
        for code in [Code::Unavailable, Code::ResourceExhausted] {
            let details = ErrorDetails::with_retry_info(Some(wait));
            let status = Status::with_error_details(code, "later", details);
            assert_eq!(ExportOutcome::from_status(&status).retry(), Retry::After(wait));
        }
    }
}
