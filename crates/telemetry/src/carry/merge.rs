//! What several generations of instruments counted, as one.

use std::collections::HashMap;

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ScopeMetrics};

use super::points::{add_histogram, add_number};
use super::{Shapes, exponential, series};

/// Adds the totals `from` an older generation, carried into the shape of `into`, to those of a
/// newer one: sums and histograms are added up from the earlier start to the later time, of gauges
/// the newer generation's stays. Takes time in proportion to the number of series.
pub(crate) fn merge(into: &mut Vec<ScopeMetrics>, from: Vec<ScopeMetrics>, shapes: &dyn Shapes) {
    for older in from {
        let Some(scope) = into.iter_mut().find(|newer| newer.scope == older.scope) else {
            into.push(older);
            continue;
        };
        let name = scope.scope.as_ref().map_or("", |scope| scope.name.as_str());
        let places = scope.metrics.iter().enumerate();
        let places: HashMap<String, usize> =
            places.map(|(place, metric)| (metric.name.clone(), place)).collect();
        for metric in older.metrics {
            match places.get(&metric.name) {
                Some(place) => {
                    let shape = shapes.shape(name, &metric.name);
                    let max_size =
                        shape.map_or(exponential::DEFAULT_MAX_SIZE, |shape| shape.max_size());
                    merge_metric(&mut scope.metrics[*place], metric, max_size);
                }
                None => scope.metrics.push(metric),
            }
        }
    }
}

fn merge_metric(into: &mut Metric, from: Metric, max_size: u32) {
    match (&mut into.data, from.data) {
        (Some(Data::Sum(into)), Some(Data::Sum(from))) => {
            series::unite(&mut into.data_points, from.data_points, add_number);
        }
        (Some(Data::Gauge(into)), Some(Data::Gauge(from))) => {
            series::unite(&mut into.data_points, from.data_points, |_newer, _older| {});
        }
        (Some(Data::Histogram(into)), Some(Data::Histogram(from))) => {
            series::unite(&mut into.data_points, from.data_points, add_histogram);
        }
        (Some(Data::ExponentialHistogram(into)), Some(Data::ExponentialHistogram(from))) => {
            let add = |into: &mut _, from| exponential::add(into, from, max_size);
            series::unite(&mut into.data_points, from.data_points, add);
        }
        (none @ None, from) => *none = from,
        // Carried totals have the kind that the newer generation gives the stream.
        _ => {}
    }
}
