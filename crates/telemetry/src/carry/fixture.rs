//! For tests: what instruments of a given shape make of measurements, told independently of how
//! totals are carried.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::common::v1::{self, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ScopeMetrics, Sum,
};

use crate::config::ValueFilter;
use crate::instrument::InstrumentKind;

use super::{Keys, Shapes, StreamAggregation, StreamShape};

pub(crate) const SCOPE: &str = "scope";
/// The scale at which [`Sample`] names buckets.
pub(crate) const FINEST: i32 = 20;

pub(crate) const KINDS: [InstrumentKind; 7] = [
    InstrumentKind::Counter,
    InstrumentKind::UpDownCounter,
    InstrumentKind::Histogram,
    InstrumentKind::Gauge,
    InstrumentKind::ObservableCounter,
    InstrumentKind::ObservableUpDownCounter,
    InstrumentKind::ObservableGauge,
];

/// The shapes of some streams of [`SCOPE`].
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) streams: BTreeMap<&'static str, StreamShape>,
    pub(crate) values: ValueFilter,
}

/// One measurement, with the attributes `a` and `b`.
///
/// Exponential histograms take it for the number of a bucket at the finest scale, explicit ones for
/// a value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) a: &'static str,
    pub(crate) b: &'static str,
    pub(crate) value: i64,
}

// === impl World ===

impl World {
    pub(crate) fn of(streams: impl IntoIterator<Item = (&'static str, StreamShape)>) -> Self {
        Self { streams: streams.into_iter().collect(), values: ValueFilter::default() }
    }

    /// Of one stream, `m`.
    pub(crate) fn one(shape: StreamShape) -> Self {
        Self::of([("m", shape)])
    }
}

impl Shapes for World {
    fn shape(&self, scope: &str, name: &str) -> Option<&StreamShape> {
        self.streams.get(name).filter(|_| scope == SCOPE)
    }

    fn values(&self) -> &ValueFilter {
        &self.values
    }
}

/// Both attributes, the aggregation of the kind, and room for ten series.
pub(crate) fn shape(kind: InstrumentKind) -> StreamShape {
    use InstrumentKind::{
        Counter, Gauge, Histogram, ObservableCounter, ObservableGauge, ObservableUpDownCounter,
        UpDownCounter,
    };
    let aggregation = match kind {
        Counter | UpDownCounter | ObservableCounter | ObservableUpDownCounter => {
            StreamAggregation::Sum
        }
        Gauge | ObservableGauge => StreamAggregation::LastValue,
        Histogram => StreamAggregation::Explicit(vec![0.0, 10.0, 20.0, 50.0]),
    };
    StreamShape { kind, dropped: false, keys: Keys::new(["a", "b"]), aggregation, limit: 10 }
}

pub(crate) fn sample(a: &'static str, b: &'static str, value: i64) -> Sample {
    Sample { a, b, value }
}

/// What an instrument of this shape tells after these measurements.
pub(crate) fn recorded(
    name: &str,
    shape: &StreamShape,
    samples: &[Sample],
    (start, time): (u64, u64),
) -> ScopeMetrics {
    let mut series: BTreeMap<String, (Vec<KeyValue>, Vec<i64>)> = BTreeMap::new();
    for sample in samples {
        let attributes: Vec<_> = [("a", sample.a), ("b", sample.b)]
            .into_iter()
            .filter(|(key, _)| shape.keys.contains(key))
            .map(|(key, value)| attribute(key, value))
            .collect();
        let values = series.entry(format!("{attributes:?}"));
        values.or_insert_with(|| (attributes, Vec::new())).1.push(sample.value);
    }
    let series: Vec<_> = series.into_values().collect();
    scope(name, data(shape, &series, (start, time)))
}

/// The data of series with these values.
pub(crate) fn data(
    shape: &StreamShape,
    series: &[(Vec<KeyValue>, Vec<i64>)],
    (start, time): (u64, u64),
) -> Data {
    let aggregation_temporality = AggregationTemporality::Cumulative.into();
    let number = |attributes: &Vec<KeyValue>, value: i64| NumberDataPoint {
        attributes: attributes.clone(),
        start_time_unix_nano: start,
        time_unix_nano: time,
        value: Some(Value::AsInt(value)),
        ..NumberDataPoint::default()
    };
    match &shape.aggregation {
        StreamAggregation::Sum => Data::Sum(Sum {
            data_points: series.iter().map(|(of, all)| number(of, all.iter().sum())).collect(),
            aggregation_temporality,
            is_monotonic: matches!(
                shape.kind,
                InstrumentKind::Counter | InstrumentKind::ObservableCounter
            ),
        }),
        StreamAggregation::LastValue => Data::Gauge(Gauge {
            data_points: series.iter().map(|(of, all)| number(of, *all.last().unwrap())).collect(),
        }),
        StreamAggregation::Explicit(bounds) => Data::Histogram(Histogram {
            data_points: series
                .iter()
                .map(|(of, all)| HistogramDataPoint {
                    start_time_unix_nano: start,
                    time_unix_nano: time,
                    ..explicit(of, all, bounds)
                })
                .collect(),
            aggregation_temporality,
        }),
        StreamAggregation::Exponential { max_size, max_scale } => {
            Data::ExponentialHistogram(ExponentialHistogram {
                data_points: series
                    .iter()
                    .map(|(of, all)| ExponentialHistogramDataPoint {
                        attributes: of.clone(),
                        start_time_unix_nano: start,
                        time_unix_nano: time,
                        ..exponential(all, *max_size, i32::from(*max_scale))
                    })
                    .collect(),
                aggregation_temporality,
            })
        }
    }
}

fn explicit(attributes: &[KeyValue], values: &[i64], bounds: &[f64]) -> HistogramDataPoint {
    let mut bucket_counts = vec![0; bounds.len() + 1];
    for value in values {
        bucket_counts[bounds.iter().filter(|bound| *value as f64 > **bound).count()] += 1;
    }
    HistogramDataPoint {
        attributes: attributes.to_vec(),
        count: values.len() as u64,
        sum: Some(values.iter().sum::<i64>() as f64),
        bucket_counts,
        explicit_bounds: bounds.to_vec(),
        ..HistogramDataPoint::default()
    }
}

/// The finest histogram of these buckets that fits: each `value` above zero is bucket `value - 100`
/// of the positive side, each below zero `-value - 100` of the negative one.
pub(crate) fn exponential(
    values: &[i64],
    max_size: u32,
    max_scale: i32,
) -> ExponentialHistogramDataPoint {
    let side = |sign: i64| -> Vec<i64> {
        values.iter().map(|value| value * sign).filter(|it| *it > 0).map(|it| it - 100).collect()
    };
    let sides = [side(1), side(-1)];
    let fits = |scale: &i32| {
        sides.iter().all(|side| {
            let at = |bucket: &i64| bucket >> (FINEST - scale);
            let (low, high) = (side.iter().map(at).min(), side.iter().map(at).max());
            low.zip(high).is_none_or(|(low, high)| high - low < i64::from(max_size))
        })
    };
    let scale = (-11..=max_scale).rev().find(fits).unwrap_or(-11);
    let [positive, negative] = sides.map(|side| {
        let mut counts = BTreeMap::<i64, u64>::new();
        side.iter().for_each(|it| *counts.entry(it >> (FINEST - scale)).or_default() += 1);
        let first = counts.keys().next().copied().unwrap_or_default();
        let last = counts.keys().last().copied().unwrap_or(first - 1);
        let bucket_counts =
            (first..=last).map(|it| counts.get(&it).copied().unwrap_or_default()).collect();
        Some(Buckets { offset: first as i32, bucket_counts })
    });
    ExponentialHistogramDataPoint {
        count: values.len() as u64,
        sum: Some(values.iter().sum::<i64>() as f64),
        scale,
        zero_count: values.iter().filter(|value| **value == 0).count() as u64,
        positive,
        negative,
        ..ExponentialHistogramDataPoint::default()
    }
}

pub(crate) fn scope(name: &str, data: Data) -> ScopeMetrics {
    let metric = Metric { name: name.to_owned(), data: Some(data), ..Metric::default() };
    let scope = InstrumentationScope { name: SCOPE.to_owned(), ..Default::default() };
    ScopeMetrics { scope: Some(scope), metrics: vec![metric], schema_url: String::new() }
}

pub(crate) fn attribute(key: &str, value: &str) -> KeyValue {
    let value = v1::AnyValue { value: Some(AnyValue::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

/// The data of a stream, with its points in an order that tells nothing.
pub(crate) fn sorted(scopes: &[ScopeMetrics], name: &str) -> Option<Data> {
    macro_rules! sort {
        ($data:expr) => {
            $data.data_points.sort_by_key(|point| format!("{:?}", point.attributes))
        };
    }
    let mut metrics = scopes.iter().flat_map(|scope| &scope.metrics);
    let mut data = metrics.find(|metric| metric.name == name)?.data.clone()?;
    match &mut data {
        Data::Sum(data) => sort!(data),
        Data::Gauge(data) => sort!(data),
        Data::Histogram(data) => sort!(data),
        Data::ExponentialHistogram(data) => sort!(data),
        Data::Summary(data) => sort!(data),
    }
    Some(data)
}
