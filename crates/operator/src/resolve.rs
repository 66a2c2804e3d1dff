//! From a TelemetryConfig's spec to a configuration of the pipeline. Pure.
//!
//! Every problem is found at once, each with its field path. What the CRD offers and the pipeline
//! cannot do yet is a problem of its own kind, never ignored: the running configuration stays.

use std::collections::BTreeMap;
use std::time::Duration;

use pharos_api::condition::AcceptedReason;
use pharos_api::telemetryconfig::{
    Compression, Exporter, ExporterType, Header, MetricsSpec, Mode, OtlpExporter, OtlpProtocol,
    TelemetryConfigSpec, Temporality,
};
use pharos_telemetry::config::{
    self, Config, Endpoint, MetricSink, Metrics, OtlpReceiver, OtlpSink, ScrapeTransport, SinkName,
};

/// The cardinality limit that the pipeline has, and the CRD's default.
const CARDINALITY_LIMIT: i32 = 2000;

const WITHOUT_TLS: &str = "use an http:// endpoint without tls";
/// The longest message about problems, in bytes: a quarter of what a condition takes.
const LONGEST_SUMMARY: usize = 8192;

/// Why a spec cannot be programmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The path of the field, such as `spec.exporters[gateway].otlp.endpoint`.
    pub field: String,
    /// Whether the value is wrong, or right and not supported yet.
    pub kind: ProblemKind,
    /// What is wrong and what to do; stable, without times or addresses that change.
    pub message: String,
}

/// The kind of a problem; the order is the order of their weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProblemKind {
    /// The value makes no sense.
    Invalid,
    /// The value makes sense, and this version cannot do it.
    UnsupportedValue,
}

/// Every problem of a spec; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

/// Collects problems under field paths.
#[derive(Default)]
struct Findings(Vec<Problem>);

// === impl Problem ===

impl std::fmt::Display for Problem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.field, self.message)
    }
}

// === impl Problems ===

impl Problems {
    /// The problem of an object that cannot be decoded.
    pub fn undecodable(error: &str) -> Self {
        Self(vec![Problem {
            field: "spec".to_owned(),
            kind: ProblemKind::Invalid,
            message: format!("cannot be decoded: {error}"),
        }])
    }

    /// All problems in one message, or as many as fit: an object may have thousands.
    pub fn summary(&self) -> String {
        let whole = self.to_string();
        if whole.len() <= LONGEST_SUMMARY {
            return whole;
        }
        let shown = whole.floor_char_boundary(LONGEST_SUMMARY);
        format!("{}... ({} problems)", &whole[..shown], self.0.len())
    }

    /// The reason of `Accepted=False`: that of the gravest problem.
    pub fn reason(&self) -> AcceptedReason {
        match self.0.iter().map(|problem| problem.kind).min() {
            Some(ProblemKind::UnsupportedValue) => AcceptedReason::UnsupportedValue,
            Some(ProblemKind::Invalid) | None => AcceptedReason::Invalid,
        }
    }
}

impl std::fmt::Display for Problems {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(formatter, "{separator}{problem}")?;
        }
        Ok(())
    }
}

// === impl Findings ===

impl Findings {
    fn invalid(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.push(field.into(), ProblemKind::Invalid, message.into());
    }

    fn unsupported(&mut self, field: impl Into<String>, instead: &str) {
        let message = format!("not supported by this version of Pharos; {instead}");
        self.push(field.into(), ProblemKind::UnsupportedValue, message);
    }

    fn push(&mut self, field: String, kind: ProblemKind, message: String) {
        self.0.push(Problem { field, kind, message });
    }
}

/// Resolves a spec.
///
/// # Errors
/// Every [`Problem`] of the spec.
pub fn resolve(spec: &TelemetryConfigSpec) -> Result<Config, Problems> {
    // Destructured without `..`: a new field must be resolved or refused here.
    let TelemetryConfigSpec { components: _, resource, exporters, metrics, traces, logs } = spec;
    let mut findings = Findings::default();
    let sinks = exporters
        .iter()
        .filter_map(|exporter| Some((exporter.name.as_str(), sink(exporter, &mut findings)?)))
        .collect();
    if traces.as_ref().is_some_and(|traces| traces.mode == Mode::Enabled) {
        findings.unsupported("spec.traces", "remove it or set mode: Disabled");
    }
    if logs.as_ref().is_some_and(|logs| logs.mode == Mode::Enabled) {
        findings.unsupported("spec.logs", "remove it or set mode: Disabled");
    }
    let metrics = match metrics {
        None => Config::prometheus().metrics,
        Some(metrics) => resolve_metrics(metrics, exporters, &sinks, &mut findings),
    };
    let resource_attributes = resource
        .iter()
        .flat_map(|resource| &resource.attributes)
        .map(|attribute| (attribute.name.clone(), attribute.value.clone()))
        .collect();
    if findings.0.is_empty() {
        Ok(Config { resource_attributes, metrics, ..Config::off() })
    } else {
        Err(Problems(findings.0))
    }
}

fn resolve_metrics(
    metrics: &MetricsSpec,
    declared: &[Exporter],
    sinks: &BTreeMap<&str, MetricSink>,
    findings: &mut Findings,
) -> Metrics {
    let MetricsSpec {
        mode,
        exporters,
        export_period_seconds,
        temporality,
        cardinality_limit,
        namespaces,
        views,
    } = metrics;
    if *mode == Mode::Disabled {
        return Metrics::default();
    }
    if *temporality != Temporality::Cumulative {
        findings.unsupported("spec.metrics.temporality", "use Cumulative");
    }
    if *cardinality_limit != CARDINALITY_LIMIT {
        findings.unsupported("spec.metrics.cardinalityLimit", "use 2000");
    }
    if namespaces.is_some() {
        findings.unsupported("spec.metrics.namespaces", "remove it");
    }
    if !views.is_empty() {
        findings.unsupported("spec.metrics.views", "remove them");
    }
    let period = seconds(*export_period_seconds);
    if period.is_none() {
        findings.invalid("spec.metrics.exportPeriodSeconds", "must be at least 1");
    }
    if exporters.is_empty() {
        findings.invalid("spec.metrics.exporters", "must name at least one of spec.exporters");
    }
    let mut chosen = BTreeMap::new();
    for name in exporters {
        match sinks.get(name.as_str()) {
            Some(sink) => {
                chosen.insert(
                    SinkName::new(name),
                    with_period(sink.clone(), period.unwrap_or(config::DEFAULT_PERIOD)),
                );
            }
            // A declared exporter without a sink has its own problem already.
            None if declared.iter().any(|exporter| exporter.name == *name) => {}
            None => findings.invalid(
                "spec.metrics.exporters",
                format!("{name:?} is not the name of an entry of spec.exporters"),
            ),
        }
    }
    Metrics { sinks: chosen, ..Metrics::default() }
}

fn with_period(sink: MetricSink, period: Duration) -> MetricSink {
    match sink {
        MetricSink::Prometheus(transport) => MetricSink::Prometheus(transport),
        MetricSink::Otlp(sink) => MetricSink::Otlp(OtlpSink { period, ..sink }),
    }
}

fn sink(exporter: &Exporter, findings: &mut Findings) -> Option<MetricSink> {
    let Exporter { name, r#type, prometheus, otlp } = exporter;
    let path = format!("spec.exporters[{name}]");
    match (r#type, otlp) {
        (ExporterType::Prometheus, None) => {
            if prometheus.as_ref().is_some_and(|prometheus| prometheus.tls.is_some()) {
                findings.unsupported(format!("{path}.prometheus.tls"), "remove it");
            }
            Some(MetricSink::Prometheus(ScrapeTransport::Plaintext))
        }
        (ExporterType::Otlp, Some(otlp)) if prometheus.is_none() => {
            otlp_sink(&format!("{path}.otlp"), otlp, findings).map(MetricSink::Otlp)
        }
        (r#type, _) => {
            findings.invalid(path, format!("the settings do not fit type {type:?}"));
            None
        }
    }
}

fn otlp_sink(path: &str, otlp: &OtlpExporter, findings: &mut Findings) -> Option<OtlpSink> {
    let OtlpExporter { protocol, endpoint, compression, timeout_seconds, headers, tls } = otlp;
    let endpoint = match (protocol, tls) {
        (OtlpProtocol::HttpProtobuf, _) => {
            findings.unsupported(format!("{path}.protocol"), "use GRPC");
            None
        }
        (OtlpProtocol::Grpc, Some(_)) => {
            findings.unsupported(format!("{path}.tls"), WITHOUT_TLS);
            None
        }
        (OtlpProtocol::Grpc, None) if endpoint.starts_with("https://") => {
            findings.unsupported(format!("{path}.endpoint"), WITHOUT_TLS);
            None
        }
        (OtlpProtocol::Grpc, None) => Endpoint::grpc(endpoint)
            .map_err(|error| findings.invalid(format!("{path}.endpoint"), error.to_string()))
            .ok(),
    };
    let timeout = seconds(*timeout_seconds);
    if timeout.is_none() {
        findings.invalid(format!("{path}.timeoutSeconds"), "must be at least 1");
    }
    let headers =
        headers.iter().filter_map(|header| resolve_header(path, header, findings)).collect();
    let (endpoint, timeout) = (endpoint?, timeout?);
    let receiver = OtlpReceiver {
        compression: match compression {
            Compression::None => config::Compression::None,
            Compression::Gzip => config::Compression::Gzip,
            Compression::Zstd => config::Compression::Zstd,
        },
        timeout,
        headers,
        ..OtlpReceiver::new(endpoint)
    };
    Some(OtlpSink {
        receiver,
        period: config::DEFAULT_PERIOD,
        temporality: config::Temporality::Cumulative,
    })
}

fn resolve_header(path: &str, header: &Header, findings: &mut Findings) -> Option<config::Header> {
    let Header { name, value, value_from } = header;
    let path = format!("{path}.headers[{name}]");
    match (value, value_from) {
        (Some(value), None) => config::Header::parse(name, value)
            .map_err(|error| findings.invalid(path, error.to_string()))
            .ok(),
        (None, Some(_)) => {
            findings.unsupported(format!("{path}.valueFrom"), "use value");
            None
        }
        _ => {
            findings.invalid(path, "exactly one of value and valueFrom must be set");
            None
        }
    }
}

fn seconds(seconds: i32) -> Option<Duration> {
    let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0)?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests;
