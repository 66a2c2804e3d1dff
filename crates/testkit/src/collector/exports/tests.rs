//! Reading what was written so far, and no more.

use std::fs::OpenOptions;
use std::io::Write;

use super::*;

const LINE: &str = concat!(
    r#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"service.instance.id","#,
    r#""value":{"stringValue":"a"}}]},"scopeMetrics":[{"scope":{"name":"kyverno"},"metrics":["#,
    r#"{"name":"requests","sum":{"dataPoints":[{"attributes":[{"key":"allowed","value":"#,
    r#"{"boolValue":true}}],"startTimeUnixNano":"5","timeUnixNano":"9","asInt":"3"},"#,
    r#"{"timeUnixNano":"9","asDouble":1.5}],"aggregationTemporality":2,"isMonotonic":true}},"#,
    r#"{"name":"seconds","histogram":{"dataPoints":[{"count":"4","sum":0.25,"timeUnixNano":"9"}"#,
    r#"]}}]}]}]}"#,
    "\n"
);

fn reader() -> (tempfile::TempDir, Reader) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metrics.json");
    (dir, Reader::new(path))
}

fn append(reader: &Reader, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(&reader.path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn points_are_typed_and_belong_to_their_series() {
    let (_dir, mut reader) = reader();
    append(&reader, LINE);
    let export = Arc::clone(&reader.read().unwrap()[0]);
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
fn a_half_written_line_is_read_when_it_is_whole() {
    let (_dir, mut reader) = reader();
    assert!(reader.read().unwrap().is_empty());
    let (head, tail) = LINE.split_at(40);
    append(&reader, LINE);
    append(&reader, head);
    assert_eq!(reader.read().unwrap().len(), 1);
    append(&reader, tail);
    assert_eq!(reader.read().unwrap().len(), 2);
    assert_eq!(reader.read().unwrap().len(), 2);
}

#[test]
fn a_line_that_is_no_export_is_an_error() {
    let (_dir, mut reader) = reader();
    append(&reader, "{\"resourceMetrics\": 1}\n");
    let error = format!("{:#}", reader.read().unwrap_err());
    assert!(error.contains("is not OTLP JSON at byte 0"), "{error}");
}
