use http::StatusCode;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsPartialSuccess;

use super::*;

fn grpc(body: impl Into<Bytes>, trailers: &[(&'static str, &str)]) -> Answer {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let trailers = trailers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect();
    Answer { status: StatusCode::OK, headers, body: body.into(), cut: false, trailers }
}

const OK: (&str, &str) = ("grpc-status", "0");

async fn partial(by: Compression) -> Bytes {
    let message = ExportMetricsServiceResponse {
        partial_success: Some(ExportMetricsPartialSuccess {
            rejected_data_points: 3,
            error_message: "too old".to_owned(),
        }),
    };
    frame(&Compressed::new(message.encode_to_vec().into(), by).await)
}

#[tokio::test]
async fn a_message_is_read_compressed_or_not() {
    let rejected = ExportOutcome::PartiallyRejected { items: 3, message: "too old".to_owned() };
    for by in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let mut answer = grpc(partial(by).await, &[OK]);
        if let Some(token) = by.token() {
            answer.headers.insert(ENCODING, HeaderValue::from_static(token));
        }
        assert_eq!(outcome(&answer, 9), rejected, "{by:?}");
    }
    assert_eq!(outcome(&grpc(&[0, 0, 0, 0, 0][..], &[OK]), 9), ExportOutcome::Accepted);
    assert_eq!(outcome(&grpc("", &[OK]), 9), ExportOutcome::Accepted);
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_no_yes() {
    let packed = partial(Compression::Gzip).await;
    for body in [&[0, 0, 0][..], &[0, 0, 0, 0, 9, 1], &[0, 0, 0, 0, 1, 255], &packed] {
        let answer = grpc(Bytes::copy_from_slice(body), &[OK]);
        assert_eq!(outcome(&answer, 9).reason(), "rejected", "{body:?}");
    }
}

#[test]
fn a_status_is_in_the_trailers_or_in_the_headers() {
    let refused = [("grpc-status", "16"), ("grpc-message", "who%20are%20you")];
    let code = Code::Unauthenticated.into();
    assert_eq!(outcome(&grpc("", &refused), 9), ExportOutcome::Unauthenticated { code });
    let mut answer = grpc("", &refused);
    answer.headers.extend(std::mem::take(&mut answer.trailers));
    assert_eq!(outcome(&answer, 9), ExportOutcome::Unauthenticated { code });
    let invalid = grpc("", &[("grpc-status", "3"), ("grpc-message", "bad%20name")]);
    assert_eq!(outcome(&invalid, 9).message(), Some("bad name"));
}

#[test]
fn details_that_cannot_be_read_are_as_good_as_none() {
    let unavailable = grpc("", &[("grpc-status", "14"), (DETAILS, "*")]);
    assert_eq!(outcome(&unavailable, 9).reason(), "unreachable");
    let garbage = grpc("", &[("grpc-status", "many"), (DETAILS, "////")]);
    assert_eq!(outcome(&garbage, 9).reason(), "rejected");
}

#[test]
fn who_does_not_speak_grpc_is_judged_by_what_http_says() {
    for (status, content_type, reason) in [
        (404, "text/plain", "unimplemented"),
        (401, "", "unauthenticated"),
        (502, "text/html", "ambiguous"),
        (503, "text/html", "unreachable"),
        (200, "text/html", "rejected"),
        (200, "application/grpc+proto", "ambiguous"),
    ] {
        let mut answer = grpc("", &[]);
        answer.status = StatusCode::from_u16(status).unwrap();
        answer.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        assert_eq!(outcome(&answer, 9).reason(), reason, "{status} {content_type}");
    }
}
