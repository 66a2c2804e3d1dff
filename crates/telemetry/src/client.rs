//! A thin OTLP client: one request, one typed outcome.
//!
//! Nothing but the sink's own configuration and the proxies that the pipeline was given have an
//! effect: no environment, no retries of its own, no redirects. Both protocols go through one
//! transport: [`connector`] makes connections, [`otlp_grpc`] and [`otlp_http`] know what is said on
//! them, [`fault`] is why a connection is of no use.
//!
//! What must not be here: deciding when to send or to send again; that is the sink's.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::uri::InvalidUri;
use http::{HeaderMap, HeaderValue, Uri};
use http_body_util::Full;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio_util::task::AbortOnDropHandle;

use crate::config::{
    ClientTls, Compression, MaterialError, OtlpReceiver, Protocol, ServerName, ServerNameError,
};
use crate::outcome::ExportOutcome;
use crate::request::Request;
use crate::signal::Signal;

mod answer;
mod compression;
mod connection;
mod connector;
mod fault;
mod otlp_grpc;
mod otlp_http;
mod probe;
mod proxy;
mod tls;

use answer::Answer;
use compression::Compressed;
use connector::{Connector, Tls, Way};
use fault::{Fault, Faults};
pub use probe::{ProbeReport, probe};
pub use proxy::Proxies;

const AGENT: &str = concat!("pharos-telemetry/", env!("CARGO_PKG_VERSION"));
/// HTTP/2 pings only go out during an export: servers count pings of an idle connection as abuse.
const HTTP2_KEEPALIVE: Duration = Duration::from_secs(20);
const HTTP2_KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Longer than most periods: a connection lasts from one export to the next.
const IDLE: Duration = Duration::from_secs(300);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How to reach a receiver; holds no connection yet. Built by `prepare`, outside of any runtime.
#[derive(Clone)]
pub(crate) struct ClientSpec {
    way: Arc<Way>,
    uris: BTreeMap<Signal, Uri>,
    headers: HeaderMap,
    compression: Compression,
    timeout: Duration,
}

/// Why no client can be built.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is none that a client could use.
    #[error("the endpoint cannot be used")]
    Endpoint(#[source] InvalidUri),
    /// No certificate can be valid for the host.
    #[error("no certificate can be valid for {0}")]
    ServerName(String, #[source] ServerNameError),
    /// Certificates or keys cannot be used.
    #[error("the TLS material cannot be used")]
    Material(#[source] MaterialError),
}

/// A receiver.
pub(crate) struct Client {
    spec: Arc<ClientSpec>,
    transport: Transport,
}

/// Connections to one receiver.
#[derive(Clone)]
struct Transport {
    http: legacy::Client<Connector, Full<Bytes>>,
    faults: Faults,
}

// === impl ClientSpec ===

impl ClientSpec {
    pub(crate) fn new(receiver: &OtlpReceiver, proxies: &Proxies) -> Result<Self, ClientError> {
        let OtlpReceiver { endpoint, compression, timeout, headers, tls } = receiver;
        let uris =
            Signal::ALL.into_iter().map(|signal| Ok((signal, endpoint.url(signal).parse()?)));
        let uris = uris.collect::<Result<_, _>>().map_err(ClientError::Endpoint)?;
        let mut headers: HeaderMap = headers
            .iter()
            .map(|header| (header.name.clone(), header.value.expose().clone()))
            .collect();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let way = Way {
            protocol: endpoint.protocol(),
            route: proxies.route(endpoint),
            tls: endpoint.is_tls().then(|| Tls::new(receiver, tls)).transpose()?,
            // Less than the timeout, so that "no connection" and "no answer" can be told apart.
            limit: CONNECT_TIMEOUT.min(*timeout / 2),
        };
        Ok(Self { way: Arc::new(way), uris, headers, compression: *compression, timeout: *timeout })
    }

    /// How long one request may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    async fn message(&self, request: Request) -> http::Request<Full<Bytes>> {
        let to = self.uris[&request.signal].clone();
        let headers = self.headers.clone();
        let compressed = Compressed::new(request.body, self.compression).await;
        match self.way.protocol {
            Protocol::Grpc => otlp_grpc::request(to, headers, &compressed, self.timeout),
            Protocol::HttpProtobuf => otlp_http::request(to, headers, compressed),
        }
    }
}

// === impl Tls ===

impl Tls {
    fn new(receiver: &OtlpReceiver, tls: &ClientTls) -> Result<Self, ClientError> {
        let mut config = tls.client_config().map_err(ClientError::Material)?;
        config.alpn_protocols = match receiver.endpoint.protocol() {
            Protocol::Grpc => vec![b"h2".to_vec()],
            Protocol::HttpProtobuf => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        };
        let name = match &tls.server_name {
            Some(name) => name.to_rustls(),
            None => {
                let host = receiver.endpoint.host();
                let named = |error| ClientError::ServerName(host.to_owned(), error);
                ServerName::parse(host).map_err(named)?.to_rustls()
            }
        };
        Ok(Self { config: Arc::new(config), name })
    }
}

// === impl Client ===

impl Client {
    /// A client that connects when it is first used, on the runtime that it is used on.
    pub(crate) fn new(spec: ClientSpec) -> Self {
        let transport = Transport::new(&spec);
        Self { spec: Arc::new(spec), transport }
    }

    /// Forgets all connections: the next request resolves the name anew.
    pub(crate) fn reconnect(&mut self) {
        self.transport = Transport::new(&self.spec);
    }

    /// How long one request may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.spec.timeout()
    }

    /// Sends one request. The future is independent of `self` and ends within the timeout; dropping
    /// it gives the request up.
    ///
    /// The request is a task of its own, since requests share connections, and the one that makes
    /// a connection would hold up the others if it were kept without being polled.
    pub(crate) fn send(
        &self,
        request: &Request,
    ) -> impl Future<Output = ExportOutcome> + Send + use<> {
        let (spec, transport) = (Arc::clone(&self.spec), self.transport.clone());
        let request = request.clone();
        async move {
            let exchange = async move {
                let timeout = spec.timeout;
                let exchanged = tokio::time::timeout(timeout, transport.exchange(&spec, request));
                exchanged.await.unwrap_or_else(|_| ExportOutcome::timed_out(timeout))
            };
            match AbortOnDropHandle::new(tokio::spawn(exchange)).await {
                Ok(outcome) => outcome,
                Err(error) => {
                    tracing::error!(%error, "an export died");
                    ExportOutcome::Ambiguous { why: "the export died of a bug".to_owned() }
                }
            }
        }
    }
}

// === impl Transport ===

impl Transport {
    fn new(spec: &ClientSpec) -> Self {
        let faults = Faults::default();
        let connector = Connector::new(Arc::clone(&spec.way), faults.clone());
        let http = legacy::Client::builder(TokioExecutor::new())
            .http2_only(spec.way.protocol == Protocol::Grpc)
            .http2_keep_alive_interval(HTTP2_KEEPALIVE)
            .http2_keep_alive_timeout(HTTP2_KEEPALIVE_TIMEOUT)
            .http2_keep_alive_while_idle(false)
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .build(connector);
        Self { http, faults }
    }

    async fn exchange(self, spec: &ClientSpec, request: Request) -> ExportOutcome {
        let (signal, items) = (request.signal, request.items);
        let message = spec.message(request).await;
        let answer = match self.http.request(message).await {
            Ok(response) => Answer::read(response).await,
            Err(error) => return self.failed(&error),
        };
        match answer {
            Ok(answer) => match spec.way.protocol {
                _ if spec.way.tls.is_none() && otlp_http::expects_tls(&answer) => {
                    Fault::expects_tls().into()
                }
                Protocol::Grpc => otlp_grpc::outcome(&answer, items),
                Protocol::HttpProtobuf => otlp_http::outcome(&answer, signal, items),
            },
            Err(_) => lost(),
        }
    }

    /// What it means that there is no answer.
    fn failed(&self, error: &legacy::Error) -> ExportOutcome {
        let fault = tls::causes(error).find_map(|cause| cause.downcast_ref::<Fault>());
        match fault.cloned().or_else(|| self.faults.get()) {
            Some(fault) => fault.into(),
            None if error.is_connect() => ExportOutcome::Unreachable {
                why: error.source().map(ToString::to_string).unwrap_or_default(),
            },
            None => lost(),
        }
    }
}

fn lost() -> ExportOutcome {
    ExportOutcome::Ambiguous { why: "the connection was lost before the answer".to_owned() }
}

// === impl ClientError ===

impl ClientError {
    /// The kind of the error, from a closed set.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Endpoint(_) => "Endpoint",
            Self::ServerName(..) => "ServerName",
            Self::Material(_) => "Material",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::net::TcpListener;

    use super::*;
    use crate::config::Endpoint;

    #[tokio::test]
    async fn a_request_that_nobody_polls_holds_up_no_other() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let mut receiver = OtlpReceiver::new(Endpoint::grpc(&endpoint).unwrap());
        receiver.timeout = Duration::from_secs(60);
        let client = Client::new(ClientSpec::new(&receiver, &Proxies::none()).unwrap());
        let request = Request::probe(Signal::Logs);

        let mut forgotten = pin!(client.send(&request));
        tokio::select! {
            biased;
            _ = &mut forgotten => panic!("nobody accepts"),
            () = std::future::ready(()) => {}
        }
        let closing = tokio::spawn(async move {
            loop {
                drop(listener.accept().await.unwrap());
            }
        });
        let outcome = client.send(&request).await;
        assert!(outcome.reason() != "accepted", "{outcome:?}");
        assert_ne!(outcome, ExportOutcome::timed_out(receiver.timeout));
        closing.abort();
    }
}
