//! The one way to a receiver, for both protocols: TCP, a tunnel through a proxy if there must be
//! one, and TLS, all within one time limit.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::either::Either;
use tower::{Service, ServiceExt as _};

use super::connection::{Connection, Dialect};
use super::fault::{Fault, Faults};
use super::proxy::Route;
use super::tls::{Circumstances, causes};
use crate::config::Protocol;

/// A half-open connection is noticed within two minutes, between exports too.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);
const TCP_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const TCP_KEEPALIVE_PROBES: u32 = 4;

/// How connections to one receiver are made.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) protocol: Protocol,
    pub(super) route: Route,
    pub(super) tls: Option<Tls>,
    /// For all of it: resolving the name, TCP, the proxy, TLS.
    pub(super) limit: Duration,
}

/// How TLS is spoken there.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
}

/// Makes connections to one receiver.
#[derive(Clone)]
pub(super) struct Connector {
    way: Arc<Way>,
    tcp: HttpConnector,
    faults: Faults,
}

// === impl Connector ===

impl Connector {
    pub(super) fn new(way: Arc<Way>, faults: Faults) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        // Divided by the number of addresses of the name: one that is dead leaves time for others.
        tcp.set_connect_timeout(Some(way.limit));
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(TCP_KEEPALIVE));
        tcp.set_keepalive_interval(Some(TCP_KEEPALIVE_INTERVAL));
        tcp.set_keepalive_retries(Some(TCP_KEEPALIVE_PROBES));
        Self { way, tcp, faults }
    }

    async fn connect(self, to: Uri) -> Result<Connection, Fault> {
        self.faults.clear();
        let stream = self.tunnel(&to).await?;
        let Some(tls) = &self.way.tls else {
            let dialect = match self.way.protocol {
                Protocol::Grpc => Dialect::Http2,
                Protocol::HttpProtobuf => Dialect::Http1,
            };
            return Ok(Connection::new(Either::Left(stream), dialect, None, self.faults));
        };
        let circumstances = tls.circumstances();
        let handshake =
            TlsConnector::from(Arc::clone(&tls.config)).connect(tls.name.clone(), stream);
        let stream = handshake.await.map_err(|error| match circumstances.explain(&error) {
            Some(why) => Fault::Tls(why),
            None => Fault::Unreachable(
                "the receiver closes the connection during the TLS handshake".to_owned(),
            ),
        })?;
        let negotiated = stream.get_ref().1.alpn_protocol();
        let dialect = match self.way.protocol {
            Protocol::HttpProtobuf if negotiated != Some(b"h2") => Dialect::Http1,
            // One that negotiates nothing may still be a gRPC receiver.
            Protocol::HttpProtobuf | Protocol::Grpc => Dialect::Http2,
        };
        let stream = Either::Right(Box::new(stream));
        Ok(Connection::new(stream, dialect, Some(circumstances), self.faults))
    }

    /// Bytes to and from the receiver.
    async fn tunnel(&self, to: &Uri) -> Result<TcpStream, Fault> {
        match &self.way.route {
            Route::Direct => self.dial(to.clone()).await,
            Route::Through(proxy) => {
                let failed = |why: String| {
                    Fault::Unreachable(format!("through the proxy {}: {why}", proxy.uri))
                };
                let dialed = self.dial(proxy.uri.clone()).await;
                let mut stream = dialed.map_err(|fault| failed(fault.to_string()))?;
                let opened = proxy.open(&mut stream, to).await;
                opened.map_err(|error| failed(error.to_string()))?;
                Ok(stream)
            }
            Route::Unusable { variable } => Err(Fault::Unreachable(format!(
                "{variable} must be http://[user:password@]host:port, and is not"
            ))),
        }
    }

    async fn dial(&self, to: Uri) -> Result<TcpStream, Fault> {
        let dialed = self.tcp.clone().oneshot(to).await;
        dialed.map(TokioIo::into_inner).map_err(|error| {
            // The outer errors name the address, of which there may be several.
            let root = causes(&error).last().map(ToString::to_string);
            Fault::Unreachable(root.unwrap_or_default())
        })
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Connection>;
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Fault>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let (connector, limit) = (self.clone(), self.way.limit);
        Box::pin(async move {
            match tokio::time::timeout(limit, connector.connect(to)).await {
                Ok(connection) => connection.map(TokioIo::new),
                Err(_) => Err(Fault::Unreachable(format!("no connection within {limit:?}"))),
            }
        })
    }
}

// === impl Tls ===

impl Tls {
    fn circumstances(&self) -> Circumstances {
        Circumstances {
            name: self.name.to_str().into_owned(),
            has_certificate: self.config.client_auth_cert_resolver.has_certs(),
        }
    }
}
