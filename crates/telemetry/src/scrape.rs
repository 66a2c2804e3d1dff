//! The endpoint that Prometheus scrapes. It is always there; what it answers, in which format and
//! over which transport, is configured and can change while it runs.
//!
//! Enter with [`serve_scrapes`]. One listener is open from the first to the last moment; every
//! connection has a task of its own from its first byte on, so that none waits for another one's
//! handshake. Recording waits for nothing here: a page is made from totals that are read once.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::pipeline::Pipeline;

mod connection;
mod impatient;
mod negotiation;
mod page;
mod transport;

use connection::Connection;
pub(crate) use transport::Transport;

/// Scrapers are few. More connections than this wait to be accepted.
const CONNECTIONS: usize = 64;
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// Serves `GET /metrics` until `shutdown`, and finishes the scrapes under way.
///
/// While no sink is one that is scraped, the answer is 404 and `off`: a sentence that says how to
/// get one where this program is configured.
///
/// New connections are served as the configuration says when they are accepted, by HTTP or by
/// HTTPS; those that were made under another one end after the response under way.
///
/// # Errors
/// If the listener's address cannot be read any more.
pub async fn serve_scrapes(
    listener: TcpListener,
    pipeline: Pipeline,
    off: &'static str,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let transport = pipeline.scrape_transport();
    let routes = page::routes(pipeline, off);
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
                    let connection =
                        Connection::new(routes.clone(), transport.clone(), closing.clone());
                    connections.spawn(async move {
                        connection.serve(stream).await;
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
