//! Which metrics have more attribute sets than they may.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::metrics::v1::ScopeMetrics;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;

use crate::carry::{Point, is_overflow};

/// The names of the metrics with a series for what others have no room for.
pub(super) fn overflowing(scopes: &[ScopeMetrics]) -> BTreeSet<String> {
    let metrics = scopes.iter().flat_map(|scope| &scope.metrics);
    metrics.filter(|it| it.data.as_ref().is_some_and(overflows)).map(|it| it.name.clone()).collect()
}

fn overflows(data: &Data) -> bool {
    fn any<P: Point>(points: &[P]) -> bool {
        points.iter().any(|point| is_overflow(point.attributes()))
    }
    match data {
        Data::Sum(sum) => any(&sum.data_points),
        Data::Gauge(gauge) => any(&gauge.data_points),
        Data::Histogram(histogram) => any(&histogram.data_points),
        Data::ExponentialHistogram(histogram) => any(&histogram.data_points),
        Data::Summary(_) => false,
    }
}
