//! Specs that no API server with our CRD takes: objects slip past it when the CRD is replaced.

use super::*;

#[test]
fn what_the_api_server_would_have_refused_is_refused_here_too() {
    let otlp = "spec.exporters[gateway].otlp";
    let views = "spec.metrics.views[v]";
    let limited = || json!({"cardinalityLimit": 5});
    let any = || json!({"instrumentName": "*"});
    let buckets = |boundaries: Value| {
        let histogram = json!({"boundaries": boundaries});
        let r#type = "ExplicitBucketHistogram";
        view(any(), json!({"aggregation": {"type": r#type, "explicitBucketHistogram": histogram}}))
    };
    let boundaries = || format!("{views}.stream.aggregation.explicitBucketHistogram.boundaries");
    let attribute = |name: &str| json!({"attributes": [{"name": name, "value": "x"}]});
    let twice = json!([{"name": "p", "type": "Prometheus"}, {"name": "p", "type": "Prometheus"}]);
    let table = [
        (with_otlp(json!({"endpoint": "http://c"})), format!("{otlp}.endpoint")),
        (with_otlp(json!({"timeoutSeconds": 0})), format!("{otlp}.timeoutSeconds")),
        (with_otlp(json!({"tls": {}})), format!("{otlp}.tls")),
        (
            with_otlp(json!({"endpoint": "https://c:1", "tls": {"serverName": "a b"}})),
            format!("{otlp}.tls.serverName"),
        ),
        (
            with_otlp(json!({"headers": [{"name": "host", "value": "x"}]})),
            format!("{otlp}.headers[host]"),
        ),
        (with_otlp(json!({"headers": [{"name": "a"}]})), format!("{otlp}.headers[a]")),
        (
            with_metrics(json!({"exportPeriodSeconds": 0})),
            "spec.metrics.exportPeriodSeconds".into(),
        ),
        (with_metrics(json!({"cardinalityLimit": 0})), "spec.metrics.cardinalityLimit".into()),
        (with_metrics(json!({"exporters": []})), "spec.metrics.exporters".into()),
        (with_metrics(json!({"exporters": ["nowhere"]})), "spec.metrics.exporters".into()),
        (
            view(json!({"instrumentName": ""}), limited()),
            format!("{views}.selector.instrumentName"),
        ),
        (view(any(), json!({"cardinalityLimit": 0})), format!("{views}.stream.cardinalityLimit")),
        (view(any(), json!({"attributeKeys": {}})), format!("{views}.stream.attributeKeys")),
        (buckets(json!([])), boundaries()),
        (buckets(json!(["1", "1"])), boundaries()),
        (buckets(json!(["2", "1"])), boundaries()),
        (buckets(json!(["inf"])), boundaries()),
        (buckets(json!(["NaN"])), boundaries()),
        (buckets(json!(["one"])), boundaries()),
        (
            view(any(), json!({"aggregation": {"type": "ExplicitBucketHistogram"}})),
            format!("{views}.stream.aggregation"),
        ),
        (
            view(
                any(),
                json!({"aggregation": {
                    "type": "Base2ExponentialHistogram", "base2ExponentialHistogram": {"maxSize": 1},
                }}),
            ),
            format!("{views}.stream.aggregation.base2ExponentialHistogram"),
        ),
        (
            with_signal("traces", json!({"sampler": {"type": "TraceIDRatio"}})),
            "spec.traces.sampler.ratioPerMillion".into(),
        ),
        (
            with_signal("traces", json!({"sampler": {"type": "AlwaysOn", "ratioPerMillion": 1}})),
            "spec.traces.sampler.ratioPerMillion".into(),
        ),
        (
            with_signal("traces", json!({"batch": {"maxQueueSize": 0}})),
            "spec.traces.batch.maxQueueSize".into(),
        ),
        (
            with_signal("logs", json!({"batch": {"maxQueueSize": 5, "maxExportBatchSize": 6}})),
            "spec.logs.batch.maxExportBatchSize".into(),
        ),
        (
            json!({"exporters": [{"name": "p", "type": "Prometheus"}], "logs": {"exporters": ["p"]}}),
            "spec.logs.exporters".into(),
        ),
        (
            json!({"exporters": [{"name": "p", "type": "OTLP"}], "metrics": {"exporters": ["p"]}}),
            "spec.exporters[p]".into(),
        ),
        (
            with(with_otlp(json!({})), json!({"resource": attribute("service.instance.id")})),
            "spec.resource.attributes[service.instance.id]".into(),
        ),
        (
            with(with_otlp(json!({})), json!({"resource": attribute("k8s.pod.name")})),
            "spec.resource.attributes[k8s.pod.name]".into(),
        ),
    ];
    for (spec, field) in table {
        assert_eq!(fields(spec.clone()), [(field, ProblemKind::Invalid)], "{spec}");
    }
    let declared = json!({"exporters": twice, "metrics": {"exporters": ["p"]}});
    let expected = ["spec.exporters[p]", "spec.exporters"];
    assert_eq!(fields(declared), expected.map(|it| (it.to_owned(), ProblemKind::Invalid)));
}

#[test]
fn views_that_the_pipeline_refuses_are_problems_and_odd_ones_are_said() {
    let remark = |view: &str, refuses| ViewRemark {
        view: view.to_owned(),
        refuses,
        message: "why".to_owned(),
    };
    let odd = judge_views(&[remark("a", false), remark("b", false)]).unwrap();
    assert_eq!(odd, "spec.metrics.views[a]: why; spec.metrics.views[b]: why");
    let problems = judge_views(&[remark("a", false), remark("b", true)]).unwrap_err();
    assert_eq!(problems.accepted_reason(), Some(AcceptedReason::UnsupportedValue));
    assert_eq!(problems.to_string(), "spec.metrics.views[b]: why");
    assert_eq!(judge_views(&[]).unwrap(), "");
}

#[test]
fn adapting_buckets_that_are_scraped_are_said_to_need_protobuf() {
    let spec = |exporter: &str| {
        let aggregation = json!({"type": "Base2ExponentialHistogram"});
        let stream = json!({"aggregation": aggregation});
        let views = json!([{"name": "v", "selector": {"instrumentName": "*"}, "stream": stream}]);
        let mut spec = with_metrics(json!({"exporters": [exporter], "views": views}));
        let prometheus = json!({"name": "p", "type": "Prometheus"});
        spec["exporters"].as_array_mut().unwrap().push(prometheus);
        spec
    };
    let scraped = scraped_views(&resolved(spec("p")).metrics);
    assert!(scraped[0].message.contains("protobuf") && !scraped[0].refuses, "{scraped:?}");
    assert_eq!(scraped_views(&resolved(spec("gateway")).metrics), []);
}
