//! The JSON of Jaeger's query API, as far as the tests look into it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::{Span, Trace};

#[derive(Deserialize)]
struct Answer<T> {
    /// `null` for none.
    data: Option<Vec<T>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JaegerTrace {
    #[serde(rename = "traceID")]
    trace_id: String,
    spans: Vec<JaegerSpan>,
    processes: BTreeMap<String, Process>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JaegerSpan {
    #[serde(rename = "spanID")]
    span_id: String,
    operation_name: String,
    #[serde(default)]
    references: Vec<Reference>,
    start_time: u64,
    /// In microseconds.
    duration: u64,
    #[serde(default)]
    tags: Vec<Tag>,
    #[serde(default)]
    logs: Vec<Log>,
    #[serde(rename = "processID")]
    process_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    ref_type: String,
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(rename = "spanID")]
    span_id: String,
}

#[derive(Deserialize)]
struct Tag {
    key: String,
    value: Value,
}

#[derive(Deserialize)]
struct Log {
    fields: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Process {
    service_name: String,
    #[serde(default)]
    tags: Vec<Tag>,
}

pub(super) fn services(body: &str) -> serde_json::Result<Vec<String>> {
    let answer: Answer<String> = serde_json::from_str(body)?;
    Ok(answer.data.unwrap_or_default())
}

pub(super) fn traces(body: &str) -> serde_json::Result<Vec<Trace>> {
    let answer: Answer<JaegerTrace> = serde_json::from_str(body)?;
    Ok(answer.data.unwrap_or_default().into_iter().map(JaegerTrace::read).collect())
}

// === impl JaegerTrace ===

impl JaegerTrace {
    fn read(self) -> Trace {
        let Self { trace_id, spans, processes } = self;
        let read = |span: JaegerSpan| {
            let process = processes.get(&span.process_id);
            span.read(&trace_id, process)
        };
        let mut spans: Vec<_> = spans.into_iter().map(read).collect();
        spans.sort_by_key(|span| span.start);
        Trace { id: trace_id, spans }
    }
}

// === impl JaegerSpan ===

impl JaegerSpan {
    fn read(self, trace_id: &str, process: Option<&Process>) -> Span {
        // A link may point into the same trace, but is of another type.
        let is_parent = |reference: &Reference| {
            reference.ref_type == "CHILD_OF" && reference.trace_id == trace_id
        };
        let parent = self.references.iter().position(is_parent);
        let mut references = self.references;
        let parent = parent.map(|index| references.remove(index).span_id);
        Span {
            id: self.span_id,
            parent,
            name: self.operation_name,
            service: process.map(|process| process.service_name.clone()).unwrap_or_default(),
            tags: tags(&self.tags),
            resource: process.map(|process| tags(&process.tags)).unwrap_or_default(),
            events: self.logs.iter().map(|log| tags(&log.fields)).collect(),
            links: references.into_iter().map(|link| (link.trace_id, link.span_id)).collect(),
            start: self.start_time,
            duration: Duration::from_micros(self.duration),
        }
    }
}

fn tags(tags: &[Tag]) -> BTreeMap<String, String> {
    tags.iter().map(|tag| (tag.key.clone(), text(&tag.value))).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACES: &str = r#"{"data": [{
        "traceID": "aa",
        "spans": [
            {"traceID": "aa", "spanID": "02", "operationName": "evaluate", "references": [
                {"refType": "FOLLOWS_FROM", "traceID": "cc", "spanID": "09"},
                {"refType": "CHILD_OF", "traceID": "aa", "spanID": "01"}],
             "startTime": 20, "duration": 3, "processID": "p1", "warnings": null,
             "tags": [{"key": "rules", "type": "int64", "value": 7},
                      {"key": "span.kind", "type": "string", "value": "internal"}],
             "logs": [{"timestamp": 21, "fields": [
                {"key": "event", "type": "string", "value": "denied"}]}]},
            {"traceID": "aa", "spanID": "01", "operationName": "POST /validate",
             "references": [], "startTime": 10, "duration": 20, "tags": [], "logs": [],
             "processID": "p1"}],
        "processes": {"p1": {"serviceName": "pharos", "tags": [
            {"key": "service.instance.id", "type": "string", "value": "x"}]}}
    }], "total": 0, "limit": 0, "offset": 0, "errors": null}"#;

    #[test]
    fn a_trace_is_a_tree_of_spans() {
        let [trace] = &traces(TRACES).unwrap()[..] else { panic!() };
        assert_eq!(trace.id, "aa");
        let names: Vec<_> = trace.spans.iter().map(|span| &*span.name).collect();
        assert_eq!(names, ["POST /validate", "evaluate"]);
        let [root] = trace.roots().collect::<Vec<_>>()[..] else { panic!() };
        let span = trace.span("evaluate").unwrap();
        assert_eq!(trace.parent(span), Some(root));
        assert_eq!(trace.children(root).collect::<Vec<_>>(), [span]);
        assert_eq!(trace.parent(root), None);
        assert_eq!((span.service.as_str(), span.tags["rules"].as_str()), ("pharos", "7"));
        assert_eq!(span.resource["service.instance.id"], "x");
        assert_eq!(span.events[0]["event"], "denied");
        assert_eq!(span.links, [("cc".to_owned(), "09".to_owned())]);
        assert_eq!((span.start, span.duration), (20, Duration::from_micros(3)));
    }

    #[test]
    fn nothing_is_no_error() {
        assert!(traces(r#"{"data": null, "errors": null}"#).unwrap().is_empty());
        assert_eq!(services(r#"{"data": ["a", "b"], "total": 2}"#).unwrap(), ["a", "b"]);
        assert!(services("<html>").is_err());
    }
}
