//! OTLP over HTTP with protobuf bodies: a request of it, and what an answer means.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body_util::Full;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceResponse,
};
use prost::Message as _;
use serde_json::Value;

use super::answer::Answer;
use super::compression::Compressed;
use crate::outcome::ExportOutcome;
use crate::signal::Signal;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// One request, with the headers of the configuration in `headers`.
pub(super) fn request(
    to: Uri,
    headers: HeaderMap,
    compressed: Compressed,
) -> http::Request<Full<Bytes>> {
    let mut request = http::Request::new(Full::new(compressed.body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = to;
    *request.headers_mut() = headers;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
    if let Some(token) = compressed.by.token() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(token));
    }
    request
}

/// What `answer` means for a request of `sent` items.
pub(super) fn outcome(answer: &Answer, signal: Signal, sent: u64) -> ExportOutcome {
    if !answer.status.is_success() {
        let wait = answer.headers.get(RETRY_AFTER);
        let wait = wait.and_then(|value| retry_after(value, Timestamp::now()));
        return ExportOutcome::from_http(answer.status, wait, &words(answer));
    }
    match response(answer, signal) {
        Some(response) => ExportOutcome::from_response(response, sent),
        // Whoever said "200" to this may be a login page. It is told, and not asked again.
        None => ExportOutcome::rejected(answer.status, "the answer is not that of OTLP"),
    }
}

/// Whether `answer` is what servers of Go, the OpenTelemetry Collector among them, say to a request
/// in plaintext where they expect TLS. It has no code of its own.
pub(super) fn expects_tls(answer: &Answer) -> bool {
    answer.status == StatusCode::BAD_REQUEST && words(answer).contains("an HTTPS server")
}

/// The body of an answer that says yes. An empty one is one without anything to add.
fn response(answer: &Answer, signal: Signal) -> Option<ExportMetricsServiceResponse> {
    let body = answer.plain(&CONTENT_ENCODING)?;
    if body.is_empty() || answer.status == StatusCode::NO_CONTENT {
        return Some(ExportMetricsServiceResponse::default());
    }
    match answer.content_type() {
        // The same message for all three signals, on the wire.
        PROTOBUF | "application/protobuf" | "" => ExportMetricsServiceResponse::decode(body).ok(),
        // Some receivers answer in JSON, whatever they were asked in.
        JSON => from_json(&serde_json::from_slice(&body).ok()?, signal),
        _ => None,
    }
}

fn from_json(answer: &Value, signal: Signal) -> Option<ExportMetricsServiceResponse> {
    let answer = answer.as_object()?;
    let Some(partial) = answer.get("partialSuccess") else {
        return Some(ExportMetricsServiceResponse::default());
    };
    let rejected = match signal {
        Signal::Metrics => &partial["rejectedDataPoints"],
        Signal::Traces => &partial["rejectedSpans"],
        Signal::Logs => &partial["rejectedLogRecords"],
    };
    // Integers of 64 bits are strings in protobuf's JSON, or numbers.
    let rejected = rejected.as_i64().or_else(|| rejected.as_str()?.parse().ok());
    Some(ExportMetricsServiceResponse {
        partial_success: Some(ExportMetricsPartialSuccess {
            rejected_data_points: rejected.unwrap_or_default(),
            error_message: partial["errorMessage"].as_str().unwrap_or_default().to_owned(),
        }),
    })
}

/// What the receiver says about an answer that says no: a `google.rpc.Status`, or text.
pub(super) fn words(answer: &Answer) -> String {
    let Some(body) = answer.plain(&CONTENT_ENCODING) else { return String::new() };
    match answer.content_type() {
        PROTOBUF | "application/protobuf" => {
            tonic_types::Status::decode(body).map(|status| status.message).unwrap_or_default()
        }
        JSON | "text/plain" | "" => String::from_utf8_lossy(&body).into_owned(),
        // A page for people.
        _ => String::new(),
    }
}

/// How long a receiver asks to wait: in seconds, or up to a date.
fn retry_after(value: &HeaderValue, now: Timestamp) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(date.duration_since(now)).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests;
