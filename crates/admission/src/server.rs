//! HTTPS for the API server: connections, limits, and the end in order.
//!
//! What a request means is [`crate::routes`]'s; here is only how it comes in. Every wait for a
//! client is bounded: handshake, header, body, and silence on a kept-alive connection. So is how much
//! is taken on at a time ([`limits`]).

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZero;
use std::sync::Arc;
use std::thread::available_parallelism;
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
use tokio::task::{JoinError, JoinSet};
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
/// Threads beyond these would wait for what API servers ask.
const THREADS: usize = 4;
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

/// A server that runs until it is told to end, or dropped.
///
/// It has threads of its own, each with a runtime, and a connection stays with the thread that has
/// accepted it: a review computes for some tens of microseconds, which is little more than what it
/// costs to wake another thread for it (docs/adr/0018).
pub(crate) struct Server {
    running: Running,
    serving: JoinSet<io::Result<()>>,
}

/// Shuts down on drop, so that no thread outlives its server.
struct Running(Handle<SocketAddr>);

type Acceptor = RustlsAcceptor<NoDelayAcceptor>;

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
        let running = Running(Handle::new());
        let tls = RustlsConfig::from_config(Arc::new(tls));
        let every = connections.bound(Traced::every_connection(router, instruments));
        let threads = available_parallelism().map_or(1, NonZero::get).min(THREADS);
        let mut serving = JoinSet::new();
        for _ in 0..threads {
            let listener = listener.try_clone().map_err(Error::Serve)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(Error::Serve)?;
            let (handle, tls, every) = (running.0.clone(), tls.clone(), every.clone());
            serving.spawn_blocking(move || {
                runtime
                    .block_on(async { server(listener, tls, patience, handle)?.serve(every).await })
            });
        }
        Ok(Self { running, serving })
    }

    /// Waits until a thread of it ends without having been told to.
    pub(crate) async fn died(&mut self) -> Error {
        match self.serving.join_next().await {
            Some(ended) => outcome(ended).err().unwrap_or(Error::Ended("serves")),
            None => Error::Ended("serves"),
        }
    }

    /// Goes on accepting until `delay` is over, then finishes what is in flight.
    pub(crate) async fn end(mut self, delay: impl Future<Output = ()>) -> Result<(), Error> {
        delay.await;
        self.running.0.graceful_shutdown(Some(DRAIN_DEADLINE));
        // How the first one ended that died before was told by `died`.
        let mut ended = Ok(());
        while let Some(thread) = self.serving.join_next().await {
            let outcome = outcome(thread);
            ended = ended.and(outcome);
        }
        ended
    }
}

/// What a thread serves.
fn server(
    listener: TcpListener,
    tls: RustlsConfig,
    patience: Patience,
    handle: Handle<SocketAddr>,
) -> io::Result<axum_server::Server<SocketAddr, Acceptor>> {
    let tls = RustlsAcceptor::new(tls)
        .handshake_timeout(patience.handshake)
        .acceptor(NoDelayAcceptor::new());
    let mut server = axum_server::from_tcp(listener)?
        .acceptor(tls)
        .handle(handle)
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
    Ok(server)
}

fn outcome(thread: Result<io::Result<()>, JoinError>) -> Result<(), Error> {
    thread.map_err(Error::Died)?.map_err(Error::Serve)
}

// === impl Running ===

impl Drop for Running {
    fn drop(&mut self) {
        self.0.shutdown();
    }
}

#[cfg(test)]
mod tests;
