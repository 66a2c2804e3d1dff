//! The JSON encoding of OTLP metrics, as far as the tests look into it.
//!
//! Fields of default value are absent, and 64-bit integers are strings.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};

use super::{Export, Point, Series, Value};

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
struct Attributed {
    attributes: Vec<KeyValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ScopeMetrics {
    scope: Scope,
    metrics: Vec<Metric>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Scope {
    name: String,
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

#[derive(Deserialize)]
struct KeyValue {
    key: String,
    #[serde(default)]
    value: serde_json::Map<String, serde_json::Value>,
}

pub(super) fn parse(line: &[u8]) -> serde_json::Result<Export> {
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
    Ok(Export { points })
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

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|pair| (pair.key, text(pair.value))).collect()
}

/// The text of `{"stringValue": ..}`, `{"boolValue": ..}`, `{"intValue": ".."}` and their like.
fn text(value: serde_json::Map<String, serde_json::Value>) -> String {
    match value.into_iter().next() {
        Some((_, serde_json::Value::String(text))) => text,
        Some((_, other)) => other.to_string(),
        None => String::new(),
    }
}

fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

fn some_integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}
