use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use pharos_api::condition::AcceptedReason;
use pharos_api::telemetryconfig::TelemetryConfig;
use pharos_telemetry::InstrumentKind;
use pharos_telemetry::config::{
    self, Aggregation, AttributeKeys, Batch, Endpoint, Glob, Header, MetricShape, MetricSink,
    Metrics, OtlpReceiver, OtlpSink, Parent, RecordSink, RootSampler, Sampler, Selector, Severity,
    SinkName, ValueFilter, View,
};
use serde_json::{Value, json};

use super::*;

mod examples;
mod references;
mod refusals;

fn spec(spec: Value) -> TelemetryConfigSpec {
    let object: TelemetryConfig = serde_json::from_value(json!({
        "apiVersion": "telemetry.pharos.dev/v1alpha1",
        "kind": "TelemetryConfig",
        "metadata": {"name": "x", "namespace": "pharos"},
        "spec": spec,
    }))
    .unwrap();
    object.spec
}

/// The configuration of a spec that refers to nothing.
fn resolved(value: Value) -> Config {
    resolve(&spec(value), &References::default(), Timestamp::UNIX_EPOCH).unwrap().config
}

fn problems(value: Value) -> Problems {
    resolve(&spec(value), &References::default(), Timestamp::UNIX_EPOCH).unwrap_err()
}

fn fields(value: Value) -> Vec<(String, ProblemKind)> {
    problems(value).iter().map(|problem| (problem.field.clone(), problem.kind)).collect()
}

/// `base` with the members of `more`.
fn with(mut base: Value, more: Value) -> Value {
    base.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    base
}

fn with_otlp(otlp: Value) -> Value {
    let settings = with(json!({"protocol": "GRPC", "endpoint": "http://c:4317"}), otlp);
    json!({
        "exporters": [{"name": "gateway", "type": "OTLP", "otlp": settings}],
        "metrics": {"exporters": ["gateway"]},
    })
}

fn with_metrics(metrics: Value) -> Value {
    with(with_otlp(json!({})), json!({"metrics": with(json!({"exporters": ["gateway"]}), metrics)}))
}

fn with_signal(signal: &str, settings: Value) -> Value {
    let settings = with(json!({"exporters": ["gateway"]}), settings);
    with(with_otlp(json!({})), json!({signal: settings}))
}

fn receiver(config: &Config) -> OtlpReceiver {
    config.receivers().next().unwrap().1.clone()
}

fn grpc() -> OtlpReceiver {
    OtlpReceiver::new(Endpoint::grpc("http://c:4317").unwrap())
}

fn gateway() -> SinkName {
    SinkName::new("gateway")
}

#[test]
fn the_defaults_of_the_crd_are_those_of_the_pipeline() {
    let all = with_signal("traces", json!({}));
    let config = resolved(with(all, json!({"logs": {"exporters": ["gateway"]}})));
    let endpoint = || Endpoint::grpc("http://c:4317").unwrap();
    let logs = RecordSink { batch: Batch::LOGS, ..RecordSink::new(endpoint()) };
    let expected = Config::off()
        .with_sink("gateway", OtlpSink::new(endpoint()))
        .with_traces("gateway", RecordSink::new(endpoint()))
        .with_logs("gateway", logs);
    assert_eq!(config, expected);
}

#[test]
fn an_omitted_signal_is_the_engines_default_and_a_disabled_one_goes_nowhere() {
    let config = resolved(json!({"traces": {"mode": "Disabled"}}));
    assert_eq!(config, Config::prometheus());
    let disabled = json!({"mode": "Disabled"});
    let off = json!({"metrics": disabled, "traces": disabled, "logs": disabled});
    assert_eq!(resolved(off), Config::off());
}

#[test]
fn every_setting_of_a_receiver_reaches_it() {
    let http = |url| OtlpReceiver::new(Endpoint::http_protobuf(url).unwrap());
    let header = |name, value| Header::parse(name, value).unwrap();
    let table = [
        (json!({"protocol": "HTTPProtobuf", "endpoint": "https://c/base"}), http("https://c/base")),
        (
            json!({"compression": "None"}),
            OtlpReceiver { compression: config::Compression::None, ..grpc() },
        ),
        (
            json!({"compression": "Zstd"}),
            OtlpReceiver { compression: config::Compression::Zstd, ..grpc() },
        ),
        (
            json!({"timeoutSeconds": 30}),
            OtlpReceiver { timeout: Duration::from_secs(30), ..grpc() },
        ),
        (
            json!({"headers": [{"name": "b", "value": "1"}, {"name": "a", "value": ""}]}),
            OtlpReceiver { headers: vec![header("b", "1"), header("a", "")], ..grpc() },
        ),
    ];
    for (settings, expected) in table {
        assert_eq!(receiver(&resolved(with_otlp(settings))), expected);
    }
}

#[test]
fn every_setting_of_metrics_reaches_them() {
    let otlp = |sink| Metrics {
        sinks: [(gateway(), MetricSink::Otlp(sink))].into(),
        ..Metrics::default()
    };
    let sink = || OtlpSink::new(Endpoint::grpc("http://c:4317").unwrap());
    let shaped = |shape| Metrics { shape, ..otlp(sink()) };
    let set = |values: &[&str]| values.iter().map(ToString::to_string).collect();
    let table = [
        (
            json!({"exportPeriodSeconds": 1}),
            otlp(OtlpSink { period: Duration::from_secs(1), ..sink() }),
        ),
        (
            json!({"temporality": "Delta"}),
            otlp(OtlpSink { temporality: config::Temporality::Delta, ..sink() }),
        ),
        (
            json!({"temporality": "LowMemory"}),
            otlp(OtlpSink { temporality: config::Temporality::LowMemory, ..sink() }),
        ),
        (
            json!({"cardinalityLimit": 7}),
            shaped(MetricShape {
                cardinality_limit: NonZeroU32::new(7).unwrap(),
                ..MetricShape::default()
            }),
        ),
        (
            json!({"namespaces": {"include": ["a", "b"], "exclude": ["b"]}}),
            shaped(MetricShape {
                values: ValueFilter {
                    key: "resource_namespace".to_owned(),
                    include: set(&["a", "b"]),
                    exclude: set(&["b"]),
                },
                ..MetricShape::default()
            }),
        ),
    ];
    for (settings, expected) in table {
        assert_eq!(resolved(with_metrics(settings)).metrics, expected);
    }
}

fn view(selector: Value, stream: Value) -> Value {
    with_metrics(json!({"views": [{"name": "v", "selector": selector, "stream": stream}]}))
}

#[test]
fn every_part_of_a_view_reaches_it() {
    let any = || json!({"instrumentName": "a_*"});
    let plain = || View {
        name: "v".to_owned(),
        selector: Selector { name: Some(Glob::parse("a_*").unwrap()), kind: None },
        attributes: AttributeKeys::Unchanged,
        cardinality_limit: None,
        aggregation: None,
    };
    let set = |keys: &[&str]| keys.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    let aggregated = |aggregation| View { aggregation: Some(aggregation), ..plain() };
    let limited = || json!({"cardinalityLimit": 5});
    let limit = NonZeroU32::new(5);
    let kind = |kind| Selector { name: None, kind: Some(kind) };
    let aggregation = |aggregation: Value| json!({"aggregation": aggregation});
    let table = [
        (any(), limited(), View { cardinality_limit: limit, ..plain() }),
        (
            json!({"instrumentType": "ObservableGauge"}),
            limited(),
            View {
                selector: kind(InstrumentKind::ObservableGauge),
                cardinality_limit: limit,
                ..plain()
            },
        ),
        (
            any(),
            json!({"attributeKeys": {"included": ["x"]}}),
            View { attributes: AttributeKeys::Included(set(&["x"])), ..plain() },
        ),
        (
            any(),
            json!({"attributeKeys": {"included": []}}),
            View { attributes: AttributeKeys::Included(set(&[])), ..plain() },
        ),
        (
            any(),
            json!({"attributeKeys": {"excluded": ["x", "y"]}}),
            View { attributes: AttributeKeys::Excluded(set(&["x", "y"])), ..plain() },
        ),
        (any(), aggregation(json!({"type": "Default"})), aggregated(Aggregation::Default)),
        (any(), aggregation(json!({"type": "Drop"})), aggregated(Aggregation::Drop)),
        (
            any(),
            aggregation(json!({
                "type": "ExplicitBucketHistogram",
                "explicitBucketHistogram": {"boundaries": ["0", "0.5", "10"]},
            })),
            aggregated(Aggregation::ExplicitBuckets(vec![0.0, 0.5, 10.0])),
        ),
        (
            any(),
            aggregation(json!({"type": "Base2ExponentialHistogram"})),
            aggregated(Aggregation::Exponential { max_size: 160, max_scale: 20 }),
        ),
        (
            any(),
            aggregation(json!({
                "type": "Base2ExponentialHistogram",
                "base2ExponentialHistogram": {"maxSize": 80, "maxScale": -1},
            })),
            aggregated(Aggregation::Exponential { max_size: 80, max_scale: -1 }),
        ),
    ];
    for (selector, stream, expected) in table {
        assert_eq!(resolved(view(selector, stream)).metrics.shape.views, [expected]);
    }
}

#[test]
fn every_sampler_and_severity_reaches_the_pipeline() {
    let ratio = RootSampler::TraceIdRatio { per_million: 10 };
    for (name, root, parent) in [
        ("AlwaysOn", RootSampler::AlwaysOn, Parent::Ignored),
        ("AlwaysOff", RootSampler::AlwaysOff, Parent::Ignored),
        ("TraceIDRatio", ratio, Parent::Ignored),
        ("ParentBasedAlwaysOn", RootSampler::AlwaysOn, Parent::Followed),
        ("ParentBasedAlwaysOff", RootSampler::AlwaysOff, Parent::Followed),
        ("ParentBasedTraceIDRatio", ratio, Parent::Followed),
    ] {
        let mut sampler = json!({"type": name});
        if name.ends_with("TraceIDRatio") {
            sampler["ratioPerMillion"] = json!(10);
        }
        let config = resolved(with_signal("traces", json!({"sampler": sampler})));
        assert_eq!(config.traces.sampler, Sampler { root, parent }, "{name}");
    }
    for (name, severity) in [
        ("Trace", Severity::Trace),
        ("Debug", Severity::Debug),
        ("Info", Severity::Info),
        ("Warn", Severity::Warn),
        ("Error", Severity::Error),
    ] {
        let config = resolved(with_signal("logs", json!({"minSeverity": name})));
        assert_eq!(config.logs.min_severity, severity);
    }
}

#[test]
fn a_batch_is_never_larger_than_the_queue() {
    let size = |size| NonZeroUsize::new(size).unwrap();
    let delay = Duration::from_millis(10);
    for (batch, queue, export, schedule_delay) in [
        (json!({"maxQueueSize": 100}), 100, 100, Batch::SPANS.schedule_delay),
        (json!({"maxQueueSize": 4096}), 4096, 512, Batch::SPANS.schedule_delay),
        (json!({"maxExportBatchSize": 1000}), 2048, 1000, Batch::SPANS.schedule_delay),
        (json!({"scheduleDelayMilliseconds": 10}), 2048, 512, delay),
    ] {
        let config = resolved(with_signal("traces", json!({"batch": batch})));
        let expected =
            Batch { max_queue_size: size(queue), max_export_size: size(export), schedule_delay };
        assert_eq!(config.traces.sinks["gateway"].batch, expected);
    }
}

#[test]
fn one_problem_of_an_exporter_does_not_hide_the_others() {
    let mut spec = with_otlp(json!({
        "endpoint": "nowhere",
        "timeoutSeconds": 0,
        "headers": [{"name": "a", "value": "\n"}, {"name": "te", "value": "x"}],
    }));
    spec["metrics"]["exportPeriodSeconds"] = json!(0);
    let found: Vec<_> = fields(spec).into_iter().map(|(field, _)| field).collect();
    let otlp = |field| format!("spec.exporters[gateway].otlp.{field}");
    let expected = ["endpoint", "timeoutSeconds", "headers[a]", "headers[te]"].map(otlp);
    assert_eq!(found[..4], expected);
    assert_eq!(found[4], "spec.metrics.exportPeriodSeconds");
}

#[test]
fn thousands_of_problems_fit_into_a_condition() {
    let header = |n: usize| json!({"name": format!("{n:0>128}"), "value": "x\n"});
    let exporter = |n: usize| {
        let headers: Vec<_> = (0..32).map(header).collect();
        let otlp = json!({"protocol": "GRPC", "endpoint": "http://c:1", "headers": headers});
        json!({"name": format!("e{n}"), "type": "OTLP", "otlp": otlp})
    };
    let exporters: Vec<_> = (0..8).map(exporter).collect();
    let problems = problems(json!({"exporters": exporters, "metrics": {"exporters": ["e0"]}}));
    assert!(problems.to_string().len() > 32_768);
    let summary = problems.summary();
    assert!(summary.len() < 8_300 && summary.ends_with("(256 problems)"), "{summary}");
}

#[test]
fn a_header_that_could_break_a_request_is_refused_without_its_value() {
    let problems =
        problems(with_otlp(json!({"headers": [{"name": "a", "value": "secret\r\nb: c"}]})));
    assert_eq!(problems.accepted_reason(), Some(AcceptedReason::Invalid));
    assert!(!format!("{problems} {problems:?}").contains("secret"));
}
