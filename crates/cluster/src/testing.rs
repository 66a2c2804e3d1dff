//! An API server for the tests of this crate: what it answers is a function of what it is asked.

use std::convert::Infallible;

use axum::Json;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures::stream;
use http::{Method, StatusCode};
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    /// The media type that is asked for.
    pub(crate) accept: String,
    /// Null without a body.
    pub(crate) body: Value,
}

/// What becomes of a request.
pub(crate) enum Answer {
    Object(Value),
    Refused(u16),
    /// A watch with these events, until their sender is dropped.
    Watch(mpsc::Receiver<Value>),
    /// A watch that tells nothing and does not end.
    Quiet,
    /// None.
    Silence,
}

// === impl Asked ===

impl Asked {
    async fn of(request: Request) -> Self {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Self {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            accept: parts
                .headers
                .get("accept")
                .map(|accept| accept.to_str().unwrap().to_owned())
                .unwrap_or_default(),
            body: serde_json::from_slice(&body).unwrap_or_default(),
        }
    }

    pub(crate) fn watches(&self) -> bool {
        self.query.contains("watch=true")
    }
}

// === impl Answer ===

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Self::Object(object) => Json(object).into_response(),
            Self::Refused(code) => {
                (StatusCode::from_u16(code).unwrap(), Json(status(code))).into_response()
            }
            Self::Watch(events) => {
                let lines = stream::unfold(events, async |mut events| {
                    let line = format!("{}\n", events.recv().await?);
                    Some((Ok::<_, Infallible>(Bytes::from(line)), events))
                });
                Body::from_stream(lines).into_response()
            }
            Self::Quiet => {
                Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()).into_response()
            }
            Self::Silence => unreachable!("it is not waited for"),
        }
    }
}

/// A client of a server that answers so.
pub(crate) fn client<A>(answer: impl Fn(Asked) -> A + Clone + Send + Sync + 'static) -> Client
where
    A: Future<Output = Answer> + Send,
{
    let respond = move |request: Request| {
        let answer = answer.clone();
        async move {
            match answer(Asked::of(request).await).await {
                Answer::Silence => std::future::pending().await,
                answer => answer,
            }
        }
    };
    Client::new(axum::Router::new().fallback(respond), "ns")
}

/// What an API server says when it refuses.
pub(crate) fn status(code: u16) -> Value {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        _ => "",
    };
    json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "code": code, "reason": reason, "message": "no",
    })
}

/// A list as of this version.
pub(crate) fn list(version: &str, items: &[Value]) -> Value {
    let metadata = json!({"resourceVersion": version});
    json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items})
}
