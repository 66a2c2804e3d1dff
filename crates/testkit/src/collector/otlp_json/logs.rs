//! Logs.

use serde::Deserialize;

use super::{AnyValue, Attributed, KeyValue, Scope, attributes, id, integer, text};
use crate::collector::logs::LogRecord;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Request {
    resource_logs: Vec<ResourceLogs>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ResourceLogs {
    resource: Attributed,
    scope_logs: Vec<ScopeLogs>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ScopeLogs {
    scope: Scope,
    log_records: Vec<OtlpLogRecord>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct OtlpLogRecord {
    #[serde(deserialize_with = "integer")]
    time_unix_nano: u64,
    #[serde(deserialize_with = "integer")]
    observed_time_unix_nano: u64,
    severity_number: u8,
    severity_text: String,
    event_name: String,
    body: AnyValue,
    attributes: Vec<KeyValue>,
    trace_id: String,
    span_id: String,
}

/// The records of one request.
pub(in crate::collector) fn logs(line: &[u8]) -> serde_json::Result<Vec<LogRecord>> {
    let request: Request = serde_json::from_slice(line)?;
    let mut records = Vec::new();
    for of_resource in request.resource_logs {
        let resource = attributes(of_resource.resource.attributes);
        for of_scope in of_resource.scope_logs {
            let scope = of_scope.scope.name;
            records.extend(of_scope.log_records.into_iter().map(|record| LogRecord {
                body: text(record.body),
                severity: record.severity_number,
                severity_text: record.severity_text,
                event_name: record.event_name,
                time: record.time_unix_nano,
                observed_time: record.observed_time_unix_nano,
                trace_id: id(record.trace_id),
                span_id: id(record.span_id),
                attributes: attributes(record.attributes),
                resource: resource.clone(),
                scope: scope.clone(),
            }));
        }
    }
    Ok(records)
}
