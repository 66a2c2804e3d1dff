//! What the points of all metrics have in common, and how two of one series become one.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint,
};

/// One point of one series.
pub(crate) trait Point {
    fn attributes(&self) -> &[KeyValue];
    fn attributes_mut(&mut self) -> &mut Vec<KeyValue>;
    /// When it started to count.
    fn start(&self) -> u64;
    fn start_mut(&mut self) -> &mut u64;
    /// Until when it counted.
    fn time_mut(&mut self) -> &mut u64;
}

macro_rules! point {
    ($($point:ty),*) => {
        $(impl Point for $point {
            fn attributes(&self) -> &[KeyValue] {
                &self.attributes
            }

            fn attributes_mut(&mut self) -> &mut Vec<KeyValue> {
                &mut self.attributes
            }

            fn start(&self) -> u64 {
                self.start_time_unix_nano
            }

            fn start_mut(&mut self) -> &mut u64 {
                &mut self.start_time_unix_nano
            }

            fn time_mut(&mut self) -> &mut u64 {
                &mut self.time_unix_nano
            }
        })*
    };
}

point!(NumberDataPoint, HistogramDataPoint, ExponentialHistogramDataPoint);

pub(super) fn is_empty(data: &Data) -> bool {
    match data {
        Data::Sum(sum) => sum.data_points.is_empty(),
        Data::Gauge(gauge) => gauge.data_points.is_empty(),
        Data::Histogram(histogram) => histogram.data_points.is_empty(),
        Data::ExponentialHistogram(histogram) => histogram.data_points.is_empty(),
        Data::Summary(summary) => summary.data_points.is_empty(),
    }
}

pub(super) fn add_number(into: &mut NumberDataPoint, from: NumberDataPoint) {
    into.value = match (into.value, from.value) {
        (Some(Value::AsInt(one)), Some(Value::AsInt(other))) => {
            Some(Value::AsInt(one.saturating_add(other)))
        }
        (Some(one), Some(other)) => Some(Value::AsDouble(float(one) + float(other))),
        (one, other) => one.or(other),
    };
    join_spans(
        (&mut into.start_time_unix_nano, &mut into.time_unix_nano),
        (from.start_time_unix_nano, from.time_unix_nano),
    );
    if into.exemplars.is_empty() {
        into.exemplars = from.exemplars;
    }
}

/// Of two gauges the one that was read later; of two read together, the one that comes later.
pub(super) fn newest(into: &mut NumberDataPoint, from: NumberDataPoint) {
    if from.time_unix_nano >= into.time_unix_nano {
        *into = from;
    }
}

/// Adds a point with the same boundaries; one with others has no place.
pub(super) fn add_histogram(into: &mut HistogramDataPoint, from: HistogramDataPoint) {
    if into.explicit_bounds != from.explicit_bounds
        || into.bucket_counts.len() != from.bucket_counts.len()
    {
        return;
    }
    for (count, more) in into.bucket_counts.iter_mut().zip(from.bucket_counts) {
        *count += more;
    }
    into.count += from.count;
    into.sum = add_sums(into.sum, from.sum);
    (into.min, into.max) = (None, None);
    join_spans(
        (&mut into.start_time_unix_nano, &mut into.time_unix_nano),
        (from.start_time_unix_nano, from.time_unix_nano),
    );
    if into.exemplars.is_empty() {
        into.exemplars = from.exemplars;
    }
}

/// The sum of both; unknown where one is.
pub(super) fn add_sums(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.zip(other).map(|(one, other)| one + other)
}

/// From the earlier start to the later time.
pub(super) fn join_spans(into: (&mut u64, &mut u64), from: (u64, u64)) {
    *into.0 = (*into.0).min(from.0);
    *into.1 = (*into.1).max(from.1);
}

fn float(value: Value) -> f64 {
    match value {
        Value::AsInt(value) => value as f64,
        Value::AsDouble(value) => value,
    }
}
