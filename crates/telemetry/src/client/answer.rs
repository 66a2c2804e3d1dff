//! The answer of a receiver, whole and bounded: it may say anything, for as long as it likes.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::compression::decompress;

/// The most that is read of an answer. A real one is a few bytes, or some words about an error.
pub(super) const LIMIT: usize = 64 * 1024;

/// What a receiver answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Whether there was more of the body than is read.
    pub(super) cut: bool,
    pub(super) trailers: HeaderMap,
}

// === impl Answer ===

impl Answer {
    /// Reads it up to its end or the limit.
    pub(super) async fn read(response: Response<Incoming>) -> Result<Self, hyper::Error> {
        let (head, mut incoming) = response.into_parts();
        let (mut body, mut cut, mut trailers) = (Vec::new(), false, HeaderMap::new());
        while let Some(frame) = incoming.frame().await {
            match frame?.into_data() {
                Ok(data) => {
                    let some = data.len().min(LIMIT - body.len());
                    body.extend_from_slice(&data[..some]);
                    cut = some < data.len();
                    if cut {
                        break;
                    }
                }
                Err(frame) => {
                    if let Ok(last) = frame.into_trailers() {
                        trailers = last;
                    }
                }
            }
        }
        Ok(Self { status: head.status, headers: head.headers, body: body.into(), cut, trailers })
    }

    /// The body without its compression, which `header` names; none if it is too large, or not
    /// what the header says.
    pub(super) fn plain(&self, header: &HeaderName) -> Option<Bytes> {
        if self.cut {
            return None;
        }
        let token = self.headers.get(header).map(http::HeaderValue::as_bytes);
        decompress(self.body.clone(), token, LIMIT)
    }

    /// The type of the body without parameters; empty if it has none.
    pub(super) fn content_type(&self) -> &str {
        let value = self.headers.get(http::header::CONTENT_TYPE);
        let text = value.and_then(|value| value.to_str().ok()).unwrap_or_default();
        text.split(';').next().unwrap_or_default().trim()
    }
}
