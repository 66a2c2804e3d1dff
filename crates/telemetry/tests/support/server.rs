//! Connections of a receiver: in plaintext or TLS, any version of HTTP, or nothing at all.

use std::net::TcpListener as Socket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use axum::Router;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// How connections are taken; what can be changed holds from the next one on.
#[derive(Clone)]
pub(super) struct Listener {
    pub(super) tls: Arc<ArcSwapOption<ServerConfig>>,
    pub(super) swallows: Arc<AtomicBool>,
    pub(super) connections: watch::Sender<usize>,
    versions: Versions,
}

/// Which versions of HTTP a receiver speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Versions {
    Both,
    Http1,
    Http2,
}

/// In the extensions of a request: resets the connection that it came by.
#[derive(Clone)]
pub(super) struct Breaker(pub(super) CancellationToken);

// === impl Listener ===

impl Default for Listener {
    fn default() -> Self {
        Self::speaking(Versions::Both)
    }
}

impl Listener {
    pub(super) fn speaking(versions: Versions) -> Self {
        let (tls, swallows) = (Arc::default(), Arc::default());
        Self { tls, swallows, connections: watch::Sender::new(0), versions }
    }

    pub(super) async fn serve(self, socket: Socket, routes: Router) {
        let listener = TcpListener::from_std(socket).unwrap();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            self.connections.send_modify(|made| *made += 1);
            tokio::spawn(self.clone().talk(stream, routes.clone()));
        }
    }

    async fn talk(self, stream: TcpStream, routes: Router) {
        if self.swallows.load(Ordering::SeqCst) {
            let _open = stream;
            return std::future::pending().await;
        }
        stream.set_nodelay(true).unwrap();
        let stream = stream.into_std().unwrap();
        let twin = stream.try_clone().unwrap();
        let stream = TcpStream::from_std(stream).unwrap();
        let breaker = Breaker(CancellationToken::new());
        let broken = breaker.0.clone();
        let spoken = async {
            let Some(config) = self.tls.load_full() else {
                return self.speak(stream, routes, breaker).await;
            };
            // Who does not get through the handshake was told why.
            if let Ok(stream) = self.acceptor(&config).accept(stream).await {
                self.speak(stream, routes, breaker).await;
            }
        };
        tokio::select! {
            () = spoken => {}
            () = broken.cancelled() => {
                // Whoever closes the socket last resets the connection.
                TcpStream::from_std(twin).unwrap().set_zero_linger().unwrap();
            }
        }
    }

    fn acceptor(&self, config: &ServerConfig) -> TlsAcceptor {
        let mut config = config.clone();
        config.alpn_protocols = match self.versions {
            Versions::Both => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            Versions::Http1 => vec![b"http/1.1".to_vec()],
            Versions::Http2 => vec![b"h2".to_vec()],
        };
        TlsAcceptor::from(Arc::new(config))
    }

    async fn speak<S>(&self, stream: S, routes: Router, breaker: Breaker)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = routes.map_request(move |mut request: http::Request<Incoming>| {
            request.extensions_mut().insert(breaker.clone());
            request
        });
        let builder = auto::Builder::new(TokioExecutor::new());
        let builder = match self.versions {
            Versions::Both => builder,
            Versions::Http1 => builder.http1_only(),
            Versions::Http2 => builder.http2_only(),
        };
        let service = TowerToHyperService::new(service);
        // A client that goes away is its own affair.
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
    }
}
