//! One connection of a scraper, from its first byte to its last.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::Service;

use super::Transport;
use super::impatient::Impatient;

/// For everything before the first request can be read.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// For the head of a request; also how long a connection may stay idle.
const READ_LIMIT: Duration = Duration::from_secs(30);
/// How long a client may take no byte of a response.
const WRITE_LIMIT: Duration = Duration::from_secs(30);
/// A connection is closed after this long, between two requests if possible.
const CONNECTION_LIMIT: Duration = Duration::from_secs(300);
/// For the response under way when a connection is to be closed although nothing ends.
const RESPONSE_LIMIT: Duration = Duration::from_secs(60);
/// For the response under way when the program ends.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// The type of the first record of a TLS client; no method of HTTP begins like that.
const HANDSHAKE_RECORD: u8 = 22;
const NOT_TLS: &str = "Metrics are served by HTTPS here; this was HTTP.\n";

/// What one connection is served with.
pub(super) struct Connection {
    routes: Router,
    transport: watch::Receiver<Transport>,
    closing: CancellationToken,
}

/// What a client begins with.
enum Opening {
    Tls,
    Other,
}

// === impl Connection ===

impl Connection {
    pub(super) fn new(
        routes: Router,
        transport: watch::Receiver<Transport>,
        closing: CancellationToken,
    ) -> Self {
        Self { routes, transport, closing }
    }

    /// Serves it as the configuration of now says; a client that is too slow loses it.
    pub(super) async fn serve(mut self, stream: TcpStream) {
        let transport = self.transport.borrow_and_update().clone();
        let Transport::Tls(tls) = &transport else {
            let routes = self.routes.clone();
            return self.http(stream, routes, transport).await;
        };
        let acceptor = TlsAcceptor::from(tls.config.clone());
        let closing = self.closing.clone();
        let handshake = async {
            match opening(&stream).await? {
                Opening::Tls => Ok(Ok(acceptor.accept(stream).await?)),
                Opening::Other => io::Result::Ok(Err(stream)),
            }
        };
        let handshake = tokio::time::timeout(HANDSHAKE_LIMIT, handshake);
        let shaken = tokio::select! {
            shaken = handshake => shaken,
            () = closing.cancelled() => return,
        };
        match shaken {
            Ok(Ok(Ok(stream))) => {
                let routes = self.routes.clone();
                Box::pin(self.http(stream, routes, transport)).await;
            }
            Ok(Ok(Err(stream))) => {
                self.http(stream, tower::service_fn(refuse), transport).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, "a scraper's TLS handshake failed"),
            Err(_) => tracing::debug!("a scraper's TLS handshake took too long"),
        }
    }

    /// Serves requests until the client has no more of them, or there is a reason to end.
    async fn http<T, S>(mut self, stream: T, service: S, transport: Transport)
    where
        T: AsyncRead + AsyncWrite + Unpin,
        S: Service<Request<hyper::body::Incoming>, Response = Response<Body>, Error = Infallible>
            + Clone,
    {
        let stream = TokioIo::new(Impatient::new(stream, WRITE_LIMIT));
        let service = TowerToHyperService::new(service);
        let begun = CancellationToken::new();
        let begins = begun.clone();
        let service = service_fn(move |request| {
            begins.cancel();
            service.call(request)
        });
        let mut connection = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(READ_LIMIT)
                .serve_connection(stream, service)
        );
        let outdated = async {
            another(&mut self.transport, &transport).await;
            // A client that has only just connected would take an end now for an error.
            begun.cancelled().await;
        };
        let limit = tokio::select! {
            _ = connection.as_mut() => return,
            () = self.closing.cancelled() => CLOSE_LIMIT,
            () = outdated => RESPONSE_LIMIT,
            () = tokio::time::sleep(CONNECTION_LIMIT) => RESPONSE_LIMIT,
        };
        connection.as_mut().graceful_shutdown();
        // What is not finished then is the client's fault, and it is the one to notice.
        tokio::select! {
            _ = connection.as_mut() => return,
            () = tokio::time::sleep(limit) => return,
            () = self.closing.cancelled(), if limit != CLOSE_LIMIT => {}
        }
        let _ = tokio::time::timeout(CLOSE_LIMIT, connection).await;
    }
}

/// Looks at the first byte and leaves it where it is.
async fn opening(stream: &TcpStream) -> io::Result<Opening> {
    let mut first = [0];
    match stream.peek(&mut first).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ if first == [HANDSHAKE_RECORD] => Ok(Opening::Tls),
        _ => Ok(Opening::Other),
    }
}

/// Waits until scrapes are served in another way than this connection.
async fn another(transport: &mut watch::Receiver<Transport>, mine: &Transport) {
    if transport.wait_for(|now| now != mine).await.is_err() {
        // The pipeline is gone, and with it all reasons to change.
        std::future::pending::<()>().await;
    }
}

/// A sentence that a person sees, in place of the bytes of an alert that HTTP cannot read.
async fn refuse(_: Request<hyper::body::Incoming>) -> Result<Response<Body>, Infallible> {
    Ok((StatusCode::BAD_REQUEST, [(header::CONNECTION, "close")], NOT_TLS).into_response())
}
