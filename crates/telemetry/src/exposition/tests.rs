use super::*;

mod differential;
mod formats;
mod openmetrics;
mod protobuf;
mod specialities;

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::common::v1::{self, InstrumentationScope as Scope};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ScopeMetrics, Sum, number_data_point,
};
use pharos_testkit::prometheus::{Sample, parse};

use crate::generation::Totals;

fn recorded(record: impl FnOnce(&Meter)) -> String {
    let totals = Totals::empty();
    record(&totals.meter("scope"));
    text(&totals.snapshot())
}

fn scoped(name: &str, metrics: Vec<Metric>) -> ScopeMetrics {
    let scope = Some(Scope { name: name.to_owned(), ..Scope::default() });
    ScopeMetrics { scope, metrics, schema_url: String::new() }
}

fn encode_scopes(scopes: Vec<ScopeMetrics>) -> String {
    text(&Snapshot::from_scopes(scopes))
}

fn attribute(key: &str, value: &str) -> v1::KeyValue {
    let value = Some(v1::AnyValue { value: Some(AnyValue::StringValue(value.to_owned())) });
    v1::KeyValue { key: key.to_owned(), value, ..v1::KeyValue::default() }
}

fn number(attributes: &[(&str, &str)], value: f64) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes.iter().map(|(key, value)| attribute(key, value)).collect(),
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    }
}

fn metric(name: &str, data: Data) -> Metric {
    Metric { name: name.to_owned(), data: Some(data), ..Metric::default() }
}

fn gauge(data_points: Vec<NumberDataPoint>) -> Data {
    Data::Gauge(Gauge { data_points })
}

fn counter(data_points: Vec<NumberDataPoint>) -> Data {
    let aggregation_temporality = AggregationTemporality::Cumulative.into();
    Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic: true })
}

#[test]
fn the_series_of_a_real_kyverno_come_out_line_by_line_as_it_wrote_them() {
    let Some(kyverno) = pharos_testkit::golden::kyverno_scrape() else { return };
    let types = kyverno.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let mut scopes: BTreeMap<String, Vec<Metric>> = BTreeMap::new();
    for (family, kind) in types.map(|line| line.split_once(' ').unwrap()) {
        let samples: Vec<Sample> = parse(&kyverno)
            .unwrap()
            .into_iter()
            .filter(|sample| sample.name.strip_prefix(family).is_some_and(is_sample_suffix))
            .collect();
        let scope = samples[0].label("otel_scope_name").unwrap().to_owned();
        let data = match kind {
            "gauge" => gauge(samples.iter().map(point).collect()),
            "counter" => counter(samples.iter().map(point).collect()),
            "histogram" => histogram(&samples),
            other => panic!("{other}"),
        };
        let name = if kind == "counter" { family.trim_end_matches("_total") } else { family };
        scopes.entry(scope).or_default().push(metric(name, data));
    }
    let scopes = scopes.into_iter().map(|(name, metrics)| {
        let mut scope = scoped(&name, metrics);
        if name.contains("otelhttp") {
            scope.scope.as_mut().unwrap().version = "0.69.0".to_owned();
        }
        scope
    });
    let ours = encode_scopes(scopes.collect());
    for (ours, theirs) in ours.lines().zip(kyverno.lines()) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.lines().count(), kyverno.lines().count());
}

fn is_sample_suffix(suffix: &str) -> bool {
    matches!(suffix, "" | "_bucket" | "_sum" | "_count")
}

fn own_labels(sample: &Sample) -> Vec<(&str, &str)> {
    let labels = sample.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    labels.filter(|(key, _)| !key.starts_with("otel_scope_") && *key != "le").collect()
}

fn point(sample: &Sample) -> NumberDataPoint {
    number(&own_labels(sample), sample.value)
}

fn histogram(samples: &[Sample]) -> Data {
    let series: BTreeSet<Vec<(&str, &str)>> = samples.iter().map(own_labels).collect();
    let data_points = series.into_iter().map(|labels| {
        let of = |suffix: &str| {
            let suffix = suffix.to_owned();
            samples
                .iter()
                .filter(move |sample| sample.name.ends_with(&suffix))
                .filter(|sample| own_labels(sample) == labels)
                .collect::<Vec<_>>()
        };
        let buckets = of("_bucket");
        let counts: Vec<u64> = buckets.iter().map(|bucket| bucket.value as u64).collect();
        let mut below = 0;
        let bound = |bucket: &&Sample| bucket.label("le").unwrap().parse::<f64>().unwrap();
        HistogramDataPoint {
            attributes: labels.iter().map(|(key, value)| attribute(key, value)).collect(),
            count: of("_count")[0].value as u64,
            sum: Some(of("_sum")[0].value),
            bucket_counts: counts
                .iter()
                .map(|count| count - std::mem::replace(&mut below, *count))
                .collect(),
            explicit_bounds: buckets.iter().map(bound).filter(|it| it.is_finite()).collect(),
            ..HistogramDataPoint::default()
        }
    });
    let aggregation_temporality = AggregationTemporality::Cumulative.into();
    Data::Histogram(Histogram { data_points: data_points.collect(), aggregation_temporality })
}

#[test]
fn a_total_is_not_doubled_and_a_gauge_keeps_the_name_it_has() {
    let page = recorded(|meter| {
        meter.u64_counter("breaker_total").build().add(1, &[]);
        meter.u64_gauge("info_total").build().record(1, &[]);
    });
    assert!(page.contains("\nbreaker_total{") && !page.contains("total_total"), "{page}");
    assert!(page.contains("# TYPE info_total gauge"), "{page}");
}

#[test]
fn two_streams_of_one_family_share_its_head() {
    let one = metric("requests", counter(vec![number(&[], 1.0)]));
    let page = encode_scopes(vec![scoped("b", vec![one.clone()]), scoped("a", vec![one])]);
    let expected = "# TYPE requests_total counter\n\
        requests_total{otel_scope_name=\"a\",otel_scope_schema_url=\"\",otel_scope_version=\"\"} 1\n\
        requests_total{otel_scope_name=\"b\",otel_scope_schema_url=\"\",otel_scope_version=\"\"} 1\n";
    assert_eq!(page, expected);
}

#[test]
fn what_is_in_conflict_is_left_out_and_named_the_same_one_every_time() {
    let number = || vec![number(&[], 1.0)];
    let scopes = || {
        vec![
            scoped("b", vec![metric("x_total", gauge(number()))]),
            scoped("a", vec![metric("x", counter(number()))]),
            scoped("c", vec![metric("x", counter(number())), metric("x.", counter(number()))]),
        ]
    };
    let page = encode_scopes(scopes());
    let left_out =
        "# Left out, in conflict with this family: \"x_total\" of scope \"b\", a gauge\n";
    assert!(page.starts_with(&format!("# TYPE x_total counter\n{left_out}")), "{page}");
    let mut turned = scopes();
    turned.reverse();
    assert_eq!(encode_scopes(turned), page);
    assert!(page.contains("\"x.\" of scope \"c\", a second {"), "{page}");
    assert_eq!(parse(&page).unwrap().len(), 2, "{page}");
}

#[test]
fn the_names_that_a_histogram_needs_are_its_own() {
    let distribution = histogram(&parse("h_bucket{le=\"+Inf\"} 1\nh_sum 2\nh_count 1\n").unwrap());
    let page = encode_scopes(vec![
        scoped("a", vec![metric("h", distribution)]),
        scoped("b", vec![metric("h_count", gauge(vec![number(&[], 9.0)]))]),
    ]);
    assert_eq!(parse(&page).unwrap().iter().filter(|it| it.name == "h_count").count(), 1, "{page}");
    assert!(page.contains("# Left out"), "{page}");
}

#[test]
fn the_same_series_twice_is_shown_once() {
    let twice = gauge(vec![number(&[("a.b", "1")], 1.0), number(&[("a_b", "1")], 2.0)]);
    let page = encode_scopes(vec![scoped("s", vec![metric("g", twice)])]);
    assert_eq!(parse(&page).unwrap().len(), 1, "{page}");
    assert!(page.contains("# Left out"), "{page}");
}

#[test]
fn an_attribute_cannot_pass_for_a_label_of_ours() {
    let attributes = [("le", "7"), ("otel_scope_name", "forged")];
    let page =
        encode_scopes(vec![scoped("s", vec![metric("g", gauge(vec![number(&attributes, 1.0)]))])]);
    let sample = &parse(&page).unwrap()[0];
    assert_eq!(sample.label("otel_scope_name"), Some("s"));
    assert_eq!(sample.label("exported_otel_scope_name"), Some("forged"));
    assert_eq!(sample.label("le"), Some("7"), "le is ours on histograms only");

    let page = recorded(|meter| {
        meter.f64_histogram("h").build().record(1.0, &[KeyValue::new("le", "7")]);
    });
    let samples = parse(&page).unwrap();
    assert!(samples.iter().all(|sample| sample.label("exported_le") == Some("7")), "{page}");
}

#[test]
fn an_exponential_histogram_has_its_count_and_sum_in_text() {
    let point = ExponentialHistogramDataPoint {
        count: 3,
        sum: Some(1.5),
        ..ExponentialHistogramDataPoint::default()
    };
    let data = ExponentialHistogram { data_points: vec![point], ..ExponentialHistogram::default() };
    let data = Data::ExponentialHistogram(data);
    let page = encode_scopes(vec![scoped("s", vec![metric("h", data)])]);
    let samples = parse(&page).unwrap();
    let seen: Vec<_> =
        samples.iter().map(|it| (it.name.as_str(), it.label("le"), it.value)).collect();
    assert_eq!(
        seen,
        [("h_bucket", Some("+Inf"), 3.0), ("h_sum", None, 1.5), ("h_count", None, 3.0)]
    );
}

#[test]
fn lists_and_flags_read_as_json() {
    let page = recorded(|meter| {
        let list =
            opentelemetry::Array::from(["a", "b\""].map(opentelemetry::StringValue::from).to_vec());
        let list = KeyValue::new("list", opentelemetry::Value::Array(list));
        meter.u64_gauge("g").build().record(1, &[list, KeyValue::new("flag", true)]);
    });
    let sample = &parse(&page).unwrap()[0];
    assert_eq!(sample.label("list"), Some(r#"["a","b\""]"#));
    assert_eq!(sample.label("flag"), Some("true"));
}
