use super::super::subject::{Inspector, Readings, Subject};
use super::*;
use crate::documents::Document;
use jiff::Timestamp;
use serde_json::json;

fn object(spec: Value) -> Value {
    json!({
        "apiVersion": "telemetry.pharos.dev/v1alpha1", "kind": "TelemetryConfig",
        "metadata": {"name": "default"}, "spec": spec,
    })
}

fn found(object: &Value) -> Vec<(String, String)> {
    violations(object).into_iter().map(|it| (it.field, it.message)).collect()
}

fn pair(field: &str, message: &str) -> (String, String) {
    (field.to_owned(), message.to_owned())
}

fn otlp(settings: Value) -> Value {
    let mut otlp = json!({"protocol": "GRPC", "endpoint": "http://c:4317"});
    for (name, value) in settings.as_object().unwrap() {
        otlp[name] = value.clone();
    }
    object(json!({
        "exporters": [{"name": "o", "type": "OTLP", "otlp": otlp}],
        "metrics": {"exporters": ["o"]},
    }))
}

/// Every schema under the one of `spec`.
fn schemas() -> Vec<JSONSchemaProps> {
    let mut open = vec![schema_of_spec().unwrap()];
    let mut all = Vec::new();
    while let Some(schema) = open.pop() {
        open.extend(schema.properties.iter().flat_map(|it| it.values()).cloned());
        match &schema.items {
            Some(JSONSchemaPropsOrArray::Schema(items)) => open.push((**items).clone()),
            Some(JSONSchemaPropsOrArray::Schemas(_)) => panic!("structural schemas have one"),
            None => {}
        }
        all.push(schema);
    }
    all
}

#[test]
fn the_walk_knows_every_word_that_the_schema_uses() {
    let judged = [
        "enum",
        "items",
        "maxItems",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "pattern",
        "properties",
        "required",
        "type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-validations",
    ];
    // A default is put in by decoding, and of formats there are widths of integers only.
    let harmless = ["default", "description", "format"];
    for schema in schemas() {
        let words = serde_json::to_value(&schema).unwrap();
        for (word, value) in words.as_object().unwrap() {
            let known = judged.contains(&word.as_str()) || harmless.contains(&word.as_str());
            assert!(known, "{word} in {words}");
            let width = ["int32", "int64"].contains(&value.as_str().unwrap_or_default());
            assert!(word != "format" || width, "{value}");
            assert!(word != "minProperties" || value == 1, "the message says at least one");
            assert!(word != "pattern" || Regex::new(value.as_str().unwrap()).is_ok(), "{value}");
        }
        let keys = schema.x_kubernetes_list_map_keys.unwrap_or_default();
        assert!(keys.len() <= 1, "identity is one key");
    }
}

#[test]
fn the_expressions_are_those_of_the_schema() {
    let rules =
        schemas().into_iter().flat_map(|it| it.x_kubernetes_validations.unwrap_or_default());
    let messages: BTreeSet<_> = rules.map(|rule| rule.message.unwrap()).collect();
    for Expression { message, .. } in EXPRESSIONS {
        assert!(messages.contains(message), "{message}");
    }
}

#[test]
fn a_good_object_has_no_violation() {
    assert_eq!(found(&otlp(json!({"headers": [{"name": "a", "value": "b"}], "tls": null}))), []);
}

#[test]
fn unknown_fields_are_found_everywhere() {
    let mut unknown = otlp(json!({"timeout": 5}));
    unknown["spec"]["metric"] = json!({});
    unknown["metadata"]["annotation"] = json!({});
    unknown["data"] = json!({});
    let fields: Vec<_> = found(&unknown)
        .into_iter()
        .map(|(field, message)| {
            assert_eq!(message, "unknown field");
            field
        })
        .collect();
    let expected = ["data", "metadata.annotation", "spec.exporters[o].otlp.timeout", "spec.metric"];
    assert_eq!(fields, expected);
}

#[test]
fn each_kind_of_violation_has_its_field_and_its_words() {
    let headers = |names: &[&str]| {
        let header = |name: &&str| json!({"name": name, "value": "x"});
        json!({"headers": names.iter().map(header).collect::<Vec<_>>()})
    };
    let of = "spec.exporters[o].otlp";
    let table = [
        (json!({"protocol": "UDP"}), "protocol", "must be one of GRPC, HTTPProtobuf"),
        (json!({"protocol": null}), "protocol", "is required"),
        (json!({"timeoutSeconds": 0}), "timeoutSeconds", "must be at least 1"),
        (json!({"timeoutSeconds": 301}), "timeoutSeconds", "must be at most 300"),
        (json!({"timeoutSeconds": 1.5}), "timeoutSeconds", "must be an integer"),
        (json!({"timeoutSeconds": "5"}), "timeoutSeconds", "must be an integer"),
        (json!({"headers": {}}), "headers", "must be an array"),
        (json!({"tls": []}), "tls", "must be an object"),
        (json!({"endpoint": 5}), "endpoint", "must be a string; put it in quotes"),
        (json!({"endpoint": ""}), "endpoint", "must have at least 1 characters"),
        (json!({"endpoint": "h".repeat(513)}), "endpoint", "must have at most 512 characters"),
        (headers(&["b", "a", "b"]), "headers[b]", "is there twice"),
        (headers(&["A"]), "headers[A].name", "must match ^[a-z0-9]([-a-z0-9_.]*[a-z0-9])?$"),
        (json!({"tls": {"caRef": {}}}), "tls.caRef.name", "is required"),
    ];
    for (settings, field, message) in table {
        assert_eq!(found(&otlp(settings)), [pair(&format!("{of}.{field}"), message)]);
    }
    let many: Vec<_> = (0..33).map(|index| format!("h{index}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let message = "must have at most 32 items";
    assert_eq!(found(&otlp(headers(&many))), [pair(&format!("{of}.headers"), message)]);
    let components = object(json!({"components": ["Admission", "Admission"], "metrics": {
        "mode": "Disabled"
    }}));
    assert_eq!(found(&components), [pair("spec.components[1]", "is there twice")]);
    let view = json!({"name": "v", "selector": {}, "stream": {"cardinalityLimit": 1}});
    let selector = object(json!({"metrics": {"mode": "Disabled", "views": [view]}}));
    let message = "at least one of its fields must be set";
    assert_eq!(found(&selector), [pair("spec.metrics.views[v].selector", message)]);
}

#[test]
fn what_resolve_leaves_to_the_api_server_is_judged() {
    let empty = pair("spec", "at least one of metrics, traces or logs must be set");
    assert_eq!(found(&object(json!({}))), [empty]);
    let message = "exporters must be set if and only if mode is Enabled";
    for (signal, metrics) in [
        ("metrics", json!({})),
        ("traces", json!({"mode": "Disabled", "exporters": ["p"]})),
        ("logs", json!({"mode": "Enabled"})),
    ] {
        let field = format!("spec.{signal}.exporters");
        assert_eq!(found(&object(json!({signal: metrics}))), [pair(&field, message)]);
    }
}

#[test]
fn every_object_needs_a_name_a_version_and_a_spec() {
    let object = json!({"apiVersion": "telemetry.pharos.dev/v1", "kind": "TelemetryConfig"});
    let expected = [
        pair("apiVersion", "there is no such version; write telemetry.pharos.dev/v1alpha1"),
        pair("metadata.name", "is required"),
        pair("spec", "is required"),
    ];
    assert_eq!(found(&object), expected);
    let mut named = otlp(json!({}));
    named["metadata"]["name"] = json!("Default");
    assert_eq!(found(&named)[0].0, "metadata.name");
    named["metadata"] = json!({"generateName": "x-"});
    assert_eq!(found(&named), []);
}

/// A spec with this exporter, to which metrics go.
fn exporter(exporter: Value) -> Value {
    let name = exporter["name"].clone();
    json!({"exporters": [exporter], "metrics": {"exporters": [name]}})
}

/// A spec with this view, whose settings are `stream`.
fn view(stream: Value) -> Value {
    let view = json!({"name": "v", "selector": {"instrumentName": "*"}, "stream": stream});
    let mut spec = exporter(json!({"name": "p", "type": "Prometheus"}));
    spec["metrics"]["views"] = json!([view]);
    spec
}

/// A spec that breaks each rule, by the message of the rule.
fn broken_rules() -> Vec<(&'static str, Value)> {
    let of = |otlp: Value| exporter(json!({"name": "o", "type": "OTLP", "otlp": otlp}));
    let to = |endpoint: &str| of(json!({"protocol": "GRPC", "endpoint": endpoint}));
    let headers = |header: Value| {
        of(json!({"protocol": "GRPC", "endpoint": "http://c:1", "headers": [header]}))
    };
    let prometheus = json!({"name": "p", "type": "Prometheus"});
    let other = json!({"name": "q", "type": "Prometheus"});
    let good = || of(json!({"protocol": "GRPC", "endpoint": "http://c:1"}));
    let with = |signal: &str, value: Value| {
        let mut spec = good();
        spec[signal] = value;
        spec
    };
    let tls = json!({"protocol": "GRPC", "endpoint": "http://c:1", "tls": {}});
    let both = json!({"name": "p", "type": "Prometheus", "prometheus": {}, "otlp": tls});
    let foreign = json!({"exporters": [prometheus, other], "metrics": {"exporters": ["p"]}});
    let scraped = json!({"exporters": ["p"]});
    let to_scraped =
        |signal: &str| json!({"exporters": [{"name": "p", "type": "Prometheus"}], signal: scraped});
    let batch = json!({"exporters": ["o"], "batch": {"maxQueueSize": 5, "maxExportBatchSize": 6}});
    let sampler = json!({"exporters": ["o"], "sampler": {"type": "TraceIDRatio"}});
    let attribute = json!({"attributes": [{"name": "service.name", "value": "x"}]});
    let boundaries = json!({"type": "ExplicitBucketHistogram",
        "explicitBucketHistogram": {"boundaries": ["2", "1"]}});
    let exponential = json!({"type": "Drop", "base2ExponentialHistogram": {}});
    let mut settings = good();
    settings["exporters"][0]["prometheus"] = json!({});
    vec![
        ("endpoint must be an absolute http:// or https:// URL", to("c:1")),
        ("endpoint must not contain credentials, a query or a fragment", to("http://u:p@c:1")),
        (
            "this header name is reserved for the protocol",
            headers(json!({"name": "host", "value": "x"})),
        ),
        ("exactly one of value and valueFrom must be set", headers(json!({"name": "a"}))),
        ("an endpoint for GRPC needs an explicit port and no path", to("http://c")),
        ("tls requires an https:// endpoint", of(tls)),
        ("otlp must be set if and only if type is OTLP", exporter(both)),
        ("prometheus may be set only if type is Prometheus", settings),
        ("at most one exporter may have type Prometheus", foreign),
        ("maxExportBatchSize must not exceed maxQueueSize", with("logs", batch)),
        ("exporters must be set if and only if mode is Enabled", with("logs", json!({}))),
        ("boundaries must be increasing", view(json!({"aggregation": boundaries}))),
        (
            "explicitBucketHistogram must be set if and only if type is ExplicitBucketHistogram",
            view(json!({"aggregation": {"type": "ExplicitBucketHistogram"}})),
        ),
        (
            "base2ExponentialHistogram may be set only if type is Base2ExponentialHistogram",
            view(json!({"aggregation": exponential})),
        ),
        ("exactly one of included and excluded must be set", view(json!({"attributeKeys": {}}))),
        ("this resource attribute is set by Pharos itself", with("resource", attribute)),
        (
            "ratioPerMillion must be set if and only if type ends in TraceIDRatio",
            with("traces", sampler),
        ),
        ("at least one of metrics, traces or logs must be set", json!({})),
        ("metrics.exporters must name entries of spec.exporters", with("metrics", scraped.clone())),
        (
            "traces.exporters must name entries of spec.exporters that have type OTLP",
            to_scraped("traces"),
        ),
        (
            "logs.exporters must name entries of spec.exporters that have type OTLP",
            to_scraped("logs"),
        ),
    ]
}

#[test]
fn every_rule_of_the_schema_is_a_problem_to_a_check() {
    let rules =
        schemas().into_iter().flat_map(|it| it.x_kubernetes_validations.unwrap_or_default());
    let rules: BTreeSet<_> = rules.map(|rule| rule.message.unwrap()).collect();
    let broken = broken_rules();
    let named: BTreeSet<_> = broken.iter().map(|(message, _)| (*message).to_owned()).collect();
    assert_eq!(named, rules, "a new rule needs a spec that breaks it");
    let inspector = Inspector::start().unwrap();
    for (message, spec) in broken {
        let document = Document { file: "f".to_owned(), value: object(spec) };
        let mut subject = Subject::of(document, "engine");
        subject.judge(Readings::Offline, &inspector, Timestamp::now());
        assert_eq!(subject.findings.len(), 1, "{message}: {:?}", subject.findings);
    }
}
