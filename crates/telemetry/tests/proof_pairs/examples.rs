//! The examples of TelemetryConfig as configurations, and the receivers that they name.

use std::time::Duration;

use pharos_telemetry::config::{
    Aggregation, AttributeKeys, Compression, Header, OtlpSink, Protocol, ScrapeTransport,
    ServerTls, Severity, Temporality,
};
use pharos_telemetry::{Config, MetricSink, OtlpReceiver, RecordSink};

use crate::certificates::Authority;
use crate::support::records::batch;
use crate::support::{Receiver, scraping, set, view};

const NEVER: Duration = Duration::from_secs(3600);
pub(crate) const NAMES: [&str; 6] =
    ["prometheus", "otlp-mtls", "everything", "migration", "namespaces", "shapes"];
/// In which every sink says whose it is.
pub(crate) const MARK: &str = "x-example";

/// One configuration.
pub(crate) struct Example {
    pub(crate) name: &'static str,
    pub(crate) config: Config,
}

/// The receivers of all of them.
pub(crate) struct Fleet {
    pub(crate) plain: Receiver,
    pub(crate) secure: Receiver,
    authority: Authority,
}

// === impl Fleet ===

impl Fleet {
    pub(crate) fn start() -> Self {
        let authority = Authority::root("ours");
        let certificate = authority.issue().certified();
        let tls = ServerTls { certificate, client_ca: Some(authority.bundle()) };
        let secure = Receiver::with_tls(tls.server_config().unwrap());
        Self { plain: Receiver::start(), secure, authority }
    }

    pub(crate) fn forget(&self) {
        self.plain.forget();
        self.secure.forget();
    }

    /// Waits until the sinks of metrics that push have begun.
    pub(crate) async fn until_begun(&self, example: &Example) {
        let pushes = example.config.metric_sinks().any(|(_, it)| matches!(it, MetricSink::Otlp(_)));
        if pushes {
            let receiver = if example.name == "otlp-mtls" { &self.secure } else { &self.plain };
            let begun = |it: &crate::support::Export| it.header(MARK) == Some(example.name);
            receiver.until("the first export", |all| all.iter().any(begun)).await;
        }
    }

    pub(crate) fn example(&self, name: &'static str) -> Example {
        let config = match name {
            "prometheus" => Config::prometheus(),
            "otlp-mtls" => self.otlp_mtls(name),
            "everything" => self.everything(name),
            "migration" => self.migration(name),
            "namespaces" => self.namespaces(name),
            "shapes" => self.shapes(name),
            other => panic!("{other}"),
        };
        Example { name, config }
    }

    fn plain(&self, by: Protocol, name: &str) -> OtlpReceiver {
        let mut receiver = self.plain.by(by);
        receiver.headers.push(Header::parse(MARK, name).unwrap());
        receiver
    }

    fn otlp_mtls(&self, name: &str) -> Config {
        let mut receiver = self.secure.by(Protocol::Grpc);
        receiver.headers.push(Header::parse(MARK, name).unwrap());
        receiver.headers.push(Header::parse("authorization", "Bearer t").unwrap());
        receiver.tls = self.authority.trusted();
        receiver.tls.client_certificate = Some(self.authority.issue().certified());
        Config::off()
            .with_sink("gateway", sink(receiver.clone(), Temporality::Cumulative))
            .with_traces("gateway", records(receiver))
    }

    fn everything(&self, name: &str) -> Config {
        let mut receiver = self.plain(Protocol::HttpProtobuf, name);
        receiver.compression = Compression::Zstd;
        receiver.timeout = Duration::from_secs(15);
        receiver.headers.push(Header::parse("x-scope-orgid", "platform").unwrap());
        let mut config = Config::off()
            .with_sink("gateway", sink(receiver.clone(), Temporality::Delta))
            .with_traces("gateway", records(receiver.clone()))
            .with_logs("gateway", records(receiver));
        config.logs.min_severity = Severity::Warn;
        let attributes =
            [("deployment.environment.name", "production"), ("k8s.cluster.name", "eu")];
        config.resource_attributes = attributes.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let boundaries = vec![0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];
        config.metrics.shape.views = vec![
            view("kyverno_client_queries", |it| it.aggregation = Some(Aggregation::Drop)),
            view("kyverno_policy_*", |it| {
                let keys = set(&["resource_namespace", "resource_request_operation"]);
                it.attributes = AttributeKeys::Excluded(keys);
            }),
            view("kyverno_admission_review_duration_seconds", |it| {
                it.aggregation = Some(Aggregation::ExplicitBuckets(boundaries));
            }),
        ];
        config
    }

    fn migration(&self, name: &str) -> Config {
        let certificate = self.authority.issue().certified();
        let tls = ScrapeTransport::Tls(ServerTls { certificate, client_ca: None });
        let receiver = self.plain(Protocol::Grpc, name);
        Config::off()
            .with_sink("prometheus", MetricSink::Prometheus(tls))
            .with_sink("gateway", sink(receiver, Temporality::Cumulative))
    }

    fn namespaces(&self, name: &str) -> Config {
        let receiver = self.plain(Protocol::Grpc, name);
        let mut config = Config::off()
            .with_sink("scraped", scraping())
            .with_sink("gateway", sink(receiver.clone(), Temporality::LowMemory))
            .with_logs("gateway", records(receiver));
        config.metrics.shape.values.key = "resource_namespace".to_owned();
        config.metrics.shape.values.exclude = set(&["kube-system"]);
        config
    }

    fn shapes(&self, name: &str) -> Config {
        let receiver = self.plain(Protocol::HttpProtobuf, name);
        let mut config =
            Config::off().with_sink("gateway", sink(receiver, Temporality::Cumulative));
        let exponential = Aggregation::Exponential { max_size: 160, max_scale: 20 };
        config.metrics.shape.views = vec![
            view("kyverno_policy_results", |it| {
                it.attributes = AttributeKeys::Included(set(&["policy", "resource_namespace"]));
            }),
            view("kyverno_policy_execution_*", |it| it.aggregation = Some(exponential)),
            view("in_flight", |it| it.attributes = AttributeKeys::Included(set(&[]))),
        ];
        config
    }
}

fn sink(receiver: OtlpReceiver, temporality: Temporality) -> OtlpSink {
    OtlpSink { receiver, period: NEVER, temporality }
}

fn records(receiver: OtlpReceiver) -> RecordSink {
    RecordSink { receiver, batch: batch(100, 10) }
}
