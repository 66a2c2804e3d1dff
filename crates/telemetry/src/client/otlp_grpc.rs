//! OTLP over gRPC: a request of it, and what an answer means.
//!
//! A unary call is one message each way in a frame of five bytes, so there is no generated client:
//! that would compress on the thread that all exports share, and could not send again what was
//! encoded before.

use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, TE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use http_body_util::Full;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message as _;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use super::answer::{Answer, LIMIT};
use super::compression::{Compressed, decompress};
use crate::config::Compression;
use crate::outcome::ExportOutcome;

const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPTED: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const DETAILS: &str = "grpc-status-details-bin";
/// Whether the message is compressed, and how long it is.
const FRAME: usize = 5;
/// A `grpc-timeout` has no more digits.
const LONGEST_TIMEOUT: u128 = 99_999_999;

/// One request, with the headers of the configuration in `headers`.
pub(super) fn request(
    to: Uri,
    headers: HeaderMap,
    compressed: &Compressed,
    timeout: Duration,
) -> http::Request<Full<Bytes>> {
    let mut request = http::Request::new(Full::new(frame(compressed)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = to;
    *request.version_mut() = Version::HTTP_2;
    *request.headers_mut() = headers;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert(ACCEPTED, HeaderValue::from_static("gzip,zstd,identity"));
    let milliseconds = format!("{}m", timeout.as_millis().min(LONGEST_TIMEOUT));
    if let Ok(timeout) = HeaderValue::from_str(&milliseconds) {
        headers.insert(TIMEOUT, timeout);
    }
    if let Some(token) = compressed.by.token() {
        headers.insert(ENCODING, HeaderValue::from_static(token));
    }
    request
}

fn frame(compressed: &Compressed) -> Bytes {
    let Compressed { body, by } = compressed;
    let mut frame = BytesMut::with_capacity(FRAME + body.len());
    frame.put_u8(u8::from(*by != Compression::None));
    // Requests are split long before that many bytes.
    frame.put_u32(u32::try_from(body.len()).unwrap_or(u32::MAX));
    frame.put_slice(body);
    frame.freeze()
}

/// What `answer` means for a request of `sent` items.
pub(super) fn outcome(answer: &Answer, sent: u64) -> ExportOutcome {
    let status = status(&answer.trailers).or_else(|| status(&answer.headers));
    match status {
        Some(status) if status.code() == Code::Ok => match response(answer) {
            Some(response) => ExportOutcome::from_response(response, sent),
            None => ExportOutcome::rejected(Code::Ok, "the answer is not that of OTLP"),
        },
        Some(status) => ExportOutcome::from_status(&status),
        // Somebody in between who does not speak gRPC, or no receiver at all.
        None if !answer.status.is_success() => {
            ExportOutcome::from_http(answer.status, None, &super::otlp_http::words(answer))
        }
        None if !answer.content_type().starts_with("application/grpc") => {
            ExportOutcome::rejected(answer.status, "the answer is not that of gRPC")
        }
        None => ExportOutcome::Ambiguous { why: "the answer has no end".to_owned() },
    }
}

/// The status in the trailers, or in the headers of an answer that is nothing but a status.
fn status(headers: &HeaderMap) -> Option<Status> {
    let metadata = MetadataMap::from_headers(headers.clone());
    // Reading the status of garbage panics.
    let broken = metadata.get_bin(DETAILS).is_some_and(|details| details.to_bytes().is_err());
    if !broken {
        return Status::from_header_map(headers);
    }
    let mut headers = headers.clone();
    headers.remove(DETAILS);
    Status::from_header_map(&headers)
}

/// The one message of an answer. No message at all is one without anything to add.
fn response(answer: &Answer) -> Option<ExportMetricsServiceResponse> {
    let mut body = answer.body.clone();
    if body.is_empty() {
        return Some(ExportMetricsServiceResponse::default());
    }
    if answer.cut || body.len() < FRAME {
        return None;
    }
    let (is_compressed, length) = (body.get_u8() == 1, body.get_u32());
    if body.len() != usize::try_from(length).ok()? {
        return None;
    }
    if is_compressed {
        let token = answer.headers.get(ENCODING).map(HeaderValue::as_bytes);
        body = decompress(body, token, LIMIT)?;
    }
    ExportMetricsServiceResponse::decode(body).ok()
}

#[cfg(test)]
mod tests;
