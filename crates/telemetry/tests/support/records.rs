//! A receiver of spans and log records in this process, and programs that make them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::trace::Tracer as _;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{
    LogsService, LogsServiceServer,
};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use pharos_telemetry::config::{Batch, Endpoint};
use pharos_telemetry::{Config, Pipeline, RecordSink, Signal, SinkId, SinkStats};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use super::{Answer, PATIENCE};

/// Longer than any test.
pub(crate) const NEVER: Duration = Duration::from_secs(3600);

/// A receiver of spans and log records that keeps everything it is sent.
pub(crate) struct RecordReceiver {
    address: SocketAddr,
    pub(crate) traces: Inbox<ExportTraceServiceRequest>,
    pub(crate) logs: Inbox<ExportLogsServiceRequest>,
    /// Of its own, so that it can die with all of its connections.
    runtime: Option<Runtime>,
}

/// What one service was sent, and how it answers.
#[derive(Clone)]
pub(crate) struct Inbox<T: 'static> {
    answer: Arc<Mutex<Answer>>,
    calls: watch::Sender<Vec<Call<T>>>,
    /// How many records were accepted, for who asks often.
    accepted: Arc<AtomicUsize>,
}

/// One request, as the receiver saw it.
#[derive(Clone)]
pub(crate) struct Call<T> {
    pub(crate) answer: Answer,
    pub(crate) metadata: MetadataMap,
    pub(crate) request: T,
}

/// What tests ask of both kinds of requests.
pub(crate) trait Content: Clone + Send + Sync + 'static {
    /// The name of every span, or the body of every log record.
    fn names(&self) -> Vec<String>;
}

// === impl RecordReceiver ===

impl RecordReceiver {
    pub(crate) fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    pub(crate) fn start_at(address: SocketAddr) -> Self {
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (traces, logs) = (Inbox::new(), Inbox::new());
        let trace_service = TraceServiceServer::new(traces.clone())
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd);
        let logs_service = LogsServiceServer::new(logs.clone())
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd);
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            let server = Server::builder().add_service(trace_service).add_service(logs_service);
            server.serve_with_incoming(incoming).await.unwrap();
        });
        Self { address, traces, logs, runtime: Some(runtime) }
    }

    /// A sink that sends here, at once where a batch is full, else after a moment.
    pub(crate) fn sink(&self, queue: usize, export: usize) -> RecordSink {
        let mut sink = RecordSink::new(self.endpoint());
        sink.batch = batch(queue, export);
        sink
    }

    /// A sink that sends here and waits for answers as long as the test wants.
    pub(crate) fn patient(&self, queue: usize, export: usize, timeout: Duration) -> RecordSink {
        let mut sink = self.sink(queue, export);
        sink.receiver.timeout = timeout;
        sink
    }

    pub(crate) fn answers(&self, answer: Answer) {
        self.traces.answers(answer.clone());
        self.logs.answers(answer);
    }

    /// Ends like a process that is killed: no goodbye, and the port is free.
    pub(crate) async fn die(mut self) -> SocketAddr {
        let runtime = self.runtime.take().unwrap();
        let died = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(PATIENCE));
        died.await.unwrap();
        self.address
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::grpc(&format!("http://{}", self.address)).unwrap()
    }
}

impl Drop for RecordReceiver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

// === impl Inbox ===

impl<T: Content> Inbox<T> {
    fn new() -> Self {
        let answer = Arc::new(Mutex::new(Answer::Accept));
        Self { answer, calls: watch::Sender::new(Vec::new()), accepted: Arc::default() }
    }

    pub(crate) fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    pub(crate) fn calls(&self) -> Vec<Call<T>> {
        self.calls.borrow().clone()
    }

    /// What was accepted, by name and how often.
    pub(crate) fn accepted(&self) -> BTreeMap<String, usize> {
        let mut accepted = BTreeMap::new();
        for call in self.calls.borrow().iter().filter(|it| matches!(it.answer, Answer::Accept)) {
            for name in call.request.names() {
                *accepted.entry(name).or_default() += 1;
            }
        }
        accepted
    }

    /// How many records were accepted, each as often as it came.
    pub(crate) fn accepted_items(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Waits until the calls so far are what the test waits for.
    pub(crate) async fn until(&self, what: &str, reached: impl Fn(&[Call<T>]) -> bool) {
        let mut calls = self.calls.subscribe();
        let waited = tokio::time::timeout(PATIENCE, calls.wait_for(|all| reached(all))).await;
        waited.unwrap_or_else(|_| panic!("{what}: never")).unwrap();
    }

    /// Waits until this many records were accepted.
    pub(crate) async fn until_accepted(&self, items: usize) {
        self.until("the records", |_| self.accepted_items() >= items).await;
    }

    /// Waits until a request with records came, whatever the answer to it.
    pub(crate) async fn until_called(&self) {
        let has_records = |call: &Call<T>| !call.request.names().is_empty();
        self.until("a request with records", |calls| calls.iter().any(has_records)).await;
    }

    async fn take(&self, request: Request<T>) -> Result<i64, Status> {
        let (metadata, _, request) = request.into_parts();
        let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Answer::Accept = answer {
            self.accepted.fetch_add(request.names().len(), Ordering::Relaxed);
        }
        self.calls.send_modify(|all| all.push(Call { answer: answer.clone(), metadata, request }));
        match answer {
            Answer::Accept => Ok(0),
            Answer::Refuse(code) => Err(Status::new(code, "as the test wants it")),
            Answer::RejectPoints(items) => Ok(items),
            Answer::Nothing => std::future::pending().await,
            other => panic!("{other:?} is for Receiver"),
        }
    }
}

#[tonic::async_trait]
impl TraceService for Inbox<ExportTraceServiceRequest> {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let rejected_spans = self.take(request).await?;
        let error_message = String::new();
        let partial = ExportTracePartialSuccess { rejected_spans, error_message };
        let partial_success = (rejected_spans > 0).then_some(partial);
        Ok(Response::new(ExportTraceServiceResponse { partial_success }))
    }
}

#[tonic::async_trait]
impl LogsService for Inbox<ExportLogsServiceRequest> {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        let rejected_log_records = self.take(request).await?;
        let error_message = String::new();
        let partial = ExportLogsPartialSuccess { rejected_log_records, error_message };
        let partial_success = (rejected_log_records > 0).then_some(partial);
        Ok(Response::new(ExportLogsServiceResponse { partial_success }))
    }
}

// === impl Content ===

impl Content for ExportTraceServiceRequest {
    fn names(&self) -> Vec<String> {
        spans(self).map(|span| span.name.clone()).collect()
    }
}

impl Content for ExportLogsServiceRequest {
    fn names(&self) -> Vec<String> {
        log_records(self).map(body).collect()
    }
}

pub(crate) fn spans(request: &ExportTraceServiceRequest) -> impl Iterator<Item = &Span> {
    let scopes = request.resource_spans.iter().flat_map(|it| &it.scope_spans);
    scopes.flat_map(|scope| &scope.spans)
}

pub(crate) fn log_records(request: &ExportLogsServiceRequest) -> impl Iterator<Item = &LogRecord> {
    let scopes = request.resource_logs.iter().flat_map(|it| &it.scope_logs);
    scopes.flat_map(|scope| &scope.log_records)
}

pub(crate) fn body(record: &LogRecord) -> String {
    match record.body.as_ref().and_then(|body| body.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        other => panic!("{other:?}"),
    }
}

/// Batches of this size, or what there is after a moment.
pub(crate) fn batch(queue: usize, export: usize) -> Batch {
    Batch {
        max_queue_size: NonZeroUsize::new(queue).unwrap(),
        max_export_size: NonZeroUsize::new(export).unwrap(),
        schedule_delay: Duration::from_millis(1),
    }
}

/// What a sink did so far.
pub(crate) fn stats(pipeline: &Pipeline, signal: Signal, name: &str) -> SinkStats {
    pipeline.debug().sinks[&SinkId::new(signal, name)].clone()
}

/// Waits until the counters of a sink are what the test waits for.
pub(crate) async fn until_stats(
    pipeline: &Pipeline,
    (signal, name): (Signal, &str),
    reached: impl Fn(&SinkStats) -> bool,
) -> SinkStats {
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            let stats = stats(pipeline, signal, name);
            if reached(&stats) {
                return stats;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("never: {:?}", stats(pipeline, signal, name)))
}

/// Spans and log records alike.
pub(crate) fn both(name: &str, sink: &RecordSink) -> Config {
    Config::off().with_traces(name, sink.clone()).with_logs(name, sink.clone())
}

/// The same sink, but one that waits for whole batches.
pub(crate) fn whole_batches(mut sink: RecordSink) -> RecordSink {
    sink.batch.schedule_delay = NEVER;
    sink
}

/// Makes spans that are named by number.
pub(crate) fn make(pipeline: &Pipeline, numbers: std::ops::Range<usize>) {
    let tracer = pipeline.tracer("test");
    for number in numbers {
        drop(tracer.start(number.to_string()));
    }
}
