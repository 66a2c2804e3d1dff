//! Lines as the Collector's file exporter writes them.

use super::*;
use crate::collector::metrics::Value;
use crate::collector::traces::{Kind, SpanStatus};

const METRICS: &str = concat!(
    r#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.instance.id","#,
    r#""value":{"stringValue":"a"}}]},"scopeMetrics":[{"scope":{"name":"kyverno"},"metrics":["#,
    r#"{"name":"requests","sum":{"dataPoints":[{"attributes":[{"key":"allowed","value":"#,
    r#"{"boolValue":true}}],"startTimeUnixNano":"5","timeUnixNano":"9","asInt":"3"},"#,
    r#"{"timeUnixNano":"9","asDouble":1.5}],"aggregationTemporality":2,"isMonotonic":true}},"#,
    r#"{"name":"seconds","histogram":{"dataPoints":[{"count":"4","sum":0.25,"timeUnixNano":"9"}"#,
    r#"]}}]}]}]}"#,
);

const TRACES: &str = concat!(
    r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","#,
    r#""value":{"stringValue":"pharos"}}]},"scopeSpans":[{"scope":{"name":"admission"},"spans":["#,
    r#"{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","#,
    r#""parentSpanId":"eee19b7ec3c1b173","flags":256,"name":"POST /validate","kind":2,"#,
    r#""startTimeUnixNano":"5","endTimeUnixNano":"9","attributes":[{"key":"allowed","value":"#,
    r#"{"boolValue":false}},{"key":"rules","value":{"arrayValue":{"values":[{"intValue":"7"}]}}}],"#,
    r#""events":[{"timeUnixNano":"6","name":"denied","attributes":[{"key":"rule","value":{}}]}],"#,
    r#""links":[{"traceId":"aa","spanId":"bb"}],"status":{"message":"no team","code":2}},"#,
    r#"{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b173","#,
    r#""parentSpanId":"","name":"root","status":{}}]}]}]}"#,
);
const LOGS: &str = concat!(
    r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","#,
    r#""value":{"stringValue":"pharos"}}]},"scopeLogs":[{"scope":{"name":"admission"},"#,
    r#""logRecords":[{"timeUnixNano":"5","observedTimeUnixNano":"6","severityNumber":13,"#,
    r#""severityText":"WARN","eventName":"denied","body":{"stringValue":"a Pod was denied"},"#,
    r#""attributes":[{"key":"count","value":{"intValue":"3"}}],"#,
    r#""traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"},"#,
    r#"{"body":{},"traceId":"","spanId":""}]}]}]}"#,
);

#[test]
fn points_are_typed_and_belong_to_their_series() {
    let [export] = &metrics(METRICS.as_bytes()).unwrap()[..] else { panic!() };
    let [allowed, other, seconds] = &export.points[..] else { panic!("{export:?}") };
    assert_eq!(allowed.value, Value::Int(3));
    assert_eq!((allowed.start_time, allowed.time), (5, 9));
    assert_eq!(allowed.series.instance_id(), Some("a"));
    assert_eq!(allowed.series.scope, "kyverno");
    assert_eq!(allowed.series.attributes["allowed"], "true");
    assert_eq!(other.value, Value::Double(1.5));
    assert_eq!(seconds.value, Value::Histogram { count: 4, sum: 0.25 });
    assert_eq!(export.total("requests"), Some(4.5));
    assert_eq!(export.total("absent"), None);
}

#[test]
fn spans_keep_their_place_in_the_trace() {
    let [span, root] = &traces(TRACES.as_bytes()).unwrap()[..] else { panic!() };
    assert_eq!((&span.trace_id, &span.parent), (&root.trace_id, &Some(root.span_id.clone())));
    assert_eq!((root.parent.as_ref(), root.kind), (None, Kind::Unspecified));
    assert_eq!((span.name.as_str(), span.kind), ("POST /validate", Kind::Server));
    assert_eq!((span.start_time, span.end_time), (5, 9));
    assert_eq!(span.attributes["allowed"], "false");
    assert_eq!(span.attributes["rules"], r#"{"values":[{"intValue":"7"}]}"#);
    assert_eq!((span.events[0].name.as_str(), span.events[0].time), ("denied", 6));
    assert_eq!(span.events[0].attributes["rule"], "");
    assert_eq!(span.links[0].span_id, "bb");
    assert_eq!(span.status, SpanStatus::Error("no team".to_owned()));
    assert_eq!(root.status, SpanStatus::Unset);
    for span in [span, root] {
        assert_eq!((span.resource["service.name"].as_str(), &*span.scope), ("pharos", "admission"));
    }
}

#[test]
fn a_log_record_knows_its_span() {
    let [record, bare] = &logs(LOGS.as_bytes()).unwrap()[..] else { panic!() };
    assert_eq!(record.body, "a Pod was denied");
    assert_eq!((record.severity, record.severity_text.as_str()), (13, "WARN"));
    assert_eq!((record.time, record.observed_time), (5, 6));
    assert_eq!(record.event_name, "denied");
    assert_eq!(record.trace_id.as_deref(), Some("5b8efff798038103d269b633813fc60c"));
    assert_eq!(record.span_id.as_deref(), Some("eee19b7ec3c1b174"));
    assert_eq!(record.attributes["count"], "3");
    assert_eq!(record.resource["service.name"], "pharos");
    assert_eq!(record.scope, "admission");
    assert_eq!((bare.body.as_str(), &bare.trace_id, &bare.span_id), ("", &None, &None));
}
