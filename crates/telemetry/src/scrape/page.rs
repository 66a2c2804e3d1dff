//! What a request gets: a page in the format that it asked for, or a sentence.

use std::io::{self, Write as _};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::Semaphore;

use super::negotiation::{self, Encoding};
use crate::exposition::ExpositionFormat;
use crate::pipeline::Pipeline;

const NOT_FOUND: &str = "Nothing here; metrics are at /metrics.\n";

/// Pages that are made at the same time. Each takes a core and, with thousands of series,
/// megabytes; more of them would only make all of them later.
const PAGES: usize = 2;
/// How much is compressed at once.
const CHUNK: usize = 64 * 1024;

/// What the handler of requests needs.
#[derive(Clone)]
struct Pages {
    pipeline: Pipeline,
    off: &'static str,
    room: Arc<Semaphore>,
}

/// The routes of the endpoint.
pub(super) fn routes(pipeline: Pipeline, off: &'static str) -> Router {
    let pages = Pages { pipeline, off, room: Arc::new(Semaphore::new(PAGES)) };
    Router::new()
        .route("/metrics", get(metrics))
        .fallback(async || (StatusCode::NOT_FOUND, NOT_FOUND))
        .with_state(pages)
}

/// Axum answers HEAD with this, too, and drops the body.
async fn metrics(State(pages): State<Pages>, headers: HeaderMap) -> Response {
    let format = negotiation::format(values(&headers, &header::ACCEPT));
    let encoding = negotiation::encoding(values(&headers, &header::ACCEPT_ENCODING));
    let Pages { pipeline, off, room } = pages;
    let place = room.acquire_owned().await;
    // Thousands of series take milliseconds, which belong to the threads that answer reviews.
    let made = tokio::task::spawn_blocking(move || {
        let page = page(&pipeline, format, encoding);
        drop(place);
        page
    });
    match made.await.map_err(io::Error::from).flatten() {
        Ok(Some(page)) => {
            let mut response = page.into_response();
            let answer = response.headers_mut();
            let content_type = header::HeaderValue::from_static(format.content_type());
            answer.insert(header::CONTENT_TYPE, content_type);
            let varies = header::HeaderValue::from_static("accept, accept-encoding");
            answer.insert(header::VARY, varies);
            if encoding == Encoding::Gzip {
                let gzip = header::HeaderValue::from_static("gzip");
                answer.insert(header::CONTENT_ENCODING, gzip);
            }
            response
        }
        Ok(None) => (StatusCode::NOT_FOUND, off).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// Several headers of one name are one list.
fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
}

/// The page; none while there is nothing to scrape.
fn page(
    pipeline: &Pipeline,
    format: ExpositionFormat,
    encoding: Encoding,
) -> io::Result<Option<Vec<u8>>> {
    match encoding {
        Encoding::Identity => Ok(pipeline.scrape_as(format)),
        Encoding::Gzip => {
            // Compressed on the way, so that the whole page is never there.
            let compressed = GzEncoder::new(Vec::new(), Compression::fast());
            let mut page = io::BufWriter::with_capacity(CHUNK, compressed);
            if !pipeline.scrape_into(format, &mut page)? {
                return Ok(None);
            }
            page.flush()?;
            let compressed = page.into_inner().map_err(io::IntoInnerError::into_error)?;
            compressed.finish().map(Some)
        }
    }
}
