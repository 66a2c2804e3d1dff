//! The endpoint that Prometheus scrapes. It is always there; what it answers is configured.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::exposition::Scrape;
use crate::pipeline::Pipeline;

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
const NOT_FOUND: &str = "Nothing here; metrics are at /metrics.\n";

/// Scrapers are few. More connections than this wait to be accepted.
const CONNECTIONS: usize = 64;
/// For the head of a request; also how long a connection may stay idle.
const READ_LIMIT: Duration = Duration::from_secs(30);
/// A connection is closed after this long, between two requests if possible.
const CONNECTION_LIMIT: Duration = Duration::from_secs(300);
/// For the response under way when a connection is to be closed.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// Serves `GET /metrics` until `shutdown`, and finishes the scrapes under way.
///
/// While no sink is one that is scraped, the answer is 404 and `off`: a sentence that says how to
/// get one where this program is configured.
///
/// # Errors
/// If the listener's address cannot be read any more.
pub async fn serve_scrapes(
    listener: TcpListener,
    pipeline: Pipeline,
    off: &'static str,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let routes = Router::new()
        .route("/metrics", get(move |State(pipeline)| metrics(pipeline, off)))
        .fallback(async || (StatusCode::NOT_FOUND, NOT_FOUND))
        .with_state(pipeline);
    tracing::info!(address = %listener.local_addr()?, "metrics are served at /metrics");
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let closing = CancellationToken::new();
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = async {
            let place = Arc::clone(&room).acquire_owned().await;
            (place, listener.accept().await)
        };
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            (place, accepted) = accepted => match accepted {
                Ok((stream, _)) => {
                    let connection = serve(stream, routes.clone(), closing.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                // The process has no file descriptor left, say; one will come free.
                Err(error) => {
                    tracing::debug!(%error, "a connection of a scraper could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    closing.cancel();
    while connections.join_next().await.is_some() {}
    Ok(())
}

/// Serves one connection; a client that is too slow loses it.
async fn serve(stream: TcpStream, routes: Router, closing: CancellationToken) {
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(READ_LIMIT)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes))
    );
    tokio::select! {
        _ = connection.as_mut() => return,
        () = closing.cancelled() => {}
        () = tokio::time::sleep(CONNECTION_LIMIT) => {}
    }
    connection.as_mut().graceful_shutdown();
    // What is not finished then is the client's fault, and it is the one to notice.
    let _ = tokio::time::timeout(CLOSE_LIMIT, connection).await;
}

async fn metrics(pipeline: Pipeline, off: &'static str) -> Response {
    // Thousands of series take milliseconds, which belong to the threads that answer reviews.
    match tokio::task::spawn_blocking(move || pipeline.scrape()).await {
        Ok(Scrape::Text(page)) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], page).into_response(),
        Ok(Scrape::Off) => (StatusCode::NOT_FOUND, off).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
