//! Every format has the same samples.

use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, exemplar};

use super::openmetrics::{Family as OpenMetricsFamily, Labels};
use super::protobuf::Family as ProtobufFamily;
use super::*;
use crate::exposition::protobuf::message::MetricType;

pub(super) const START: u64 = 1_700_000_000_250_000_000;
pub(super) const LATER: u64 = 1_700_000_060_000_000_000;

/// A sample of any format: numbers as text, so that NaN equals itself.
type Samples = BTreeSet<(String, Labels, String)>;

pub(super) fn page(scopes: &[ScopeMetrics], format: ExpositionFormat) -> Vec<u8> {
    let mut page = Vec::new();
    encode(&Snapshot::from_scopes(scopes.to_vec()), format, &mut page).unwrap();
    page
}

pub(super) fn text_page(scopes: &[ScopeMetrics]) -> String {
    String::from_utf8(page(scopes, ExpositionFormat::Text)).unwrap()
}

pub(super) fn openmetrics(scopes: &[ScopeMetrics]) -> (String, Vec<OpenMetricsFamily>) {
    let page = String::from_utf8(page(scopes, ExpositionFormat::OpenMetrics)).unwrap();
    let families = openmetrics::parse(&page);
    (page, families)
}

pub(super) fn protobuf(scopes: &[ScopeMetrics]) -> Vec<ProtobufFamily> {
    protobuf::parse(&page(scopes, ExpositionFormat::Protobuf))
}

fn bound(text: &str) -> String {
    text.parse::<f64>().unwrap().to_string()
}

fn key(name: &str, mut labels: Labels, value: f64) -> (String, Labels, String) {
    if name.ends_with("_bucket")
        && let Some(le) = labels.get_mut("le")
    {
        *le = bound(le);
    }
    (name.to_owned(), labels, value.to_string())
}

pub(super) fn text_samples(page: &str) -> Samples {
    parse(page).unwrap().into_iter().map(|it| key(&it.name, it.labels, it.value)).collect()
}

fn openmetrics_samples(families: &[OpenMetricsFamily]) -> Samples {
    let samples = families.iter().flat_map(|family| &family.samples);
    samples.map(|sample| key(&sample.name, sample.labels.clone(), sample.value)).collect()
}

fn protobuf_samples(families: &[ProtobufFamily]) -> Samples {
    let mut samples = Samples::new();
    for family in families {
        let name = family.name.as_deref().unwrap();
        for metric in &family.metric {
            let labels = protobuf::labels(&metric.label);
            let mut add = |suffix: &str, labels: &Labels, value: f64| {
                assert!(samples.insert(key(&format!("{name}{suffix}"), labels.clone(), value)));
            };
            match MetricType::try_from(family.kind.unwrap()).unwrap() {
                MetricType::Counter => {
                    add("", &labels, metric.counter.as_ref().unwrap().value.unwrap())
                }
                MetricType::Gauge => {
                    add("", &labels, metric.gauge.as_ref().unwrap().value.unwrap())
                }
                MetricType::Histogram => {
                    let histogram = metric.histogram.as_ref().unwrap();
                    for bucket in &histogram.bucket {
                        let mut labels = labels.clone();
                        labels.insert("le".to_owned(), bucket.upper_bound.unwrap().to_string());
                        add("_bucket", &labels, bucket.cumulative_count.unwrap() as f64);
                    }
                    if histogram.bucket.is_empty() {
                        let mut labels = labels.clone();
                        labels.insert("le".to_owned(), f64::INFINITY.to_string());
                        add("_bucket", &labels, histogram.sample_count.unwrap() as f64);
                    }
                    if let Some(sum) = histogram.sample_sum {
                        add("_sum", &labels, sum);
                    }
                    add("_count", &labels, histogram.sample_count.unwrap() as f64);
                }
            }
        }
    }
    samples
}

/// The samples of all formats, which are the same.
pub(super) fn agreed(scopes: &[ScopeMetrics]) -> Samples {
    let text = text_samples(&text_page(scopes));
    assert_same(&openmetrics_samples(&openmetrics(scopes).1), &text);
    assert_same(&protobuf_samples(&protobuf(scopes)), &text);
    text
}

pub(super) fn assert_same(one: &Samples, other: &Samples) {
    let (mut only_one, mut only_other) = (one.difference(other), other.difference(one));
    assert_eq!((only_one.next(), only_other.next()), (None, None), "first difference");
}

pub(super) fn taken(value: f64, time: u64) -> Exemplar {
    Exemplar {
        value: Some(exemplar::Value::AsDouble(value)),
        time_unix_nano: time,
        trace_id: vec![0xab; 16],
        span_id: vec![0xcd; 8],
        ..Exemplar::default()
    }
}

pub(super) fn distribution(
    bounds: &[f64],
    counts: &[u64],
    exemplars: Vec<Exemplar>,
) -> HistogramDataPoint {
    HistogramDataPoint {
        count: counts.iter().sum(),
        sum: Some(12.5),
        explicit_bounds: bounds.to_vec(),
        bucket_counts: counts.to_vec(),
        start_time_unix_nano: START,
        exemplars,
        ..HistogramDataPoint::default()
    }
}

pub(super) fn explicit(data_points: Vec<HistogramDataPoint>) -> Data {
    Data::Histogram(Histogram { data_points, ..Histogram::default() })
}

pub(super) fn exponential(data_points: Vec<ExponentialHistogramDataPoint>) -> Data {
    let histogram = ExponentialHistogram { data_points, ..ExponentialHistogram::default() };
    Data::ExponentialHistogram(histogram)
}

pub(super) fn native(scale: i32) -> ExponentialHistogramDataPoint {
    ExponentialHistogramDataPoint {
        attributes: vec![attribute("scale", &scale.to_string())],
        count: 9,
        sum: Some(20.0),
        scale,
        zero_count: 2,
        positive: Some(Buckets { offset: -1, bucket_counts: vec![3, 4] }),
        start_time_unix_nano: START,
        exemplars: vec![taken(1.5, LATER), taken(0.5, START)],
        ..ExponentialHistogramDataPoint::default()
    }
}

/// Every kind of metric, and whatever is odd about names, labels and values.
fn everything() -> Vec<ScopeMetrics> {
    let attributes: [&[(&str, &str)]; 8] = [
        &[],
        &[("plain", "x")],
        &[("a.b", "2"), ("a-b", "1")],
        &[("größe", "ß\"\\\n\0{}=, #"), ("", "no name"), ("1st", "")],
        &[("otel_scope_name", "forged"), ("exported_otel_scope_name", "twice")],
        &[("le", "7"), ("exported_le", "8"), ("quantile", "0.5")],
        &[("__name__", "other"), ("job", "mine"), ("instance", "mine")],
        &[("long", "0123456789012345678901234567890123456789012345678901234567890123456789")],
    ];
    let values = [0.0, -0.0, 1.0, 1e6, 1e-7, f64::MAX, f64::INFINITY, 0.1];
    let numbers = || -> Vec<_> {
        attributes.iter().zip(values).map(|(attributes, value)| number(attributes, value)).collect()
    };
    let mut odd = numbers();
    odd.extend([number(&[("is", "nan")], f64::NAN), number(&[("is", "-inf")], f64::NEG_INFINITY)]);
    let histograms = attributes.iter().map(|attributes| HistogramDataPoint {
        attributes: number(attributes, 0.0).attributes,
        ..distribution(&[0.0, 0.5, 10.0, 1e6], &[1, 2, 3, 4, 5], vec![taken(0.7, LATER)])
    });
    let exponentials = [-4, 0, 8, 20].map(native);
    let described = |mut metric: Metric, unit: &str, description: &str| {
        (metric.unit, metric.description) = (unit.to_owned(), description.to_owned());
        metric
    };
    vec![
        scoped(
            "a \"scope\"\\\n\0",
            vec![
                described(
                    metric("requests", counter(numbers())),
                    "{request}",
                    "A \"help\"\\\n\0of",
                ),
                described(metric("busy.seconds", counter(numbers())), "s", ""),
                described(metric("http.größe/x-y", gauge(odd)), "By", "größe"),
                described(metric("7days", gauge(numbers())), "d", "no name begins so"),
                described(
                    metric("wait_seconds", explicit(histograms.collect())),
                    "s",
                    "In seconds.",
                ),
                metric("native", exponential(exponentials.to_vec())),
                metric("empty", explicit(vec![distribution(&[], &[], Vec::new())])),
            ],
        ),
        scoped("b", vec![metric("requests", counter(numbers())), metric("a:b", gauge(numbers()))]),
    ]
}

#[test]
fn every_format_has_the_same_samples() {
    let samples = agreed(&everything());
    for name in [
        "requests_total",
        "busy_seconds_total",
        "http_gr_e_x_y",
        "_7days",
        "wait_seconds_bucket",
        "native_count",
        "empty_sum",
        "a:b",
    ] {
        assert!(samples.iter().any(|(sample, ..)| sample == name), "{name}");
    }
}

/// The one character that ends a page for Prometheus, wherever it stands.
#[test]
fn no_page_of_text_has_a_nul_in_it() {
    for format in [ExpositionFormat::Text, ExpositionFormat::OpenMetrics] {
        assert!(!page(&everything(), format).contains(&0));
    }
}

#[test]
fn a_page_does_not_depend_on_the_order_in_which_it_was_collected() {
    for format in [
        ExpositionFormat::Text,
        ExpositionFormat::OpenMetrics,
        ExpositionFormat::OpenMetricsDraft,
        ExpositionFormat::Protobuf,
    ] {
        let mut turned = everything();
        turned.reverse();
        for metric in turned.iter_mut().flat_map(|scope| &mut scope.metrics) {
            match metric.data.as_mut().unwrap() {
                Data::Gauge(data) => data.data_points.reverse(),
                Data::Sum(data) => data.data_points.reverse(),
                Data::Histogram(data) => data.data_points.reverse(),
                Data::ExponentialHistogram(data) => data.data_points.reverse(),
                Data::Summary(_) => unreachable!(),
            }
        }
        for scope in &mut turned {
            scope.metrics.reverse();
        }
        assert!(page(&turned, format) == page(&everything(), format), "{format:?}");
    }
}
