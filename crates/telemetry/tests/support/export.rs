//! One request, as a receiver saw it.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use pharos_telemetry::config::Protocol;
use tonic::metadata::MetadataMap;

/// One request, as a receiver saw it.
#[derive(Clone, Debug)]
pub(crate) struct Taken<R> {
    pub(crate) request: R,
    /// The headers, by either protocol.
    pub(crate) metadata: MetadataMap,
    pub(crate) protocol: Protocol,
}

pub(crate) type Export = Taken<ExportMetricsServiceRequest>;
pub(crate) type SpanExport = Taken<ExportTraceServiceRequest>;
pub(crate) type LogExport = Taken<ExportLogsServiceRequest>;

/// One point of one series: what a receiver has to decide whether it goes on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) start: u64,
    pub(crate) time: u64,
    pub(crate) value: f64,
}

// === impl Taken ===

impl<R> Taken<R> {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.metadata.get(name).map(|value| value.to_str().unwrap())
    }
}

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
                Data::ExponentialHistogram(histogram) => {
                    points.extend(histogram.data_points.iter().map(|point| {
                        let (start, time) = (point.start_time_unix_nano, point.time_unix_nano);
                        let value = point.count as f64;
                        (series(&point.attributes), Point { start, time, value })
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

    pub(crate) fn resource(&self, key: &str) -> Option<String> {
        attribute(self.request.resource_metrics.first()?.resource.as_ref()?, key)
    }
}

impl SpanExport {
    pub(crate) fn spans(&self) -> impl Iterator<Item = &Span> {
        let scopes = self.request.resource_spans.iter().flat_map(|it| &it.scope_spans);
        scopes.flat_map(|scope| &scope.spans)
    }

    pub(crate) fn resource(&self, key: &str) -> Option<String> {
        attribute(self.request.resource_spans.first()?.resource.as_ref()?, key)
    }
}

impl LogExport {
    pub(crate) fn records(&self) -> impl Iterator<Item = &LogRecord> {
        let scopes = self.request.resource_logs.iter().flat_map(|it| &it.scope_logs);
        scopes.flat_map(|scope| &scope.log_records)
    }

    pub(crate) fn resource(&self, key: &str) -> Option<String> {
        attribute(self.request.resource_logs.first()?.resource.as_ref()?, key)
    }
}

fn attribute(resource: &Resource, key: &str) -> Option<String> {
    use opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue;
    let attribute = resource.attributes.iter().find(|it| it.key == key)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        StringValue(value) => Some(value.clone()),
        other => panic!("{other:?}"),
    }
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
