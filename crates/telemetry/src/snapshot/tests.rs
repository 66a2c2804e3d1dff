use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::generation::Generation;
use opentelemetry::KeyValue;

fn recorded(series: i64) -> Arc<Snapshot> {
    let generation = Generation::start();
    for scope in ["one", "two"] {
        let meter = generation.meter(scope);
        let (counter, histogram) =
            (meter.u64_counter("c").build(), meter.f64_histogram("h").build());
        for number in 0..series {
            counter.add(1, &[KeyValue::new("n", number)]);
            histogram.record(0.1, &[KeyValue::new("n", number)]);
        }
    }
    generation.snapshot()
}

#[test]
fn a_histogram_has_no_minimum_and_no_maximum() {
    let snapshot = recorded(1);
    let metrics = snapshot.scopes().iter().flat_map(|scope| &scope.metrics);
    let histograms: Vec<_> = metrics
        .filter_map(|metric| match &metric.data {
            Some(Data::Histogram(histogram)) => Some(&histogram.data_points),
            _ => None,
        })
        .collect();
    assert_eq!(histograms.len(), 2);
    for point in histograms.into_iter().flatten() {
        assert_eq!((point.min, point.max, point.count), (None, None, 1));
    }
}

#[test]
fn every_part_fits_and_no_point_is_missing_or_twice() {
    let snapshot = recorded(100);
    let whole: usize = snapshot.scopes().iter().map(ScopeMetrics::encoded_len).sum();
    for limit in [whole, whole / 2, whole / 7, 1000] {
        let mut parts = Vec::new();
        split(snapshot.scopes.clone(), limit, &mut parts);
        for part in &parts {
            let size: usize = part.iter().map(ScopeMetrics::encoded_len).sum();
            assert!(size <= limit, "{size} > {limit}");
        }
        let mut seen: Vec<String> = Vec::new();
        for scope in parts.iter().flatten() {
            for metric in &scope.metrics {
                let name = format!("{} {}", scope.scope.as_ref().unwrap().name, metric.name);
                seen.extend(match metric.data.as_ref().unwrap() {
                    Data::Sum(sum) => labels(&name, &sum.data_points, |point| &point.attributes),
                    Data::Histogram(it) => {
                        labels(&name, &it.data_points, |point| &point.attributes)
                    }
                    other => panic!("{other:?}"),
                });
            }
        }
        assert_eq!(seen.len(), 400);
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 400);
    }
}

fn labels<P>(
    metric: &str,
    points: &[P],
    attributes: impl Fn(&P) -> &Vec<opentelemetry_proto::tonic::common::v1::KeyValue>,
) -> Vec<String> {
    points.iter().map(|point| format!("{metric} {:?}", attributes(point))).collect()
}

#[test]
fn a_point_that_is_too_large_is_sent_all_the_same() {
    let mut parts = Vec::new();
    split(recorded(1).scopes.clone(), 1, &mut parts);
    assert_eq!(parts.iter().map(|part| points(part)).collect::<Vec<_>>(), [1, 1, 1, 1]);
}

#[test]
fn where_nothing_was_recorded_there_is_one_empty_request() {
    let requests = Snapshot::default().requests(&Resource::default());
    assert_eq!(requests, [Request::probe(Signal::Metrics)]);
}
