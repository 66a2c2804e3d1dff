//! Where metrics go, and in which shape.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use serde::Serialize;

use super::{Endpoint, OtlpReceiver, ServerTls, SinkName, View, seconds};

/// How often a sink exports unless told otherwise.
pub const DEFAULT_PERIOD: Duration = Duration::from_secs(60);
/// How many attribute sets one metric may have unless told otherwise.
pub const DEFAULT_CARDINALITY_LIMIT: NonZeroU32 = NonZeroU32::new(2000).expect("2000 is not zero");

/// Where metrics go, and in which shape.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// To every one of these; to none means nowhere. Instruments keep counting then, so that
    /// nothing is missing once metrics go somewhere.
    pub sinks: BTreeMap<SinkName, MetricSink>,
    /// What is decided when a value is recorded. A change of it is a new generation of
    /// instruments, except where metrics go nowhere.
    pub shape: MetricShape,
}

/// One place that metrics go to.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum MetricSink {
    /// Scraped, from [`serve_scrapes`](crate::serve_scrapes).
    Prometheus(ScrapeTransport),
    /// Pushed.
    Otlp(OtlpSink),
}

/// How scrapes are served.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ScrapeTransport {
    /// By HTTP.
    Plaintext,
    /// By HTTPS.
    Tls(ServerTls),
}

/// A receiver of metrics, and how to export to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OtlpSink {
    /// The other side.
    #[serde(flatten)]
    pub receiver: OtlpReceiver,
    /// How often to export.
    #[serde(rename = "exportPeriodSeconds", serialize_with = "seconds")]
    pub period: Duration,
    /// What a number counts from.
    pub temporality: Temporality,
}

/// What an exported number counts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Temporality {
    /// The start of the series.
    #[default]
    Cumulative,
    /// The export before; for up-down counters the start of the series, as OpenTelemetry asks.
    Delta,
    /// Delta for synchronous counters and histograms, cumulative for the rest.
    LowMemory,
}

/// What is decided when a value is recorded.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MetricShape {
    /// How many attribute sets one metric may have, that of the overflow included.
    /// After a change of the shape, what was counted before it has its own as many, until the
    /// next change.
    pub cardinality_limit: NonZeroU32,
    /// Which measurements count at all.
    pub values: ValueFilter,
    /// Changes to single metrics, in order: of two that set the same thing the later one wins.
    pub views: Vec<View>,
}

/// Which measurements count, by the value of one attribute. Instruments that do not declare the
/// attribute are not affected, nor are measurements in which it is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ValueFilter {
    /// The key of the attribute.
    pub key: String,
    /// The only values that count; empty means all.
    pub include: BTreeSet<String>,
    /// Values that do not count, even if they are included.
    pub exclude: BTreeSet<String>,
}

// === impl MetricSink ===

impl From<OtlpSink> for MetricSink {
    fn from(sink: OtlpSink) -> Self {
        Self::Otlp(sink)
    }
}

// === impl OtlpSink ===

impl OtlpSink {
    /// Everything by default: gzip, 10 s, every minute, no headers, cumulative.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            receiver: OtlpReceiver::new(endpoint),
            period: DEFAULT_PERIOD,
            temporality: Temporality::Cumulative,
        }
    }
}

// === impl MetricShape ===

impl Default for MetricShape {
    fn default() -> Self {
        Self {
            cardinality_limit: DEFAULT_CARDINALITY_LIMIT,
            values: ValueFilter::default(),
            views: Vec::new(),
        }
    }
}

// === impl ValueFilter ===

impl ValueFilter {
    /// Whether every measurement counts.
    pub fn is_open(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// Whether a measurement with this value counts.
    pub fn admits(&self, value: &str) -> bool {
        value.is_empty()
            || (!self.exclude.contains(value)
                && (self.include.is_empty() || self.include.contains(value)))
    }
}
