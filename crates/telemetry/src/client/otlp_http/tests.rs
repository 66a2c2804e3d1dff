use super::*;

fn answer(status: u16, content_type: &str, body: impl Into<Bytes>) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers,
        body: body.into(),
        cut: false,
        trailers: HeaderMap::new(),
    }
}

fn partial(items: u64) -> ExportOutcome {
    ExportOutcome::PartiallyRejected { items, message: "too old".to_owned() }
}

#[test]
fn an_answer_without_words_says_yes() {
    for answer in [
        answer(200, PROTOBUF, ""),
        answer(200, "", ""),
        answer(204, "text/html", ""),
        answer(202, PROTOBUF, ""),
        answer(200, "application/json; charset=utf-8", "{}"),
        answer(200, JSON, r#"{"partialSuccess": {}}"#),
    ] {
        assert_eq!(outcome(&answer, Signal::Metrics, 9), ExportOutcome::Accepted);
    }
}

#[test]
fn what_is_rejected_in_part_is_counted_in_both_encodings() {
    let message = ExportMetricsServiceResponse {
        partial_success: Some(ExportMetricsPartialSuccess {
            rejected_data_points: 3,
            error_message: "too old".to_owned(),
        }),
    };
    for signal in Signal::ALL {
        let protobuf = answer(200, PROTOBUF, message.encode_to_vec());
        assert_eq!(outcome(&protobuf, signal, 9), partial(3));
    }
    for (signal, body) in [
        (
            Signal::Metrics,
            r#"{"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"too old"}}"#,
        ),
        (Signal::Traces, r#"{"partialSuccess":{"rejectedSpans":3,"errorMessage":"too old"}}"#),
        (Signal::Logs, r#"{"partialSuccess":{"rejectedLogRecords":"3","errorMessage":"too old"}}"#),
    ] {
        assert_eq!(outcome(&answer(200, JSON, body), signal, 9), partial(3), "{signal}");
    }
}

#[test]
fn an_answer_that_is_not_of_otlp_is_no_yes() {
    let mut cut = answer(200, PROTOBUF, "");
    cut.cut = true;
    let mut packed = answer(200, PROTOBUF, "not gzip");
    packed.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    for answer in [
        answer(200, PROTOBUF, "garbage"),
        answer(200, "text/html", "<html>Log in</html>"),
        answer(200, JSON, "[]"),
        answer(200, JSON, "{"),
        cut,
        packed,
    ] {
        let outcome = outcome(&answer, Signal::Logs, 9);
        assert_eq!(outcome.reason(), "rejected");
    }
}

#[test]
fn the_words_of_a_no_are_kept_unless_they_are_a_page() {
    let status = tonic_types::Status { message: "bad name".to_owned(), ..Default::default() };
    for (answer, said) in [
        (answer(400, PROTOBUF, status.encode_to_vec()), "bad name"),
        (answer(400, "text/plain; charset=utf-8", "bad name"), "bad name"),
        (answer(400, JSON, r#"{"code":3}"#), r#"{"code":3}"#),
        (answer(400, "text/html", "<html>"), ""),
        (answer(400, PROTOBUF, "garbage"), ""),
    ] {
        let outcome = outcome(&answer, Signal::Traces, 9);
        assert_eq!(outcome.message(), Some(said));
    }
}

#[test]
fn a_receiver_asks_to_wait_in_seconds_or_up_to_a_date() {
    let now: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
    for (value, wait) in [
        ("0", Some(0)),
        (" 120 ", Some(120)),
        ("Mon, 23 Nov 2026 10:00:30 GMT", Some(30)),
        ("Mon, 23 Nov 2026 09:00:00 GMT", Some(0)),
        ("18446744073709551615", Some(u64::MAX)),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
    ] {
        let value = HeaderValue::from_str(value).unwrap();
        assert_eq!(retry_after(&value, now), wait.map(Duration::from_secs), "{value:?}");
    }
}
