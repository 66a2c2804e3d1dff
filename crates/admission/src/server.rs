//! HTTPS for the API server: connections, limits, and the end in order.
//!
//! What a request means is [`crate::routes`]'s; here is only how it comes in. Every wait for a
//! client is bounded: handshake, header, body, and silence on a kept-alive connection. So is how much
//! is taken on at a time ([`limits`]).

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use http::header::CONNECTION;
use http::{HeaderValue, Version};
use pharos_instruments::Instruments;
use rustls::ServerConfig;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::traced::Traced;

mod connections;
pub(crate) mod limits;

pub(crate) use connections::Connections;
use limits::InFlight;
pub use limits::Limits;

const HTTP2_PING_EVERY: Duration = Duration::from_secs(30);
const HTTP2_STREAMS: u32 = 256;
/// How long reviews in flight may take to finish: as long as the API server waits for them.
const DRAIN_DEADLINE: Duration = Duration::from_secs(10);

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For the TLS handshake.
    handshake: Duration,
    /// From there to the end of the first header.
    first_request: Duration,
    /// From one answer to the end of the next header: silence and header together.
    idle: Duration,
}

/// A server that runs until it is told to end.
pub(crate) struct Server {
    handle: Handle<SocketAddr>,
    serving: JoinHandle<io::Result<()>>,
}

/// Takes the address, before anything tells the API server of it.
pub(crate) fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).map_err(|source| Error::Listen { address, source })
}

/// While we leave, every answer asks its client to bring the next request to somebody else.
///
/// HTTP/1.1 only: there, closing a connection that a request is just being written to looks like a
/// failed call. HTTP/2 says GOAWAY.
pub(crate) fn parting(router: Router, leaving: CancellationToken) -> Router {
    router.layer(middleware::from_fn_with_state(leaving, part))
}

/// Requests over the limit are answered at once.
pub(crate) fn limited(router: Router, in_flight: InFlight) -> Router {
    router.layer(middleware::from_fn_with_state(in_flight, limits::within))
}

async fn part(State(leaving): State<CancellationToken>, request: Request, next: Next) -> Response {
    let version = request.version();
    let mut response = next.run(request).await;
    if leaving.is_cancelled() && version == Version::HTTP_11 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

// === impl Patience ===

impl Patience {
    /// Enough for any API server. It keeps an idle connection for 90 s: longer than that here, so
    /// that it is the API server who closes it, and never has a request under way when we do.
    pub(crate) const DEFAULT: Self = Self {
        handshake: Duration::from_secs(10),
        first_request: Duration::from_secs(10),
        idle: Duration::from_secs(120),
    };
}

// === impl Server ===

impl Server {
    /// Serves `router` on `listener` from now on.
    pub(crate) fn start(
        listener: TcpListener,
        tls: ServerConfig,
        router: Router,
        instruments: Instruments,
        patience: Patience,
        connections: Connections,
    ) -> Result<Self, Error> {
        let handle = Handle::new();
        let tls = RustlsAcceptor::new(RustlsConfig::from_config(Arc::new(tls)))
            .handshake_timeout(patience.handshake)
            .acceptor(NoDelayAcceptor::new());
        let mut server = axum_server::from_tcp(listener)
            .map_err(Error::Serve)?
            .acceptor(tls)
            .handle(handle.clone())
            .first_request_timeout(patience.first_request)
            // Whoever does not trust us, or is no TLS client, shows here only.
            .accept_error_handler(|peer, error| tracing::debug!(?peer, %error, "no connection"));
        let builder = server.http_builder();
        builder.http1().header_read_timeout(patience.idle);
        builder
            .http2()
            .max_concurrent_streams(HTTP2_STREAMS)
            .keep_alive_interval(HTTP2_PING_EVERY)
            .keep_alive_timeout(HTTP2_PING_EVERY);
        let every = connections.bound(Traced::every_connection(router, instruments));
        let serving = tokio::spawn(server.serve(every));
        Ok(Self { handle, serving })
    }

    /// Waits until it ends without having been told to.
    pub(crate) async fn died(&mut self) -> Error {
        match (&mut self.serving).await {
            Ok(Ok(())) => Error::Ended("serves"),
            Ok(Err(error)) => Error::Serve(error),
            Err(error) => Error::Died(error),
        }
    }

    /// Goes on accepting until `delay` is over, then finishes what is in flight.
    pub(crate) async fn end(self, delay: impl Future<Output = ()>) -> Result<(), Error> {
        delay.await;
        self.handle.graceful_shutdown(Some(DRAIN_DEADLINE));
        if self.serving.is_finished() {
            // How it ended was told by `died`, which took the outcome.
            return Ok(());
        }
        self.serving.await.map_err(Error::Died)?.map_err(Error::Serve)
    }
}

#[cfg(test)]
mod tests;
