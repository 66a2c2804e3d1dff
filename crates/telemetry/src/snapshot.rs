//! All totals at one moment, in the form that every sink sends or shows.

use std::collections::BTreeMap;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_sdk::metrics::data;

use crate::carry::{Era, Point, canonical};
use crate::instrument::InstrumentKind;
use crate::request::Request;
use crate::signal::Signal;

mod encode;

/// gRPC servers refuse messages over 4 MiB unless told otherwise, counted uncompressed.
const REQUEST_LIMIT: usize = 3_500_000;

/// All totals at one moment. Shared by `Arc`: converted once, however many sinks there are.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// Later snapshots of a generation have higher ones.
    sequence: u64,
    /// Every point counts up to this moment, in nanoseconds since 1970.
    time: u64,
    scopes: Vec<ScopeMetrics>,
    /// The shape that they have.
    era: Arc<Era>,
    /// What is not declared.
    others: Arc<Kinds>,
}

/// The kinds of instruments that are not declared, by scope and name.
pub(crate) type Kinds = BTreeMap<String, BTreeMap<String, InstrumentKind>>;

// === impl Snapshot ===

impl Snapshot {
    /// The totals of `time`, in nanoseconds since 1970, in the shape of `era`.
    pub(crate) fn of(
        sequence: u64,
        time: u64,
        mut scopes: Vec<ScopeMetrics>,
        era: Arc<Era>,
    ) -> Self {
        let metrics = scopes.iter_mut().flat_map(|scope| &mut scope.metrics);
        metrics.for_each(|metric| normalize(metric, time));
        Self { sequence, time, scopes, era, others: Arc::default() }
    }

    /// This, with the kinds of instruments that have no shape.
    pub(crate) fn with_kinds(self, others: Arc<Kinds>) -> Self {
        Self { others, ..self }
    }

    #[cfg(test)]
    pub(crate) fn from_scopes(scopes: Vec<ScopeMetrics>) -> Self {
        Self { scopes, ..Self::default() }
    }

    /// Whether this was taken later: no total in it is below that in `other`.
    pub(crate) fn is_newer_than(&self, other: &Self) -> bool {
        self.sequence > other.sequence
    }

    /// Every point counts up to this moment, in nanoseconds since 1970.
    pub(crate) fn time(&self) -> u64 {
        self.time
    }

    pub(crate) fn era(&self) -> &Arc<Era> {
        &self.era
    }

    /// The kind of the instrument behind a metric.
    pub(crate) fn kind(&self, scope: &str, name: &str) -> Option<InstrumentKind> {
        let other = || self.others.get(scope).and_then(|names| names.get(name)).copied();
        self.era.kind(scope, name).or_else(other)
    }

    pub(crate) fn scopes(&self) -> &[ScopeMetrics] {
        &self.scopes
    }

    /// How many data points this has.
    pub(crate) fn points(&self) -> u64 {
        points(&self.scopes)
    }

    /// This as requests that a server takes; there is always one.
    pub(crate) fn requests(&self, resource: &Resource) -> Vec<Request> {
        requests(&self.scopes, resource)
    }
}

/// These metrics as requests that a server takes.
///
/// There is always one: where nothing was recorded, an empty one still tells whether the receiver
/// can be reached.
pub(crate) fn requests(scopes: &[ScopeMetrics], resource: &Resource) -> Vec<Request> {
    let mut requests = encode::encode(scopes, resource, REQUEST_LIMIT);
    if requests.is_empty() {
        requests.push(Request::probe(Signal::Metrics));
    }
    requests
}

/// What the SDK collected, in the form that is sent.
pub(crate) fn convert(collected: &data::ResourceMetrics) -> Vec<ScopeMetrics> {
    let converted = ExportMetricsServiceRequest::from(collected).resource_metrics.into_iter();
    let mut scopes: Vec<_> = converted.flat_map(|resource| resource.scope_metrics).collect();
    scopes.iter_mut().flat_map(|scope| &mut scope.metrics).for_each(name_every_bucket);
    scopes
}

/// Without boundaries there is one bucket. The SDK leaves it out, which OTLP allows; here, every
/// histogram has one bucket more than boundaries.
fn name_every_bucket(metric: &mut Metric) {
    if let Some(Data::Histogram(histogram)) = &mut metric.data {
        for point in &mut histogram.data_points {
            if point.explicit_bounds.is_empty() && point.bucket_counts.is_empty() {
                point.bucket_counts = vec![point.count];
            }
        }
    }
}

/// Nanoseconds since 1970.
pub(crate) fn now() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or_default()
}

/// What holds of all points of a snapshot: one time, attributes in order, no extremes.
///
/// Minimum and maximum since the start say nothing about a cumulative series, and Kyverno sends
/// none; the SDK can leave them out only through a view that also repeats every boundary.
fn normalize(metric: &mut Metric, time: u64) {
    fn points<P: Point>(points: &mut [P], time: u64) {
        for point in points {
            canonical(point.attributes_mut());
            *point.time_mut() = time;
        }
    }
    match &mut metric.data {
        Some(Data::Sum(sum)) => points(&mut sum.data_points, time),
        Some(Data::Gauge(gauge)) => points(&mut gauge.data_points, time),
        Some(Data::Histogram(histogram)) => {
            points(&mut histogram.data_points, time);
            for point in &mut histogram.data_points {
                (point.min, point.max) = (None, None);
            }
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            points(&mut histogram.data_points, time);
            for point in &mut histogram.data_points {
                (point.min, point.max) = (None, None);
            }
        }
        Some(Data::Summary(_)) | None => {}
    }
}

fn points(scopes: &[ScopeMetrics]) -> u64 {
    let metrics = scopes.iter().flat_map(|scope| &scope.metrics);
    let points = metrics.map(|metric| match &metric.data {
        Some(Data::Gauge(data)) => data.data_points.len(),
        Some(Data::Sum(data)) => data.data_points.len(),
        Some(Data::Histogram(data)) => data.data_points.len(),
        Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
        Some(Data::Summary(data)) => data.data_points.len(),
        None => 0,
    });
    points.sum::<usize>() as u64
}

#[cfg(test)]
mod tests;
