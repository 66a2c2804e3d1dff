use super::*;
use pharos_api::telemetryconfig::TelemetryConfig;
use serde_json::{Value, json};

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

fn resolved(value: Value) -> Config {
    resolve(&spec(value)).unwrap()
}

fn fields(value: Value) -> Vec<(String, ProblemKind)> {
    let Err(Problems(problems)) = resolve(&spec(value)) else { return Vec::new() };
    problems.into_iter().map(|problem| (problem.field, problem.kind)).collect()
}

fn with_otlp(otlp: Value) -> Value {
    let mut settings = json!({"protocol": "GRPC", "endpoint": "http://collector:4317"});
    settings.as_object_mut().unwrap().extend(otlp.as_object().unwrap().clone());
    json!({
        "exporters": [{"name": "gateway", "type": "OTLP", "otlp": settings}],
        "metrics": {"exporters": ["gateway"]},
    })
}

fn with_metrics(metrics: Value) -> Value {
    let mut settings = json!({"exporters": ["prometheus"]});
    settings.as_object_mut().unwrap().extend(metrics.as_object().unwrap().clone());
    json!({"exporters": [{"name": "prometheus", "type": "Prometheus"}], "metrics": settings})
}

#[test]
fn the_defaults_of_the_crd_are_those_of_the_pipeline() {
    let config = resolved(with_otlp(json!({})));
    let sinks = config.metrics.sinks;
    let Some(MetricSink::Otlp(sink)) = sinks.get(&SinkName::new("gateway")) else {
        panic!("an OTLP sink named gateway, not {sinks:?}")
    };
    assert_eq!(sink.receiver.compression, config::Compression::Gzip);
    assert_eq!(sink.receiver.timeout, Duration::from_secs(10));
    assert_eq!(sink.period, Duration::from_secs(60));
    assert!(sink.receiver.headers.is_empty());
}

#[test]
fn an_omitted_metrics_signal_is_the_prometheus_endpoint() {
    let config = resolved(json!({"traces": {"mode": "Disabled"}}));
    assert_eq!(config.metrics, Config::prometheus().metrics);
}

#[test]
fn disabled_metrics_have_no_sink() {
    assert_eq!(resolved(json!({"metrics": {"mode": "Disabled"}})).metrics, Metrics::default());
}

#[test]
fn both_sinks_at_once_resolve() {
    let config = resolved(json!({
        "exporters": [
            {"name": "prometheus", "type": "Prometheus"},
            {"name": "gateway", "type": "OTLP", "otlp": {"protocol": "GRPC", "endpoint": "http://c:4317"}},
        ],
        "metrics": {"exporters": ["prometheus", "gateway"], "exportPeriodSeconds": 1},
        "resource": {"attributes": [{"name": "deployment.environment.name", "value": "test"}]},
    }));
    let sinks = &config.metrics.sinks;
    assert_eq!(sinks.len(), 2);
    assert_eq!(config.resource_attributes["deployment.environment.name"], "test");
}

#[test]
fn what_the_pipeline_cannot_do_yet_is_refused_by_name() {
    let otlp = "spec.exporters[gateway].otlp";
    let table = [
        (with_otlp(json!({"protocol": "HTTPProtobuf"})), format!("{otlp}.protocol")),
        (with_otlp(json!({"endpoint": "https://c:4317"})), format!("{otlp}.endpoint")),
        (
            with_otlp(json!({"endpoint": "https://c:4317", "tls": {"serverName": "c"}})),
            format!("{otlp}.tls"),
        ),
        (
            with_otlp(json!({"headers": [
                {"name": "a", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            ]})),
            format!("{otlp}.headers[a].valueFrom"),
        ),
        (with_metrics(json!({"temporality": "Delta"})), "spec.metrics.temporality".into()),
        (with_metrics(json!({"temporality": "LowMemory"})), "spec.metrics.temporality".into()),
        (with_metrics(json!({"cardinalityLimit": 5000})), "spec.metrics.cardinalityLimit".into()),
        (with_metrics(json!({"namespaces": {"exclude": ["a"]}})), "spec.metrics.namespaces".into()),
        (
            with_metrics(json!({"views": [{
                "name": "v", "selector": {"instrumentName": "*"}, "stream": {"cardinalityLimit": 5},
            }]})),
            "spec.metrics.views".into(),
        ),
    ];
    for (spec, field) in table {
        assert_eq!(fields(spec), [(field, ProblemKind::UnsupportedValue)]);
    }
}

#[test]
fn traces_logs_and_tls_for_scrapes_are_refused_by_name() {
    let spec = json!({
        "exporters": [
            {"name": "p", "type": "Prometheus", "prometheus": {"tls": {"certificateRef": {"name": "c"}}}},
            {"name": "o", "type": "OTLP", "otlp": {"protocol": "GRPC", "endpoint": "http://c:4317"}},
        ],
        "metrics": {"exporters": ["p"]},
        "traces": {"exporters": ["o"]},
        "logs": {"exporters": ["o"]},
    });
    let expected = ["spec.exporters[p].prometheus.tls", "spec.traces", "spec.logs"];
    assert_eq!(
        fields(spec),
        expected.map(|field| (field.to_owned(), ProblemKind::UnsupportedValue))
    );
}

#[test]
fn one_problem_of_an_exporter_does_not_hide_the_others() {
    let mut spec = with_otlp(json!({
        "protocol": "HTTPProtobuf",
        "timeoutSeconds": 0,
        "headers": [{"name": "a", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
    }));
    spec["metrics"]["exportPeriodSeconds"] = json!(0);
    let found: Vec<_> = fields(spec).into_iter().map(|(field, _)| field).collect();
    let otlp = |field| format!("spec.exporters[gateway].otlp.{field}");
    let expected = ["protocol", "timeoutSeconds", "headers[a].valueFrom"].map(otlp);
    assert_eq!(found[..3], expected);
    assert_eq!(found[3], "spec.metrics.exportPeriodSeconds");
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
    let spec = spec(json!({"exporters": exporters, "metrics": {"exporters": ["e0"]}}));
    let problems = resolve(&spec).unwrap_err();
    assert!(problems.to_string().len() > 32_768);
    let summary = problems.summary();
    assert!(summary.len() < 8_300 && summary.ends_with("(256 problems)"), "{summary}");
}

#[test]
fn an_invalid_value_outweighs_an_unsupported_one_and_all_are_named() {
    let spec = spec(json!({
        "exporters": [{"name": "p", "type": "OTLP"}],
        "metrics": {"exporters": ["p", "nowhere"], "temporality": "Delta"},
    }));
    let problems = resolve(&spec).unwrap_err();
    assert_eq!(problems.reason(), AcceptedReason::Invalid);
    let message = problems.to_string();
    for part in ["spec.exporters[p]: ", "\"nowhere\"", "spec.metrics.temporality: "] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_header_that_could_break_a_request_is_refused_without_its_value() {
    let spec = spec(with_otlp(json!({"headers": [{"name": "a", "value": "secret\r\nb: c"}]})));
    let problems = resolve(&spec).unwrap_err();
    assert_eq!(problems.reason(), AcceptedReason::Invalid);
    assert!(!format!("{problems} {problems:?}").contains("secret"));
}
