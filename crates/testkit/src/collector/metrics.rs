//! Points of metrics, as the Collector got them.

use std::collections::BTreeMap;
use std::sync::Arc;

/// One request that the Collector accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Export {
    /// The points of all metrics, in their order in the request.
    pub points: Vec<Point>,
}

/// A data point of a sum, a gauge or a histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Which series it belongs to.
    pub series: Arc<Series>,
    /// When the series started, in nanoseconds since 1970.
    pub start_time: u64,
    /// When the value was taken, in nanoseconds since 1970.
    pub time: u64,
    /// The value.
    pub value: Value,
}

/// What makes a series one: writer, instrument and attributes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    /// The resource attributes.
    pub resource: BTreeMap<String, String>,
    /// The instrumentation scope.
    pub scope: String,
    /// The metric name.
    pub metric: String,
    /// The attributes of the point.
    pub attributes: BTreeMap<String, String>,
}

/// The value of a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A sum or gauge of integers.
    Int(i64),
    /// A sum or gauge of floating point numbers.
    Double(f64),
    /// A histogram of either kind, without its buckets.
    Histogram {
        /// How many values were recorded.
        count: u64,
        /// Their sum.
        sum: f64,
    },
}

// === impl Export ===

impl Export {
    /// The points of one metric.
    pub fn metric<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Point> {
        self.points.iter().filter(move |point| point.series.metric == name)
    }

    /// The sum over the series of one metric; `None` if it is not in this export. Meaningful where
    /// one process sent the request.
    #[must_use]
    pub fn total(&self, metric: &str) -> Option<f64> {
        self.metric(metric).map(|point| point.value.total()).reduce(|a, b| a + b)
    }
}

// === impl Series ===

impl Series {
    /// The process that wrote it.
    #[must_use]
    pub fn instance_id(&self) -> Option<&str> {
        self.resource.get("service.instance.id").map(String::as_str)
    }
}

// === impl Value ===

impl Value {
    /// The number, or a histogram's count.
    #[must_use]
    pub fn total(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Double(value) => value,
            Self::Histogram { count, .. } => count as f64,
        }
    }
}
