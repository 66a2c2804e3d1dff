//! Metrics.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::{Attributed, KeyValue, Scope, attributes, integer, some_integer};
use crate::collector::metrics::{Export, Point, Series, Value};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Request {
    resource_metrics: Vec<ResourceMetrics>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ResourceMetrics {
    resource: Attributed,
    scope_metrics: Vec<ScopeMetrics>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ScopeMetrics {
    scope: Scope,
    metrics: Vec<Metric>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metric {
    name: String,
    sum: Option<DataPoints>,
    gauge: Option<DataPoints>,
    histogram: Option<DataPoints>,
    exponential_histogram: Option<DataPoints>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DataPoints {
    #[serde(default)]
    data_points: Vec<DataPoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DataPoint {
    #[serde(default)]
    attributes: Vec<KeyValue>,
    #[serde(default, deserialize_with = "integer")]
    start_time_unix_nano: u64,
    #[serde(default, deserialize_with = "integer")]
    time_unix_nano: u64,
    #[serde(default, deserialize_with = "some_integer")]
    as_int: Option<i64>,
    as_double: Option<f64>,
    #[serde(default, deserialize_with = "integer")]
    count: u64,
    #[serde(default)]
    sum: f64,
}

/// One export for each request.
pub(in crate::collector) fn metrics(line: &[u8]) -> serde_json::Result<Vec<Export>> {
    let request: Request = serde_json::from_slice(line)?;
    let mut points = Vec::new();
    for of_resource in request.resource_metrics {
        let resource = attributes(of_resource.resource.attributes);
        for of_scope in of_resource.scope_metrics {
            for metric in of_scope.metrics {
                metric.collect(&resource, &of_scope.scope.name, &mut points);
            }
        }
    }
    Ok(vec![Export { points }])
}

// === impl Metric ===

impl Metric {
    fn collect(self, resource: &BTreeMap<String, String>, scope: &str, points: &mut Vec<Point>) {
        let numbers = self.sum.into_iter().chain(self.gauge);
        let histograms = self.histogram.into_iter().chain(self.exponential_histogram);
        let numbers = numbers.flat_map(|data| data.data_points).map(|point| {
            let value = match point.as_int {
                Some(value) => Value::Int(value),
                None => Value::Double(point.as_double.unwrap_or_default()),
            };
            (point, value)
        });
        let histograms = histograms.flat_map(|data| data.data_points).map(|point| {
            let value = Value::Histogram { count: point.count, sum: point.sum };
            (point, value)
        });
        points.extend(numbers.chain(histograms).map(|(point, value)| Point {
            series: Arc::new(Series {
                resource: resource.clone(),
                scope: scope.to_owned(),
                metric: self.name.clone(),
                attributes: attributes(point.attributes),
            }),
            start_time: point.start_time_unix_nano,
            time: point.time_unix_nano,
            value,
        }));
    }
}
