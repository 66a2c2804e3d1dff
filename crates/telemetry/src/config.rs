//! What should run: resolved, parsed, with no default left open.
//!
//! The caller translates whatever it is configured with (a custom resource, flags) into a
//! [`Config`]; from here on nothing has to be validated again. A `Config` holds header values, so
//! its `Debug` and `Serialize` forms show none.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

mod endpoint;
mod header;

pub use endpoint::{Endpoint, EndpointError};
pub use header::{Header, HeaderError, Redacted};

/// How often a sink exports unless told otherwise.
pub const DEFAULT_PERIOD: Duration = Duration::from_secs(60);
/// How long one export may take unless told otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Everything that a pipeline can be told.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// Added to the resource of every export; the [`Identity`](crate::Identity) wins.
    pub resource_attributes: BTreeMap<String, String>,
    /// Where metrics go.
    pub metrics: Metrics,
}

/// Where metrics go.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Metrics {
    /// Nowhere. Instruments keep counting, so that nothing is missing once they go somewhere.
    Disabled,
    /// To every one of these sinks.
    Enabled(BTreeMap<SinkName, MetricSink>),
}

/// The name of a sink. A sink that changes under its name is swapped, not removed and added.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct SinkName(Arc<str>);

/// One place that metrics go to.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum MetricSink {
    /// Scraped, from [`serve_scrapes`](crate::serve_scrapes).
    Prometheus,
    /// Pushed.
    Otlp(OtlpSink),
}

/// A receiver of OTLP over gRPC, and how to export to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OtlpSink {
    /// The receiver.
    pub endpoint: Endpoint,
    /// How requests are compressed.
    pub compression: Compression,
    /// How long one export may take.
    #[serde(rename = "timeoutSeconds", serialize_with = "seconds")]
    pub timeout: Duration,
    /// How often to export.
    #[serde(rename = "exportPeriodSeconds", serialize_with = "seconds")]
    pub period: Duration,
    /// Sent with every request.
    pub headers: Vec<Header>,
}

/// How requests are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

// === impl Config ===

impl Config {
    /// Nothing goes anywhere. What a pipeline runs when it has just started.
    pub fn off() -> Self {
        Self { resource_attributes: BTreeMap::new(), metrics: Metrics::Disabled }
    }

    /// Metrics can be scraped, and nothing else: the sink is named `prometheus`.
    pub fn prometheus() -> Self {
        Self::off().with_sink("prometheus", MetricSink::Prometheus)
    }

    /// This and one more sink for metrics.
    #[must_use]
    pub fn with_sink(mut self, name: impl Into<SinkName>, sink: impl Into<MetricSink>) -> Self {
        let mut sinks = match self.metrics {
            Metrics::Disabled => BTreeMap::new(),
            Metrics::Enabled(sinks) => sinks,
        };
        sinks.insert(name.into(), sink.into());
        self.metrics = Metrics::Enabled(sinks);
        self
    }

    /// The sinks of metrics, in the order of their names.
    pub fn metric_sinks(&self) -> impl Iterator<Item = (&SinkName, &MetricSink)> {
        match &self.metrics {
            Metrics::Disabled => None,
            Metrics::Enabled(sinks) => Some(sinks),
        }
        .into_iter()
        .flatten()
    }

    /// The sinks that a scraper may read.
    pub(crate) fn scraped(&self) -> impl Iterator<Item = &SinkName> {
        self.metric_sinks()
            .filter(|(_, sink)| matches!(sink, MetricSink::Prometheus))
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

// === impl MetricSink ===

impl From<OtlpSink> for MetricSink {
    fn from(sink: OtlpSink) -> Self {
        Self::Otlp(sink)
    }
}

// === impl OtlpSink ===

impl OtlpSink {
    /// Everything by default: gzip, 10 s, every minute, no headers.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            compression: Compression::Gzip,
            timeout: DEFAULT_TIMEOUT,
            period: DEFAULT_PERIOD,
            headers: Vec::new(),
        }
    }
}

fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_form_of_a_config_shows_a_header_value() {
        let mut sink = OtlpSink::new(Endpoint::parse("http://collector:4317").unwrap());
        sink.headers.push(Header::parse("authorization", "Bearer hunter2").unwrap());
        let config = Config::prometheus().with_sink("gateway", sink);
        let forms = [format!("{config:?}"), serde_json::to_string(&config).unwrap()];
        for form in forms {
            assert!(!form.contains("hunter2"), "{form}");
            assert!(form.contains("authorization"), "{form}");
        }
    }

    #[test]
    fn a_config_reads_like_the_resource_it_came_from() {
        let sink = OtlpSink::new(Endpoint::parse("http://collector:4317").unwrap());
        let config = Config::off().with_sink("gateway", sink);
        assert_eq!(
            serde_json::to_value(config).unwrap(),
            serde_json::json!({
                "resourceAttributes": {},
                "metrics": {"enabled": {"gateway": {"otlp": {
                    "endpoint": "http://collector:4317",
                    "compression": "Gzip",
                    "timeoutSeconds": 10.0,
                    "exportPeriodSeconds": 60.0,
                    "headers": [],
                }}}},
            })
        );
    }
}
