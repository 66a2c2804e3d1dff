//! What should run: resolved, parsed, with no default left open.
//!
//! The caller translates whatever it is configured with (a custom resource, flags) into a
//! [`Config`]; from here on nothing has to be validated again. A `Config` holds header values and
//! private keys, so its `Debug` and `Serialize` forms show none.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::signal::{Signal, SinkId};

mod endpoint;
mod header;
mod metrics;
mod receiver;
mod records;
mod tls;
mod view;

pub use endpoint::{Endpoint, EndpointError, Protocol};
pub use header::{Header, HeaderError, Redacted};
pub use metrics::{
    DEFAULT_CARDINALITY_LIMIT, DEFAULT_PERIOD, MetricShape, MetricSink, Metrics, OtlpSink,
    ScrapeTransport, Temporality, ValueFilter,
};
pub use receiver::{Compression, DEFAULT_TIMEOUT, OtlpReceiver};
pub use records::{Batch, Logs, Parent, RecordSink, RootSampler, Sampler, Severity, Traces};
pub use tls::{
    CaBundle, CertifiedKey, ClientTls, KeyKind, Material, MaterialError, Roots, ServerName,
    ServerNameError, ServerTls,
};
pub use view::{Aggregation, AttributeKeys, Glob, GlobError, Selector, View};

/// Everything that a pipeline can be told.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// Added to the resource of every export; the [`Identity`](crate::Identity) wins.
    pub resource_attributes: BTreeMap<String, String>,
    /// Where metrics go, and in which shape.
    pub metrics: Metrics,
    /// Where spans go, and which.
    pub traces: Traces,
    /// Where log records go, and which.
    pub logs: Logs,
}

/// The name of a sink. A sink that changes under its name is swapped, not removed and added.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct SinkName(Arc<str>);

// === impl Config ===

impl Config {
    /// Nothing goes anywhere. What a pipeline runs when it has just started.
    pub fn off() -> Self {
        Self::default()
    }

    /// Metrics can be scraped, in plaintext, and nothing else: the sink is named `prometheus`.
    pub fn prometheus() -> Self {
        Self::off().with_sink("prometheus", MetricSink::Prometheus(ScrapeTransport::Plaintext))
    }

    /// This and one more sink for metrics.
    #[must_use]
    pub fn with_sink(mut self, name: impl Into<SinkName>, sink: impl Into<MetricSink>) -> Self {
        self.metrics.sinks.insert(name.into(), sink.into());
        self
    }

    /// This and one more sink for spans.
    #[must_use]
    pub fn with_traces(mut self, name: impl Into<SinkName>, sink: RecordSink) -> Self {
        self.traces.sinks.insert(name.into(), sink);
        self
    }

    /// This and one more sink for log records.
    #[must_use]
    pub fn with_logs(mut self, name: impl Into<SinkName>, sink: RecordSink) -> Self {
        self.logs.sinks.insert(name.into(), sink);
        self
    }

    /// The sinks of metrics, in the order of their names.
    pub fn metric_sinks(&self) -> impl Iterator<Item = (&SinkName, &MetricSink)> {
        self.metrics.sinks.iter()
    }

    /// Every sink that pushes, and where to.
    pub fn receivers(&self) -> impl Iterator<Item = (SinkId, &OtlpReceiver)> {
        let metrics = self.metrics.sinks.iter().filter_map(|(name, sink)| match sink {
            MetricSink::Prometheus(_) => None,
            MetricSink::Otlp(sink) => Some((Signal::Metrics, name, &sink.receiver)),
        });
        let traces =
            self.traces.sinks.iter().map(|(name, it)| (Signal::Traces, name, &it.receiver));
        let logs = self.logs.sinks.iter().map(|(name, it)| (Signal::Logs, name, &it.receiver));
        metrics
            .chain(traces)
            .chain(logs)
            .map(|(signal, name, receiver)| (SinkId::new(signal, name.clone()), receiver))
    }

    /// The sinks that a scraper may read.
    pub(crate) fn scraped(&self) -> impl Iterator<Item = &SinkName> {
        self.metric_sinks()
            .filter(|(_, sink)| matches!(sink, MetricSink::Prometheus(_)))
            .map(|(name, _)| name)
    }
}

// === impl SinkName ===

impl SinkName {
    /// Names a sink.
    pub fn new(name: impl AsRef<str>) -> Self {
        Self(Arc::from(name.as_ref()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for SinkName {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl Borrow<str> for SinkName {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for SinkName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_form_of_a_config_shows_a_header_value() {
        let mut sink = OtlpSink::new(Endpoint::grpc("http://collector:4317").unwrap());
        sink.receiver.headers.push(Header::parse("authorization", "Bearer hunter2").unwrap());
        let config = Config::prometheus().with_sink("gateway", sink);
        let forms = [format!("{config:?}"), serde_json::to_string(&config).unwrap()];
        for form in forms {
            assert!(!form.contains("hunter2"), "{form}");
            assert!(form.contains("authorization"), "{form}");
        }
    }

    #[test]
    fn no_form_of_a_config_shows_a_key_or_a_certificate() {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["planted.example".to_owned()]).unwrap();
        let (certificate, key) = (params.self_signed(&key).unwrap().pem(), key.serialize_pem());
        let now = std::time::SystemTime::now();
        let certified = CertifiedKey::parse(certificate.as_bytes(), key.as_bytes(), now).unwrap();
        let bundle = CaBundle::parse(certificate.as_bytes(), now).unwrap();
        let mut sink = OtlpSink::new(Endpoint::grpc("https://collector:4317").unwrap());
        sink.receiver.tls = ClientTls {
            roots: Roots::Bundle(bundle.clone()),
            client_certificate: Some(certified.clone()),
            server_name: Some(ServerName::parse("shown.example").unwrap()),
        };
        let server = ServerTls { certificate: certified, client_ca: Some(bundle) };
        let scraped = MetricSink::Prometheus(ScrapeTransport::Tls(server));
        let config = Config::off().with_sink("gateway", sink).with_sink("prometheus", scraped);

        let forms = [format!("{config:#?}"), serde_json::to_string(&config).unwrap()];
        let pems = [certificate, key].map(|pem| pem::parse(pem).unwrap().into_contents());
        let secrets: Vec<String> = pems
            .iter()
            .flat_map(|der| der.windows(8))
            .flat_map(|bytes| {
                let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                [numbers.join(","), numbers.join(", "), hex]
            })
            .collect();
        for form in forms.map(|form| form.to_lowercase()) {
            assert!(form.contains("shown.example") && form.contains("ecdsa"), "{form}");
            assert!(!form.contains("planted.example") && !form.contains("begin"), "{form}");
            assert!(!secrets.iter().any(|secret| form.contains(secret)), "{form}");
        }
    }

    #[test]
    fn a_config_reads_like_the_resource_it_came_from() {
        let sink = OtlpSink::new(Endpoint::grpc("http://collector:4317").unwrap());
        let config = Config::off().with_sink("gateway", sink);
        let shown = serde_json::to_value(config).unwrap();
        assert_eq!(
            shown["metrics"]["sinks"],
            serde_json::json!({"gateway": {"otlp": {
                "endpoint": "http://collector:4317",
                "protocol": "GRPC",
                "compression": "Gzip",
                "timeoutSeconds": 10.0,
                "headers": [],
                "exportPeriodSeconds": 60.0,
                "temporality": "Cumulative",
            }}})
        );
    }
}
