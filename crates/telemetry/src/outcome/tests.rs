use super::*;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsPartialSuccess;
use tonic_types::ErrorDetails;

fn response(rejected_data_points: i64, message: &str) -> ExportMetricsServiceResponse {
    let error_message = message.to_owned();
    ExportMetricsServiceResponse {
        partial_success: Some(ExportMetricsPartialSuccess { rejected_data_points, error_message }),
    }
}

#[test]
fn a_warning_is_not_a_rejection() {
    for accepted in [ExportMetricsServiceResponse::default(), response(0, ""), response(0, "hm")] {
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

#[test]
fn what_http_says_decides_it_too() {
    let wait = Some(Duration::from_secs(7));
    for (status, wait, reason, retry) in [
        (400, None, "rejected", Retry::No),
        (401, None, "unauthenticated", Retry::No),
        (403, None, "unauthenticated", Retry::No),
        (404, None, "unimplemented", Retry::No),
        (405, None, "unimplemented", Retry::No),
        (413, wait, "rejected", Retry::No),
        (415, None, "unimplemented", Retry::No),
        (429, wait, "throttled", Retry::After(Duration::from_secs(7))),
        (429, None, "throttled", Retry::Backoff),
        (500, None, "rejected", Retry::No),
        (501, None, "unimplemented", Retry::No),
        (502, None, "ambiguous", Retry::Backoff),
        (503, wait, "throttled", Retry::After(Duration::from_secs(7))),
        (503, None, "unreachable", Retry::Backoff),
        (504, None, "ambiguous", Retry::Backoff),
        (307, None, "rejected", Retry::No),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let outcome = ExportOutcome::from_http(status, wait, "said");
        assert_eq!((outcome.reason(), outcome.retry()), (reason, retry), "{status}");
    }
}

#[test]
fn a_receivers_words_stay_on_one_line() {
    let outcome = ExportOutcome::rejected(StatusCode::BAD_REQUEST, "no\r\n\x1b[31mlevel=error");
    assert_eq!(outcome.message(), Some("no[31mlevel=error"));
}
