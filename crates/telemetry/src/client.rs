//! A thin OTLP/gRPC client: one request, one typed outcome.
//!
//! Nothing but the sink's own configuration has an effect: no environment, no retries of its own.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::resource::v1::Resource;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};

use crate::config::{Compression, OtlpSink};
use crate::outcome::ExportOutcome;
use crate::snapshot::Snapshot;

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
    resource: Resource,
}

/// A receiver of metrics.
pub(crate) struct Client {
    spec: ClientSpec,
    service: MetricsServiceClient<Channel>,
}

/// What came of the requests that one snapshot was sent in.
#[derive(Debug)]
pub(crate) struct Exported {
    /// That of the first request that failed, or of the whole.
    pub(crate) outcome: ExportOutcome,
    /// How many points the receiver has.
    pub(crate) accepted: u64,
    /// How many it has not, so far.
    pub(crate) missing: u64,
}

// === impl Exported ===

impl Exported {
    /// An export whose answer nobody waited for.
    pub(crate) fn abandoned(points: u64) -> Self {
        let why = "given up for the last export".to_owned();
        Self { outcome: ExportOutcome::Ambiguous { why }, accepted: 0, missing: points }
    }
}

// === impl ClientSpec ===

impl ClientSpec {
    pub(crate) fn new(
        sink: &OtlpSink,
        resource: Resource,
    ) -> Result<Self, tonic::transport::Error> {
        let headers = sink
            .headers
            .iter()
            .map(|header| (header.name.clone(), header.value.expose().clone()))
            .collect();
        let endpoint = Endpoint::from_shared(sink.endpoint.to_string())?
            .user_agent(USER_AGENT)?
            // Less than the timeout, so that "no connection" and "no answer" can be told apart.
            .connect_timeout(CONNECT_TIMEOUT.min(sink.timeout / 2))
            .tcp_nodelay(true)
            .tcp_keepalive(Some(TCP_KEEPALIVE))
            .http2_keep_alive_interval(HTTP2_KEEPALIVE)
            .keep_alive_while_idle(false);
        Ok(Self {
            endpoint,
            compression: match sink.compression {
                Compression::None => None,
                Compression::Gzip => Some(CompressionEncoding::Gzip),
                Compression::Zstd => Some(CompressionEncoding::Zstd),
            },
            timeout: sink.timeout,
            metadata: MetadataMap::from_headers(headers),
            resource,
        })
    }
}

// === impl Client ===

impl Client {
    /// A client that connects when it is first used. Must be called on the runtime that exports.
    pub(crate) fn new(spec: ClientSpec) -> Self {
        let service = connect(&spec);
        Self { spec, service }
    }

    /// Forgets the connection: the next export resolves the name anew.
    pub(crate) fn reconnect(&mut self) {
        self.service = connect(&self.spec);
    }

    /// Sends a snapshot, as one request or as several, one after the other. The future is
    /// independent of `self` and ends within the timeout of the sink.
    pub(crate) fn export(&self, snapshot: &Snapshot) -> impl Future<Output = Exported> + use<> {
        let mut service = self.service.clone();
        let requests = snapshot.requests(&self.spec.resource);
        let (metadata, timeout) = (self.spec.metadata.clone(), self.spec.timeout);
        let total = snapshot.points();
        async move {
            let (mut accepted, mut rejected) = (0, 0);
            let mut worst = ExportOutcome::Accepted;
            let sent = tokio::time::timeout(timeout, async {
                for (request, points) in requests {
                    match send(&mut service, request, points, metadata.clone(), timeout).await {
                        ExportOutcome::Accepted => accepted += points,
                        ExportOutcome::PartiallyRejected { points: some, message } => {
                            accepted += points - some;
                            rejected += some;
                            worst = ExportOutcome::PartiallyRejected { points: rejected, message };
                        }
                        failed => {
                            worst = failed;
                            break;
                        }
                    }
                }
            });
            if sent.await.is_err() {
                worst = ExportOutcome::timed_out(timeout);
            }
            Exported { outcome: worst, accepted, missing: total.saturating_sub(accepted) }
        }
    }
}

fn connect(spec: &ClientSpec) -> MetricsServiceClient<Channel> {
    // A server may compress its answer the way we compressed the request.
    let service = MetricsServiceClient::new(spec.endpoint.connect_lazy())
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd);
    match spec.compression {
        Some(encoding) => service.send_compressed(encoding),
        None => service,
    }
}

async fn send(
    service: &mut MetricsServiceClient<Channel>,
    request: ExportMetricsServiceRequest,
    points: u64,
    metadata: MetadataMap,
    timeout: Duration,
) -> ExportOutcome {
    let mut request = tonic::Request::from_parts(metadata, tonic::Extensions::default(), request);
    request.set_timeout(timeout);
    match service.export(request).await {
        Ok(response) => ExportOutcome::from_response(response.into_inner(), points),
        Err(status) => ExportOutcome::from_status(&status),
    }
}
