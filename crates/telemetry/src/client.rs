//! A thin OTLP client: one request, one typed outcome.
//!
//! Nothing but the sink's own configuration has an effect: no environment, no retries of its own.

use std::marker::PhantomData;
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes};
use http::uri::PathAndQuery;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message;
use tonic::Status;
use tonic::client::Grpc;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};

use crate::config::{Compression, OtlpReceiver};
use crate::outcome::ExportOutcome;
use crate::request::Request;

const USER_AGENT: &str = concat!("pharos-telemetry/", env!("CARGO_PKG_VERSION"));
/// A half-open connection is noticed by TCP, between exports too.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);
/// HTTP/2 pings only go out during an export: servers count pings of an idle connection as abuse.
const HTTP2_KEEPALIVE: Duration = Duration::from_secs(60);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How to reach a receiver; holds no connection yet. Built by `prepare`, outside of any runtime.
#[derive(Clone, Debug)]
pub(crate) struct ClientSpec {
    endpoint: Endpoint,
    compression: Option<CompressionEncoding>,
    timeout: Duration,
    metadata: MetadataMap,
}

/// Why no client can be built.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is none that a client could use.
    #[error("the endpoint cannot be used")]
    Endpoint(#[source] tonic::transport::Error),
}

/// A receiver.
pub(crate) struct Client {
    spec: ClientSpec,
    service: Grpc<Channel>,
}

/// Sends what is encoded already; the answers of the three signals are alike on the wire.
#[derive(Clone, Copy, Default)]
struct Encoded<R>(PhantomData<R>);

// === impl ClientSpec ===

impl ClientSpec {
    pub(crate) fn new(receiver: &OtlpReceiver) -> Result<Self, ClientError> {
        let headers = receiver
            .headers
            .iter()
            .map(|header| (header.name.clone(), header.value.expose().clone()))
            .collect();
        let endpoint = Endpoint::from_shared(receiver.endpoint.to_string())
            .map_err(ClientError::Endpoint)?
            .user_agent(USER_AGENT)
            .map_err(ClientError::Endpoint)?
            // Less than the timeout, so that "no connection" and "no answer" can be told apart.
            .connect_timeout(CONNECT_TIMEOUT.min(receiver.timeout / 2))
            .tcp_nodelay(true)
            .tcp_keepalive(Some(TCP_KEEPALIVE))
            .http2_keep_alive_interval(HTTP2_KEEPALIVE)
            .keep_alive_while_idle(false);
        Ok(Self {
            endpoint,
            compression: match receiver.compression {
                Compression::None => None,
                Compression::Gzip => Some(CompressionEncoding::Gzip),
                Compression::Zstd => Some(CompressionEncoding::Zstd),
            },
            timeout: receiver.timeout,
            metadata: MetadataMap::from_headers(headers),
        })
    }

    /// How long one request may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }
}

// === impl Client ===

impl Client {
    /// A client that connects when it is first used. Must be called on the runtime that exports.
    pub(crate) fn new(spec: ClientSpec) -> Self {
        let service = connect(&spec);
        Self { spec, service }
    }

    /// Forgets the connection: the next request resolves the name anew.
    pub(crate) fn reconnect(&mut self) {
        self.service = connect(&self.spec);
    }

    /// How long one request may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.spec.timeout()
    }

    /// Sends one request. The future is independent of `self` and ends within the timeout.
    pub(crate) fn send(
        &self,
        request: &Request,
    ) -> impl Future<Output = ExportOutcome> + Send + use<> {
        let mut service = self.service.clone();
        let (request, timeout) = (request.clone(), self.spec.timeout);
        let mut message = tonic::Request::from_parts(
            self.spec.metadata.clone(),
            Default::default(),
            request.body,
        );
        message.set_timeout(timeout);
        async move {
            let path = PathAndQuery::from_static(request.signal.grpc_path());
            let answer = async {
                service.ready().await.map_err(|error| Status::from_error(error.into()))?;
                service
                    .unary(message, path, Encoded::<ExportMetricsServiceResponse>::default())
                    .await
            };
            match tokio::time::timeout(timeout, answer).await {
                Ok(Ok(answer)) => ExportOutcome::from_response(answer.into_inner(), request.items),
                Ok(Err(status)) => ExportOutcome::from_status(&status),
                Err(_) => ExportOutcome::timed_out(timeout),
            }
        }
    }
}

fn connect(spec: &ClientSpec) -> Grpc<Channel> {
    // A server may compress its answer the way we compressed the request.
    let service = Grpc::new(spec.endpoint.connect_lazy())
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd);
    match spec.compression {
        Some(encoding) => service.send_compressed(encoding),
        None => service,
    }
}

// === impl Encoded ===

impl<R: Message + Default + 'static> Codec for Encoded<R> {
    type Encode = Bytes;
    type Decode = R;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self::Encoder {
        Self(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        Self(PhantomData)
    }
}

impl<R> Encoder for Encoded<R> {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl<R: Message + Default> Decoder for Encoded<R> {
    type Item = R;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<R>, Status> {
        let decoded = R::decode(buffer.copy_to_bytes(buffer.remaining()));
        decoded.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
