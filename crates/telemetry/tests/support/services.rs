//! The services of OTLP for all three signals, by both protocols.

use std::io::Read as _;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request as HttpRequest, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response as HttpResponse};
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{
    LogsService, LogsServiceServer,
};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use pharos_telemetry::config::Protocol;
use prost::Message;
use tokio::sync::watch;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};

use super::answer::{Answer, HttpAnswer, SAID, http_status, status};
use super::export::{Export, LogExport, SpanExport, Taken};
use super::server::Breaker;

const PROTOBUF: &str = "application/x-protobuf";

/// What a receiver takes, and how it answers.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) answer: Arc<ArcSwap<Answer>>,
    pub(super) metrics: watch::Sender<Vec<Export>>,
    pub(super) spans: watch::Sender<Vec<SpanExport>>,
    pub(super) logs: watch::Sender<Vec<LogExport>>,
}

/// The same for each signal: how its partial success is said.
trait Said: Message + Default {
    fn partial(rejected: i64, message: &str) -> Self;
}

// === impl Service ===

impl Default for Service {
    fn default() -> Self {
        Self {
            answer: Arc::new(ArcSwap::from_pointee(Answer::Accept)),
            metrics: watch::Sender::new(Vec::new()),
            spans: watch::Sender::new(Vec::new()),
            logs: watch::Sender::new(Vec::new()),
        }
    }
}

macro_rules! compressed {
    ($server:expr) => {
        $server
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd)
            .send_compressed(CompressionEncoding::Gzip)
    };
}

impl Service {
    pub(super) fn routes(&self) -> Router {
        let grpc = Routes::new(compressed!(MetricsServiceServer::new(self.clone())))
            .add_service(compressed!(TraceServiceServer::new(self.clone())))
            .add_service(compressed!(LogsServiceServer::new(self.clone())));
        let http = Router::new()
            .route("/v1/metrics", post(metrics))
            .route("/v1/traces", post(spans))
            .route("/v1/logs", post(logs))
            .with_state(self.clone());
        let raw = from_fn_with_state(self.clone(), raw);
        grpc.into_axum_router().merge(http).layer(raw)
    }

    /// What is said to a request, by either protocol.
    async fn say<S: Said>(&self, breaker: Option<Breaker>) -> Result<S, Status> {
        match Answer::clone(&self.answer.load()) {
            Answer::Accept | Answer::Http(_) => Ok(S::default()),
            Answer::Refuse(code) => Err(status(code, None)),
            Answer::Throttle(code, wait) => Err(status(code, Some(wait))),
            Answer::RejectPoints(rejected) => Ok(S::partial(rejected, SAID)),
            Answer::Warn(message) => Ok(S::partial(0, message)),
            Answer::Nothing => std::future::pending().await,
            Answer::Slow(delay) => {
                tokio::time::sleep(delay).await;
                Ok(S::default())
            }
            Answer::Reset => {
                breaker.unwrap().0.cancel();
                std::future::pending().await
            }
        }
    }

    async fn grpc<R, S: Said>(
        &self,
        all: &watch::Sender<Vec<Taken<R>>>,
        request: Request<R>,
    ) -> Result<Response<S>, Status> {
        let (metadata, extensions, request) = request.into_parts();
        let protocol = Protocol::Grpc;
        all.send_modify(|all| all.push(Taken { request, metadata, protocol }));
        self.say(extensions.get::<Breaker>().cloned()).await.map(Response::new)
    }

    async fn http<R: Message + Default, S: Said>(
        &self,
        all: &watch::Sender<Vec<Taken<R>>>,
        request: HttpRequest,
    ) -> HttpResponse {
        let (head, body) = request.into_parts();
        let Ok(body) = to_bytes(body, usize::MAX).await else {
            return StatusCode::BAD_REQUEST.into_response();
        };
        if head.headers.get("content-type").is_none_or(|it| it != PROTOBUF) {
            return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
        }
        let request = R::decode(&plain(&head.headers, &body)[..]).unwrap();
        let metadata = MetadataMap::from_headers(head.headers);
        let protocol = Protocol::HttpProtobuf;
        all.send_modify(|all| all.push(Taken { request, metadata, protocol }));
        let answer = Answer::clone(&self.answer.load());
        match (self.say::<S>(head.extensions.get::<Breaker>().cloned()).await, answer) {
            (Ok(said), _) => ([("content-type", PROTOBUF)], said.encode_to_vec()).into_response(),
            (Err(_), Answer::Throttle(code, wait)) => {
                let wait = [("retry-after", wait.as_secs().to_string())];
                (http_status(code), wait).into_response()
            }
            (Err(status), _) => {
                let body = tonic_types::Status {
                    code: status.code() as i32,
                    message: status.message().to_owned(),
                    details: Vec::new(),
                };
                let content_type = [("content-type", PROTOBUF)];
                (http_status(status.code()), content_type, body.encode_to_vec()).into_response()
            }
        }
    }
}

/// Says what has nothing to do with OTLP, by either protocol.
async fn raw(State(service): State<Service>, request: HttpRequest, next: Next) -> HttpResponse {
    let Answer::Http(HttpAnswer { status, headers, body }) = Answer::clone(&service.answer.load())
    else {
        return next.run(request).await;
    };
    // Whoever sends is done before it is told.
    let _ = to_bytes(request.into_body(), usize::MAX).await;
    let mut response = http::Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Body::from(body)).unwrap()
}

async fn metrics(State(service): State<Service>, request: HttpRequest) -> HttpResponse {
    service.http::<_, ExportMetricsServiceResponse>(&service.metrics, request).await
}

async fn spans(State(service): State<Service>, request: HttpRequest) -> HttpResponse {
    service.http::<_, ExportTraceServiceResponse>(&service.spans, request).await
}

async fn logs(State(service): State<Service>, request: HttpRequest) -> HttpResponse {
    service.http::<_, ExportLogsServiceResponse>(&service.logs, request).await
}

fn plain(headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match headers.get("content-encoding").map(|it| it.to_str().unwrap()) {
        None => plain.extend_from_slice(body),
        Some("gzip") => {
            flate2::read::GzDecoder::new(body).read_to_end(&mut plain).unwrap();
        }
        Some("zstd") => plain = zstd::decode_all(body).unwrap(),
        Some(other) => panic!("{other}"),
    }
    plain
}

#[tonic::async_trait]
impl MetricsService for Service {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.grpc(&self.metrics, request).await
    }
}

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.grpc(&self.spans, request).await
    }
}

#[tonic::async_trait]
impl LogsService for Service {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        self.grpc(&self.logs, request).await
    }
}

// === impl Said ===

impl Said for ExportMetricsServiceResponse {
    fn partial(rejected_data_points: i64, message: &str) -> Self {
        let error_message = message.to_owned();
        let partial = ExportMetricsPartialSuccess { rejected_data_points, error_message };
        Self { partial_success: Some(partial) }
    }
}

impl Said for ExportTraceServiceResponse {
    fn partial(rejected_spans: i64, message: &str) -> Self {
        let error_message = message.to_owned();
        let partial = ExportTracePartialSuccess { rejected_spans, error_message };
        Self { partial_success: Some(partial) }
    }
}

impl Said for ExportLogsServiceResponse {
    fn partial(rejected_log_records: i64, message: &str) -> Self {
        let error_message = message.to_owned();
        let partial = ExportLogsPartialSuccess { rejected_log_records, error_message };
        Self { partial_success: Some(partial) }
    }
}
