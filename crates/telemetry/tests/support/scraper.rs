//! A scraper: one connection at a time, kept alive, over HTTP or HTTPS.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use opentelemetry::KeyValue;
use pharos_telemetry::config::ClientTls;
use pharos_telemetry::{Pipeline, Reloader, serve_scrapes};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

pub(crate) const OFF: &str = "No scrapes today; ask the cook.\n";

/// What a page has at least that is widened.
pub(crate) const WIDE: usize = 5_000_000;

/// A pipeline whose metrics are served.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) pipeline: Pipeline,
    pub(crate) reloader: Reloader,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) server: JoinHandle<io::Result<()>>,
}

/// One connection to it.
pub(crate) struct Scraper {
    requests: SendRequest<Empty<Bytes>>,
    /// Ends with the connection.
    pub(crate) connection: JoinHandle<hyper::Result<()>>,
    /// What the other side showed.
    pub(crate) certificates: Vec<CertificateDer<'static>>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Serves a pipeline in which there is one counter, at 3.
pub(crate) async fn serve() -> Served {
    let (pipeline, reloader) = crate::support::start();
    pipeline.meter("test").u64_counter("requests").build().add(3, &[]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(serve_scrapes(listener, pipeline.clone(), OFF, async {
        let _ = stopped.await;
    }));
    Served { address, pipeline, reloader, stop, server }
}

// === impl Served ===

impl Served {
    /// Makes every page larger than what the kernel holds for a client.
    pub(crate) fn widen(&self) {
        let gauge = self.pipeline.meter("test").u64_gauge("wide").build();
        let long = "x".repeat(WIDE / 1000);
        for series in 0..1000 {
            gauge.record(1, &[KeyValue::new("long", long.clone()), KeyValue::new("n", series)]);
        }
    }
}

// === impl Scraper ===

impl Scraper {
    /// Connects by HTTP.
    pub(crate) async fn plain(address: SocketAddr) -> io::Result<Self> {
        Self::over(TcpStream::connect(address).await?, Vec::new()).await
    }

    /// Connects by HTTPS. That the other side refuses a certificate shows in the first request.
    pub(crate) async fn secure(address: SocketAddr, tls: &ClientTls) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        let name = tls.server_name.as_ref().unwrap().to_rustls();
        let connector = TlsConnector::from(Arc::new(tls.client_config().unwrap()));
        let stream = connector.connect(name, stream).await?;
        let certificates = stream.get_ref().1.peer_certificates().unwrap();
        let certificates = certificates.iter().map(|it| it.clone().into_owned()).collect();
        Self::over(stream, certificates).await
    }

    async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        certificates: Vec<CertificateDer<'static>>,
    ) -> io::Result<Self> {
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (requests, connection) = handshake.map_err(io::Error::other)?;
        Ok(Self { requests, connection: tokio::spawn(connection), certificates })
    }

    /// `GET /metrics` with these headers.
    pub(crate) async fn scrape(&mut self, headers: &[(&str, &str)]) -> hyper::Result<Answer> {
        self.request("GET", "/metrics", headers).await
    }

    pub(crate) async fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> hyper::Result<Answer> {
        let response = self.begin(method, path, headers).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    /// A request whose answer has begun.
    pub(crate) async fn begin(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> hyper::Result<Response<Incoming>> {
        self.requests.ready().await?;
        let mut request = Request::builder().method(method).uri(path).header("host", "pharos");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.requests.send_request(request.body(Empty::new()).unwrap()).await
    }
}

// === impl Answer ===

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}
