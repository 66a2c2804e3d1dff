//! OTLP in JSON, one request for each signal.

use serde_json::{Value, json};

pub(crate) const TRACE: &str = "5b8efff798038103d269b633813fc60c";

fn resource() -> Value {
    json!({"attributes": [attribute("service.name", "pharos"), attribute("service.instance.id", "x")]})
}

fn attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

/// Of now, because Prometheus takes no samples of long ago.
pub(crate) fn metrics() -> anyhow::Result<Value> {
    let now = std::time::UNIX_EPOCH.elapsed()?.as_nanos().to_string();
    let point = json!({
        "startTimeUnixNano": now, "timeUnixNano": now, "count": "3", "sum": 0.75, "scale": 0,
        "positive": {"offset": -3, "bucketCounts": ["3"]},
    });
    let histogram = json!({"aggregationTemporality": 2, "dataPoints": [point]});
    let metric = json!({"name": "review", "unit": "s", "exponentialHistogram": histogram});
    let scope = json!({"scope": {"name": "admission"}, "metrics": [metric]});
    Ok(json!({"resourceMetrics": [{"resource": resource(), "scopeMetrics": [scope]}]}))
}

pub(crate) fn spans() -> Value {
    let parent = json!({
        "traceId": TRACE, "spanId": "eee19b7ec3c1b173", "name": "POST /validate", "kind": 2,
        "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000005000000",
    });
    let child = json!({
        "traceId": TRACE, "spanId": "eee19b7ec3c1b174", "parentSpanId": "eee19b7ec3c1b173",
        "name": "evaluate", "kind": 1, "attributes": [attribute("policy", "require-team")],
        "events": [{"timeUnixNano": "1700000000002000000", "name": "denied"}],
        "startTimeUnixNano": "1700000000001000000", "endTimeUnixNano": "1700000000003000000",
        "status": {"code": 2, "message": "no team"},
    });
    let scope = json!({"scope": {"name": "admission"}, "spans": [parent, child]});
    json!({"resourceSpans": [{"resource": resource(), "scopeSpans": [scope]}]})
}

pub(crate) fn logs() -> Value {
    let record = json!({
        "timeUnixNano": "1700000000000000000", "severityNumber": 13, "severityText": "WARN",
        "body": {"stringValue": "a Pod was denied"}, "traceId": TRACE,
        "spanId": "eee19b7ec3c1b174",
        "attributes": [{"key": "count", "value": {"intValue": "3"}}],
    });
    let scope = json!({"scope": {"name": "admission"}, "logRecords": [record]});
    json!({"resourceLogs": [{"resource": resource(), "scopeLogs": [scope]}]})
}
