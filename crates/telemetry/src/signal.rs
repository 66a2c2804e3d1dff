//! The three kinds of telemetry.

use std::fmt;

use serde::Serialize;

use crate::config::SinkName;

/// A kind of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// Totals and distributions.
    Metrics,
    /// Spans.
    Traces,
    /// Log records.
    Logs,
}

/// One sink of one signal. One exporter that serves two signals is two sinks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SinkId {
    /// What it takes.
    pub signal: Signal,
    /// Its name in the configuration.
    pub name: SinkName,
}

// === impl Signal ===

impl Signal {
    /// Every signal.
    pub const ALL: [Self; 3] = [Self::Metrics, Self::Traces, Self::Logs];

    /// `metrics`, `traces` or `logs`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Traces => "traces",
            Self::Logs => "logs",
        }
    }

    /// What one item of it is called: `data_point`, `span` or `log_record`.
    pub fn item(self) -> &'static str {
        match self {
            Self::Metrics => "data_point",
            Self::Traces => "span",
            Self::Logs => "log_record",
        }
    }

    /// The method of OTLP over gRPC.
    pub(crate) fn grpc_path(self) -> &'static str {
        match self {
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
        }
    }

    /// What OTLP over HTTP appends to the path of the endpoint.
    pub(crate) fn http_path(self) -> &'static str {
        match self {
            Self::Metrics => "/v1/metrics",
            Self::Traces => "/v1/traces",
            Self::Logs => "/v1/logs",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

// === impl SinkId ===

impl SinkId {
    /// The sink of `signal` that is named `name`.
    pub fn new(signal: Signal, name: impl Into<SinkName>) -> Self {
        Self { signal, name: name.into() }
    }
}

impl fmt::Display for SinkId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.signal, self.name)
    }
}

impl Serialize for SinkId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
