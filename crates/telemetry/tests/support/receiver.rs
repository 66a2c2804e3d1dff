//! An OTLP receiver that keeps everything it is sent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pharos_telemetry::config::{Endpoint, OtlpSink, Protocol};
use pharos_telemetry::{OtlpReceiver, RecordSink};
use rustls::ServerConfig;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::producers::Arrivals;
use super::records::{batch, body};
use super::server::{Listener, Versions};
use super::services::Service;
use super::{Answer, Export, LogExport, PATIENCE, SpanExport};

/// An OTLP receiver that keeps everything it is sent.
pub(crate) struct Receiver {
    address: SocketAddr,
    service: Service,
    listener: Listener,
    /// Of its own, so that it can die with all of its connections.
    runtime: Option<Runtime>,
}

// === impl Receiver ===

impl Receiver {
    /// One in plaintext that takes everything.
    pub(crate) fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    pub(crate) fn start_at(address: SocketAddr) -> Self {
        Self::start_as(address, Listener::default())
    }

    /// One that speaks nothing but `versions` of HTTP.
    pub(crate) fn speaking(versions: Versions) -> Self {
        Self::start_as(SocketAddr::from(([127, 0, 0, 1], 0)), Listener::speaking(versions))
    }

    /// One that speaks TLS.
    pub(crate) fn with_tls(config: ServerConfig) -> Self {
        let receiver = Self::start();
        receiver.speaks_tls(config);
        receiver
    }

    fn start_as(address: SocketAddr, listener: Listener) -> Self {
        let socket = std::net::TcpListener::bind(address).unwrap();
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        let service = Service::default();
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(listener.clone().serve(socket, service.routes()));
        Self { address, service, listener, runtime: Some(runtime) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From the next connection on.
    pub(crate) fn speaks_tls(&self, config: ServerConfig) {
        self.listener.tls.store(Some(Arc::new(config)));
    }

    /// Whether new connections are accepted and nothing is ever read from them.
    pub(crate) fn swallows_connections(&self, swallows: bool) {
        self.listener.swallows.store(swallows, Ordering::SeqCst);
    }

    /// How many connections were made so far.
    pub(crate) fn connections(&self) -> usize {
        *self.listener.connections.borrow()
    }

    pub(crate) fn endpoint(&self, protocol: Protocol) -> Endpoint {
        let scheme = if self.listener.tls.load().is_some() { "https" } else { "http" };
        endpoint(protocol, &format!("{scheme}://{}", self.address))
    }

    /// How to reach it, by default but for the protocol.
    pub(crate) fn by(&self, protocol: Protocol) -> OtlpReceiver {
        OtlpReceiver::new(self.endpoint(protocol))
    }

    /// A sink that exports here by gRPC, by default but for the period.
    pub(crate) fn sink(&self, period: Duration) -> OtlpSink {
        self.sink_by(Protocol::Grpc, period)
    }

    /// A sink that exports here, by default but for the period and the protocol.
    pub(crate) fn sink_by(&self, protocol: Protocol, period: Duration) -> OtlpSink {
        OtlpSink { period, ..OtlpSink::new(self.endpoint(protocol)) }
    }

    /// A sink of spans or log records that sends here, a moment after the first of them came.
    pub(crate) fn records_by(&self, protocol: Protocol, queue: usize, export: usize) -> RecordSink {
        RecordSink { receiver: self.by(protocol), batch: batch(queue, export) }
    }

    /// A sink that exports here and waits for answers as long as the test wants.
    pub(crate) fn patient(&self, period: Duration, timeout: Duration) -> OtlpSink {
        let mut sink = self.sink(period);
        sink.receiver.timeout = timeout;
        sink
    }

    pub(crate) fn answers(&self, answer: Answer) {
        self.service.answer.store(Arc::new(answer));
    }

    /// Exports of metrics.
    pub(crate) fn exports(&self) -> Vec<Export> {
        self.service.metrics.borrow().clone()
    }

    pub(crate) fn span_exports(&self) -> Vec<SpanExport> {
        self.service.spans.borrow().clone()
    }

    pub(crate) fn log_exports(&self) -> Vec<LogExport> {
        self.service.logs.borrow().clone()
    }

    /// Forgets what came so far.
    pub(crate) fn forget(&self) {
        self.service.metrics.send_replace(Vec::new());
        self.service.spans.send_replace(Vec::new());
        self.service.logs.send_replace(Vec::new());
    }

    /// Waits until the exports so far are what the test waits for.
    pub(crate) async fn until(&self, what: &str, reached: impl Fn(&[Export]) -> bool) {
        until(&self.service.metrics, what, reached).await;
    }

    pub(crate) async fn until_spans(&self, what: &str, reached: impl Fn(&[SpanExport]) -> bool) {
        until(&self.service.spans, what, reached).await;
    }

    pub(crate) async fn until_logs(&self, what: &str, reached: impl Fn(&[LogExport]) -> bool) {
        until(&self.service.logs, what, reached).await;
    }

    /// Keeps `arrivals` told of the spans and log records that come.
    pub(crate) fn tells(&self, arrivals: &Arrivals) {
        let runtime = self.runtime.as_ref().unwrap();
        let (spans, told) = (self.service.spans.subscribe(), Arc::clone(&arrivals.spans));
        let names = |export: &SpanExport| export.spans().map(|it| it.name.clone()).collect();
        runtime.spawn(told.listen(spans, names));
        let (logs, told) = (self.service.logs.subscribe(), Arc::clone(&arrivals.logs));
        let names = |export: &LogExport| export.records().map(body).collect();
        runtime.spawn(told.listen(logs, names));
    }

    /// Waits for so many connections.
    pub(crate) async fn until_connections(&self, number: usize) {
        let mut connections = self.listener.connections.subscribe();
        let waited = connections.wait_for(|made| *made >= number);
        tokio::time::timeout(PATIENCE, waited).await.expect("connections").unwrap();
    }

    /// Waits for one more export than there are now.
    pub(crate) async fn next_export(&self) -> Export {
        let before = self.exports().len();
        self.until("one more export", |all| all.len() > before).await;
        self.exports().pop().unwrap()
    }

    /// Ends like a process that is killed: no goodbye, and the port is free.
    pub(crate) async fn die(mut self) -> SocketAddr {
        let runtime = self.runtime.take().unwrap();
        let died = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(PATIENCE));
        died.await.unwrap();
        self.address
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(super) fn endpoint(protocol: Protocol, url: &str) -> Endpoint {
    match protocol {
        Protocol::Grpc => Endpoint::grpc(url).unwrap(),
        Protocol::HttpProtobuf => Endpoint::http_protobuf(url).unwrap(),
    }
}

async fn until<T>(all: &watch::Sender<Vec<T>>, what: &str, reached: impl Fn(&[T]) -> bool) {
    let mut all = all.subscribe();
    let waited = tokio::time::timeout(PATIENCE, all.wait_for(|all| reached(all))).await;
    waited.unwrap_or_else(|_| panic!("{what}: never")).unwrap();
}
