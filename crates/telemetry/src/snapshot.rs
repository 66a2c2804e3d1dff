//! All totals at one moment, in the form that every sink sends or shows.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_sdk::metrics::data;
use prost::Message as _;

use crate::request::Request;
use crate::signal::Signal;

/// gRPC servers refuse messages over 4 MiB unless told otherwise, counted uncompressed.
const REQUEST_LIMIT: usize = 3_500_000;

/// All totals at one moment. Shared by `Arc`: converted once, however many sinks there are.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// Later snapshots of a generation have higher ones.
    sequence: u64,
    scopes: Vec<ScopeMetrics>,
}

// === impl Snapshot ===

impl Snapshot {
    pub(crate) fn new(sequence: u64, collected: &data::ResourceMetrics) -> Self {
        let converted = ExportMetricsServiceRequest::from(collected);
        let mut scopes: Vec<ScopeMetrics> = converted
            .resource_metrics
            .into_iter()
            .flat_map(|resource| resource.scope_metrics)
            .collect();
        let metrics = scopes.iter_mut().flat_map(|scope| &mut scope.metrics);
        metrics.for_each(drop_extremes);
        Self { sequence, scopes }
    }

    #[cfg(test)]
    pub(crate) fn from_scopes(scopes: Vec<ScopeMetrics>) -> Self {
        Self { sequence: 0, scopes }
    }

    /// Whether this was taken later: no total in it is below that in `other`.
    pub(crate) fn is_newer_than(&self, other: &Self) -> bool {
        self.sequence > other.sequence
    }

    pub(crate) fn scopes(&self) -> &[ScopeMetrics] {
        &self.scopes
    }

    /// How many data points this has.
    pub(crate) fn points(&self) -> u64 {
        points(&self.scopes)
    }

    /// This as requests that a server takes.
    ///
    /// There is always one: where nothing was recorded yet, an empty one still tells whether the
    /// receiver can be reached.
    pub(crate) fn requests(&self, resource: &Resource) -> Vec<Request> {
        requests(self.scopes.clone(), resource)
    }
}

/// These metrics as requests that a server takes.
pub(crate) fn requests(scopes: Vec<ScopeMetrics>, resource: &Resource) -> Vec<Request> {
    let mut parts = Vec::new();
    split(scopes, REQUEST_LIMIT, &mut parts);
    parts
        .into_iter()
        .map(|scope_metrics| {
            let points = points(&scope_metrics);
            Request::encode(Signal::Metrics, &request(resource, scope_metrics), points)
        })
        .collect()
}

fn request(resource: &Resource, scope_metrics: Vec<ScopeMetrics>) -> ExportMetricsServiceRequest {
    if scope_metrics.is_empty() {
        return ExportMetricsServiceRequest::default();
    }
    let resource = Some(resource.clone());
    let resource_metrics =
        ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }
}

/// Minimum and maximum since the start say nothing about a cumulative series, and Kyverno sends
/// none; the SDK can leave them out only through a view that also repeats every boundary.
fn drop_extremes(metric: &mut Metric) {
    match &mut metric.data {
        Some(Data::Histogram(histogram)) => {
            for point in &mut histogram.data_points {
                (point.min, point.max) = (None, None);
            }
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            for point in &mut histogram.data_points {
                (point.min, point.max) = (None, None);
            }
        }
        _ => {}
    }
}

/// Cuts `scopes` in halves until each part fits; a single point that does not is sent as it is.
fn split(mut scopes: Vec<ScopeMetrics>, limit: usize, parts: &mut Vec<Vec<ScopeMetrics>>) {
    let size: usize = scopes.iter().map(ScopeMetrics::encoded_len).sum();
    match (size > limit).then(|| halve(&mut scopes)).flatten() {
        Some(rest) => {
            split(scopes, limit, parts);
            split(rest, limit, parts);
        }
        None => parts.push(scopes),
    }
}

fn halve(scopes: &mut Vec<ScopeMetrics>) -> Option<Vec<ScopeMetrics>> {
    if scopes.len() > 1 {
        return Some(scopes.split_off(scopes.len() / 2));
    }
    let scope = scopes.first_mut()?;
    let metrics = match scope.metrics.as_mut_slice() {
        [metric] => vec![halve_points(metric)?],
        metrics => {
            let middle = metrics.len() / 2;
            scope.metrics.split_off(middle)
        }
    };
    let ScopeMetrics { scope, schema_url, metrics: _ } = scope;
    Some(vec![ScopeMetrics { scope: scope.clone(), schema_url: schema_url.clone(), metrics }])
}

fn halve_points(metric: &mut Metric) -> Option<Metric> {
    /// Moves half of the points of `$data` into a copy of everything else.
    macro_rules! halve {
        ($kind:ident, $data:expr) => {{
            let middle = $data.data_points.len() / 2;
            let second = (middle > 0).then(|| $data.data_points.split_off(middle))?;
            let first = std::mem::take(&mut $data.data_points);
            let mut half = $data.clone();
            ($data.data_points, half.data_points) = (first, second);
            Data::$kind(half)
        }};
    }
    let half = match metric.data.as_mut()? {
        Data::Gauge(data) => halve!(Gauge, data),
        Data::Sum(data) => halve!(Sum, data),
        Data::Histogram(data) => halve!(Histogram, data),
        Data::ExponentialHistogram(data) => halve!(ExponentialHistogram, data),
        Data::Summary(data) => halve!(Summary, data),
    };
    let kept = metric.data.take();
    let rest = Metric { data: Some(half), ..metric.clone() };
    metric.data = kept;
    Some(rest)
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
