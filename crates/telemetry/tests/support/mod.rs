//! An OTLP receiver in this process, and what tests say about a pipeline.

#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsPartialSuccess, ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use pharos_telemetry::config::{Endpoint, OtlpSink, ScrapeTransport};
use pharos_telemetry::{Config, Identity, MetricSink, Pipeline, Reloader, Retired, Signal, SinkId};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};

/// Only ever reached by a test that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// An OTLP receiver that keeps everything it is sent.
pub(crate) struct Receiver {
    address: SocketAddr,
    service: Service,
    /// Of its own, so that it can die with all of its connections.
    runtime: Option<Runtime>,
}

/// How a receiver answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Accept,
    Refuse(Code),
    RejectPoints(i64),
    /// Takes the request and never answers.
    Nothing,
}

/// One request, as the receiver saw it.
#[derive(Clone, Debug)]
pub(crate) struct Export {
    pub(crate) request: ExportMetricsServiceRequest,
    pub(crate) metadata: MetadataMap,
}

/// One point of one series: what a receiver has to decide whether it goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) start: u64,
    pub(crate) time: u64,
    pub(crate) value: f64,
}

#[derive(Clone)]
struct Service {
    answer: Arc<Mutex<Answer>>,
    exports: watch::Sender<Vec<Export>>,
}

// === impl Receiver ===

impl Receiver {
    pub(crate) fn start() -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    pub(crate) fn start_at(address: SocketAddr) -> Self {
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(Mutex::new(Answer::Accept));
        let service = Service { answer, exports: watch::Sender::new(Vec::new()) };
        let routes = MetricsServiceServer::new(service.clone())
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd);
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            Server::builder().add_service(routes).serve_with_incoming(incoming).await.unwrap();
        });
        Self { address, service, runtime: Some(runtime) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A sink that exports here, by default but for the period.
    pub(crate) fn sink(&self, period: Duration) -> OtlpSink {
        let endpoint = Endpoint::grpc(&format!("http://{}", self.address)).unwrap();
        OtlpSink { period, ..OtlpSink::new(endpoint) }
    }

    /// A sink that exports here and waits for answers as long as the test wants.
    pub(crate) fn patient(&self, period: Duration, timeout: Duration) -> OtlpSink {
        let mut sink = self.sink(period);
        sink.receiver.timeout = timeout;
        sink
    }

    pub(crate) fn answers(&self, answer: Answer) {
        *self.service.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    pub(crate) fn exports(&self) -> Vec<Export> {
        self.service.exports.borrow().clone()
    }

    /// Waits until the exports so far are what the test waits for.
    pub(crate) async fn until(&self, what: &str, reached: impl Fn(&[Export]) -> bool) {
        let mut exports = self.service.exports.subscribe();
        let waited = tokio::time::timeout(PATIENCE, exports.wait_for(|all| reached(all))).await;
        waited.unwrap_or_else(|_| panic!("{what}: never")).unwrap();
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

// === impl Service ===

#[tonic::async_trait]
impl MetricsService for Service {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        self.exports.send_modify(|all| all.push(Export { request, metadata }));
        let answer = *self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        let partial_success = match answer {
            Answer::Accept => None,
            Answer::Refuse(code) => return Err(Status::new(code, "as the test wants it")),
            Answer::Nothing => std::future::pending().await,
            Answer::RejectPoints(rejected_data_points) => Some(ExportMetricsPartialSuccess {
                rejected_data_points,
                error_message: "as the test wants it".to_owned(),
            }),
        };
        Ok(Response::new(ExportMetricsServiceResponse { partial_success }))
    }
}

// === impl Export ===

impl Export {
    /// Every point of a sum or histogram (its count) by the name and attributes of its series.
    pub(crate) fn points(&self) -> BTreeMap<String, Point> {
        let scopes = self.request.resource_metrics.iter().flat_map(|it| &it.scope_metrics);
        let mut points = BTreeMap::new();
        for metric in scopes.flat_map(|scope| &scope.metrics) {
            let series = |attributes: &Vec<_>| format!("{} {attributes:?}", metric.name);
            match metric.data.as_ref().unwrap() {
                Data::Sum(sum) => {
                    points.extend(sum.data_points.iter().map(|point| {
                        let value = match point.value.unwrap() {
                            Value::AsInt(value) => value as f64,
                            Value::AsDouble(value) => value,
                        };
                        let (start, time) = (point.start_time_unix_nano, point.time_unix_nano);
                        (series(&point.attributes), Point { start, time, value })
                    }));
                }
                Data::Histogram(histogram) => {
                    points.extend(histogram.data_points.iter().map(|point| {
                        let (start, time) = (point.start_time_unix_nano, point.time_unix_nano);
                        (
                            series(&point.attributes),
                            Point { start, time, value: point.count as f64 },
                        )
                    }));
                }
                other => panic!("{other:?}"),
            }
        }
        points
    }

    /// The sum over all series of a metric.
    pub(crate) fn total(&self, metric: &str) -> f64 {
        let prefix = format!("{metric} ");
        let points = self.points();
        points
            .iter()
            .filter(|(series, _)| series.starts_with(&prefix))
            .map(|(_, it)| it.value)
            .sum()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.metadata.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn resource(&self, key: &str) -> Option<String> {
        use opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue;
        let resource = self.request.resource_metrics.first()?.resource.as_ref()?;
        let attribute = resource.attributes.iter().find(|it| it.key == key)?;
        match attribute.value.as_ref()?.value.as_ref()? {
            StringValue(value) => Some(value.clone()),
            other => panic!("{other:?}"),
        }
    }
}

/// A pipeline of a writer that no environment has a say in.
pub(crate) fn start() -> (Pipeline, Reloader) {
    Pipeline::start(Identity::from_environment("1.0.0", &|_| None)).unwrap()
}

/// The sink of metrics with this name.
pub(crate) fn metrics(name: &str) -> SinkId {
    SinkId::new(Signal::Metrics, name)
}

/// The one sink of most tests.
pub(crate) fn gateway() -> SinkId {
    metrics("gateway")
}

/// The sink that is scraped.
pub(crate) fn scraping() -> MetricSink {
    MetricSink::Prometheus(ScrapeTransport::Plaintext)
}

/// Reloads up to the commit.
pub(crate) async fn commit(reloader: &mut Reloader, config: Config) -> Retired {
    reloader.prepare(config).await.unwrap().commit()
}

/// The sum over all series of a metric on a page of Prometheus text.
pub(crate) fn scraped(page: &str, metric: &str) -> f64 {
    pharos_testkit::prometheus::sum(&pharos_testkit::prometheus::parse(page).unwrap(), metric, &[])
}

/// What must hold of everything that a receiver ever got, in the order in which it got it.
pub(crate) fn assert_no_series_goes_back(exports: &[Export]) {
    let mut last: BTreeMap<String, Point> = BTreeMap::new();
    for export in exports {
        for (series, point) in export.points() {
            if let Some(before) = last.insert(series.clone(), point) {
                assert_eq!(before.start, point.start, "{series} has two start times");
                assert!(before.value <= point.value, "{series} went down: {before:?} {point:?}");
            }
        }
    }
}
