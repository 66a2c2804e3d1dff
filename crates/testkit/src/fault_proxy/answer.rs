//! Answers: those of the API server on their way back, and those that it never gave.

use std::io;

use bytes::Bytes;
use futures::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::{Response, StatusCode};
use reqwest::header::{CONNECTION, CONTENT_TYPE, HeaderValue, TRANSFER_ENCODING};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::matching::ProxiedRequest;
use super::shared::{Answering, Flow, cut};

pub(super) type Body = BoxBody<Bytes, io::Error>;

/// What is being delivered.
struct Delivery {
    source: Source,
    answering: Answering,
    /// When what is kept open closes.
    ended: CancellationToken,
}

enum Source {
    /// The API server.
    Upstream(reqwest::Response),
    /// One piece, and nothing after it.
    Piece(Option<Bytes>),
}

/// The connection closes without a word, or without another.
pub(super) fn closed() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

/// The API server's answer, delivered piece by piece.
pub(super) fn deliver(
    upstream: reqwest::Response,
    answering: Answering,
    ended: CancellationToken,
) -> Response<Body> {
    answering.began(upstream.status());
    let mut response = Response::new(());
    *response.status_mut() = upstream.status();
    *response.headers_mut() = upstream.headers().clone();
    // They are about the connection to the API server.
    response.headers_mut().remove(CONNECTION);
    response.headers_mut().remove(TRANSFER_ENCODING);
    let delivery = Delivery { source: Source::Upstream(upstream), answering, ended };
    response.map(|()| delivery.into_body())
}

/// A refusal as an API server words it.
pub(super) fn refusal(status: StatusCode, answering: &Answering) -> Response<Body> {
    answering.began(status);
    json_response(status, whole(status_object(status).to_string()))
}

/// A watch that says that its resourceVersion is too old, and ends.
pub(super) fn expiry(answering: &Answering) -> Response<Body> {
    answering.began(StatusCode::OK);
    let event = json!({"type": "ERROR", "object": status_object(StatusCode::GONE)});
    json_response(StatusCode::OK, whole(format!("{event}\n")))
}

/// What an API server would answer whose newest view is this list.
pub(super) fn replay(
    request: &ProxiedRequest,
    mut list: Value,
    answering: Answering,
    ended: CancellationToken,
) -> Response<Body> {
    answering.began(StatusCode::OK);
    let kind = list["kind"].as_str().unwrap_or_default().trim_end_matches("List").to_owned();
    let api_version = list["apiVersion"].clone();
    let name = request.selected_name();
    if let Some(items) = list["items"].as_array_mut() {
        items.retain(|item| name.is_none_or(|name| item["metadata"]["name"] == name));
        for item in items {
            item["kind"] = json!(kind);
            item["apiVersion"] = api_version.clone();
        }
    }
    if !request.is_watch() {
        return json_response(StatusCode::OK, whole(list.to_string()));
    }
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let events = items.into_iter().map(|object| json!({"type": "MODIFIED", "object": object}));
    let events: String = events.map(|event| format!("{event}\n")).collect();
    let source = Source::Piece(Some(events.into()));
    json_response(StatusCode::OK, Delivery { source, answering, ended }.into_body())
}

// === impl Delivery ===

impl Delivery {
    fn into_body(self) -> Body {
        let frames = stream::unfold(self, async |mut delivery| {
            let piece = delivery.next().await?;
            Some((piece.map(Frame::data), delivery))
        });
        BodyExt::boxed(StreamBody::new(frames))
    }

    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        let mut flow = self.answering.flow.clone();
        loop {
            let now = *flow.borrow_and_update();
            match now {
                Flow::Open | Flow::Half => {}
                Flow::Cut => {
                    // What came before is written while this waits, and lost otherwise.
                    tokio::task::yield_now().await;
                    return Some(Err(closed()));
                }
                Flow::Silent => {
                    tokio::select! {
                        () = self.ended.cancelled() => {}
                        () = cut(flow) => {}
                    }
                    return Some(Err(closed()));
                }
            }
            let piece = tokio::select! {
                biased;
                Ok(()) = flow.changed() => continue,
                piece = self.source.next(&self.ended) => piece,
            };
            if *flow.borrow() != Flow::Half {
                return piece;
            }
            self.answering.set(Flow::Cut);
            return piece.map(|piece| piece.map(|piece| piece.slice(..piece.len() / 2)));
        }
    }
}

// === impl Source ===

impl Source {
    async fn next(&mut self, ended: &CancellationToken) -> Option<io::Result<Bytes>> {
        match self {
            Self::Upstream(response) => {
                response.chunk().await.map_err(io::Error::other).transpose()
            }
            Self::Piece(piece) => match piece.take() {
                Some(piece) => Some(Ok(piece)),
                None => {
                    ended.cancelled().await;
                    Some(Err(closed()))
                }
            },
        }
    }
}

fn status_object(status: StatusCode) -> Value {
    let reason = match status.as_u16() {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    };
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": reason, "code": status.as_u16(), "message": "a fault that a test asked for",
    })
}

fn json_response(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn whole(text: String) -> Body {
    Full::from(text).map_err(|never| match never {}).boxed()
}
