//! Reading what was written so far, and no more.

use std::fs::OpenOptions;
use std::io::Write;

use super::*;
use crate::collector::metrics::Export;
use crate::collector::otlp_json;

const LINE: &str = "{\"resourceMetrics\":[{\"scopeMetrics\":[]}]}\n";

fn reader() -> (tempfile::TempDir, Reader<Export>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metrics.json");
    (dir, Reader::new(path, otlp_json::metrics))
}

fn append(reader: &Reader<Export>, text: &str) {
    let mut file = OpenOptions::new().append(true).create(true).open(&reader.path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn a_half_written_line_is_read_when_it_is_whole() {
    let (_dir, reader) = reader();
    assert!(reader.read().unwrap().is_empty());
    let (head, tail) = LINE.split_at(20);
    append(&reader, LINE);
    append(&reader, head);
    assert_eq!(reader.read().unwrap().len(), 1);
    append(&reader, tail);
    assert_eq!(reader.read().unwrap().len(), 2);
    assert_eq!(reader.read().unwrap().len(), 2);
}

#[test]
fn a_line_that_is_no_export_is_an_error() {
    let (_dir, reader) = reader();
    append(&reader, "{\"resourceMetrics\": 1}\n");
    let error = format!("{:#}", reader.read().unwrap_err());
    assert!(error.contains("is not OTLP JSON at byte 0"), "{error}");
}
