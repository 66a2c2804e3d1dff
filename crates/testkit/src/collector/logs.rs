//! Log records, as the Collector got them.

use std::collections::BTreeMap;

/// A log record. Ids are in hexadecimal, times in nanoseconds since 1970 and 0 if not said, values
/// of attributes text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// What it says; JSON if that is a list or a map.
    pub body: String,
    /// OpenTelemetry's number: 1 and up for trace, 5 debug, 9 info, 13 warn, 17 error, 21 fatal.
    pub severity: u8,
    /// The writer's word for the severity.
    pub severity_text: String,
    /// The name of the event, if it is one.
    pub event_name: String,
    /// When it was written.
    pub time: u64,
    /// When it was seen.
    pub observed_time: u64,
    /// The trace in which it was written.
    pub trace_id: Option<String>,
    /// The span in which it was written.
    pub span_id: Option<String>,
    /// Its own attributes.
    pub attributes: BTreeMap<String, String>,
    /// The resource attributes.
    pub resource: BTreeMap<String, String>,
    /// The instrumentation scope.
    pub scope: String,
}
