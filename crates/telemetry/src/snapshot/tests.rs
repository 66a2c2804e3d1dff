use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::generation::Totals;
use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::common::v1::{self, AnyValue, InstrumentationScope, any_value};
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, NumberDataPoint, Sum, Summary, SummaryDataPoint,
};
use prost::Message as _;

fn recorded(series: i64) -> Arc<Snapshot> {
    let totals = Totals::empty();
    for scope in ["one", "two"] {
        let meter = totals.meter(scope);
        let (counter, histogram) =
            (meter.u64_counter("c").build(), meter.f64_histogram("h").build());
        for number in 0..series {
            counter.add(1, &[KeyValue::new("n", number)]);
            histogram.record(0.1, &[KeyValue::new("n", number)]);
        }
    }
    totals.snapshot()
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

fn decoded(requests: &[Request]) -> Vec<ScopeMetrics> {
    let resources = requests.iter().flat_map(|request| {
        ExportMetricsServiceRequest::decode(request.body.clone()).unwrap().resource_metrics
    });
    let resources: Vec<_> = resources.collect();
    assert!(resources.iter().all(|it| it.resource == Some(resource())));
    resources.into_iter().flat_map(|resource| resource.scope_metrics).collect()
}

fn resource() -> Resource {
    Resource { dropped_attributes_count: 7, ..Resource::default() }
}

/// Every point, with everything that is said around it.
fn flat(scopes: &[ScopeMetrics]) -> BTreeSet<String> {
    fn each<P: Clone>(points: &[P], around: impl Fn(P) -> Data) -> Vec<Data> {
        points.iter().cloned().map(around).collect()
    }
    let mut points = BTreeSet::new();
    for scope in scopes {
        for metric in &scope.metrics {
            let data = match metric.data.clone().unwrap() {
                Data::Gauge(it) => {
                    each(&it.data_points, |p| Data::Gauge(Gauge { data_points: vec![p] }))
                }
                Data::Sum(it) => {
                    each(&it.data_points, |p| Data::Sum(Sum { data_points: vec![p], ..it }))
                }
                Data::Histogram(it) => each(&it.data_points, |p| {
                    Data::Histogram(Histogram { data_points: vec![p], ..it })
                }),
                Data::ExponentialHistogram(it) => each(&it.data_points, |p| {
                    Data::ExponentialHistogram(ExponentialHistogram { data_points: vec![p], ..it })
                }),
                Data::Summary(it) => {
                    each(&it.data_points, |p| Data::Summary(Summary { data_points: vec![p] }))
                }
            };
            for data in data {
                let metric = Metric { data: Some(data), ..metric.clone() };
                let alone = format!("{:?} {} {metric:?}", scope.scope, scope.schema_url);
                assert!(points.insert(alone.clone()), "twice: {alone}");
            }
        }
    }
    points
}

/// One metric of every kind in each of two scopes, with so many points.
fn every_kind(points: i64) -> Vec<ScopeMetrics> {
    let attributes = |number: i64| {
        let value = Some(AnyValue { value: Some(any_value::Value::IntValue(number)) });
        vec![v1::KeyValue { key: "n".to_owned(), value, ..v1::KeyValue::default() }]
    };
    let number = |number| NumberDataPoint {
        attributes: attributes(number),
        value: Some(Value::AsInt(number)),
        ..NumberDataPoint::default()
    };
    let temporality = AggregationTemporality::Delta.into();
    let all = || 0..points;
    let data = [
        Data::Gauge(Gauge { data_points: all().map(number).collect() }),
        Data::Sum(Sum {
            data_points: all().map(number).collect(),
            aggregation_temporality: temporality,
            is_monotonic: true,
        }),
        Data::Histogram(Histogram {
            data_points: all()
                .map(|number| HistogramDataPoint {
                    attributes: attributes(number),
                    bucket_counts: vec![1; number as usize % 7],
                    ..HistogramDataPoint::default()
                })
                .collect(),
            aggregation_temporality: temporality,
        }),
        Data::ExponentialHistogram(ExponentialHistogram {
            data_points: all()
                .map(|number| ExponentialHistogramDataPoint {
                    attributes: attributes(number),
                    scale: -3,
                    ..ExponentialHistogramDataPoint::default()
                })
                .collect(),
            aggregation_temporality: temporality,
        }),
        Data::Summary(Summary {
            data_points: all()
                .map(|number| SummaryDataPoint {
                    attributes: attributes(number),
                    ..SummaryDataPoint::default()
                })
                .collect(),
        }),
    ];
    let metrics = data.map(|data| Metric {
        name: "m".to_owned(),
        description: "d".to_owned(),
        unit: "u".to_owned(),
        data: Some(data),
        metadata: attributes(0),
    });
    let scopes = ["one", "two"].map(|name| ScopeMetrics {
        scope: Some(InstrumentationScope { name: name.to_owned(), ..Default::default() }),
        metrics: metrics.to_vec(),
        schema_url: "schema".to_owned(),
    });
    scopes.to_vec()
}

#[test]
fn every_request_fits_and_no_point_is_missing_or_twice() {
    let scopes = every_kind(100);
    let whole = encode::encode(&scopes, &resource(), usize::MAX);
    assert_eq!(decoded(&whole), scopes, "one request is the same as none of this");
    let size = whole[0].body.len();
    for limit in [size, size - 1, size / 2, size / 7, 1000, 300] {
        let requests = encode::encode(&scopes, &resource(), limit);
        assert!(requests.iter().all(|request| request.body.len() <= limit), "{limit}");
        assert!(requests.len() <= size * 2 / limit + 2, "{limit}: {}", requests.len());
        assert_eq!(requests.iter().map(|request| request.items).sum::<u64>(), 1000);
        for request in &requests {
            assert_eq!(points(&decoded(std::slice::from_ref(request))), request.items);
        }
        assert_eq!(flat(&decoded(&requests)), flat(&scopes), "{limit}");
    }
}

#[test]
fn a_point_that_is_too_large_is_sent_all_the_same() {
    let requests = encode::encode(&every_kind(1), &resource(), 1);
    assert_eq!(requests.iter().map(|request| request.items).collect::<Vec<_>>(), [1; 10]);
    assert_eq!(flat(&decoded(&requests)), flat(&every_kind(1)));
}

#[test]
fn where_nothing_was_recorded_there_is_one_empty_request() {
    assert_eq!(Snapshot::default().requests(&resource()), [Request::probe(Signal::Metrics)]);
    assert_eq!(requests(&every_kind(0), &resource()), [Request::probe(Signal::Metrics)]);
}

#[test]
fn attributes_come_in_one_order_whatever_the_sdk_says() {
    let totals = Totals::empty();
    let counter = totals.meter("scope").u64_counter("c").build();
    for number in 0..100 {
        counter.add(1, &[KeyValue::new("z", number), KeyValue::new("a", number)]);
    }
    let snapshot = totals.snapshot();
    let Some(Data::Sum(sum)) = &snapshot.scopes()[0].metrics[0].data else { panic!() };
    assert_eq!(sum.data_points.len(), 100);
    for point in &sum.data_points {
        let keys: Vec<_> = point.attributes.iter().map(|it| it.key.as_str()).collect();
        assert_eq!(keys, ["a", "z"]);
        assert_eq!(point.time_unix_nano, snapshot.time());
    }
}
