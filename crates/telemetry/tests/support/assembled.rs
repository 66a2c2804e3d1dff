//! What a receiver puts together from totals and deltas.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;

use super::Export;

/// What a receiver makes of what it got: totals replace, deltas add up, and what comes twice is the
/// same.
#[derive(Default)]
pub(crate) struct Assembled {
    totals: BTreeMap<String, u64>,
    deltas: BTreeSet<(String, u64, u64)>,
    pub(crate) twice: usize,
}

impl Assembled {
    pub(crate) fn of(exports: &[Export]) -> Self {
        let mut assembled = Self::default();
        for (series, (start, time), value, is_delta) in exports.iter().flat_map(points) {
            assert!(start < time, "{series} {start} {time}");
            if !is_delta {
                assembled.totals.insert(series, value);
            } else if assembled.deltas.insert((series.clone(), start, time)) {
                *assembled.totals.entry(series).or_default() += value;
            } else {
                assembled.twice += 1;
            }
        }
        assembled
    }

    pub(crate) fn total(&self, metric: &str) -> u64 {
        let of = self.totals.iter().filter(|(series, _)| series.starts_with(metric));
        of.map(|(_, value)| value).sum()
    }
}

/// Series, span, value and whether it is a delta.
pub(crate) type Point = (String, (u64, u64), u64, bool);

/// Every point of a sum or histogram (its count).
pub(crate) fn points(export: &Export) -> Vec<Point> {
    let scopes = export.request.resource_metrics.iter().flat_map(|it| &it.scope_metrics);
    let mut points = Vec::new();
    for metric in scopes.flat_map(|scope| &scope.metrics) {
        let series = |attributes: &Vec<_>| format!("{} {attributes:?}", metric.name);
        match metric.data.as_ref().unwrap() {
            Data::Sum(sum) => points.extend(sum.data_points.iter().map(|it| {
                let Some(Value::AsInt(value)) = it.value else { panic!("{it:?}") };
                let span = (it.start_time_unix_nano, it.time_unix_nano);
                (series(&it.attributes), span, value as u64, sum.aggregation_temporality == 1)
            })),
            Data::Histogram(histogram) => {
                points.extend(histogram.data_points.iter().map(|it| {
                    assert_eq!((it.min, it.max), (None, None));
                    assert_eq!(it.bucket_counts.iter().sum::<u64>(), it.count);
                    let span = (it.start_time_unix_nano, it.time_unix_nano);
                    let is_delta = histogram.aggregation_temporality == 1;
                    (series(&it.attributes), span, it.count, is_delta)
                }));
            }
            other => panic!("{other:?}"),
        }
    }
    points
}
