//! Spans, as the Collector got them.

use std::collections::BTreeMap;

/// A span. Ids are in hexadecimal, times in nanoseconds since 1970, values of attributes text.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// The trace that it is part of.
    pub trace_id: String,
    /// Its own id.
    pub span_id: String,
    /// The span that it is part of; none for a root.
    pub parent: Option<String>,
    /// The name.
    pub name: String,
    /// Which side of a call it is.
    pub kind: Kind,
    /// When it began.
    pub start_time: u64,
    /// When it ended.
    pub end_time: u64,
    /// Its own attributes.
    pub attributes: BTreeMap<String, String>,
    /// What happened in it.
    pub events: Vec<Event>,
    /// Spans of other traces that it has to do with.
    pub links: Vec<Link>,
    /// How it ended.
    pub status: SpanStatus,
    /// The resource attributes.
    pub resource: BTreeMap<String, String>,
    /// The instrumentation scope.
    pub scope: String,
}

/// Which side of a call a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Not said.
    Unspecified,
    /// No call to or from outside.
    Internal,
    /// The answering side.
    Server,
    /// The asking side.
    Client,
    /// The sender of a message.
    Producer,
    /// The receiver of a message.
    Consumer,
}

/// How a span ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpanStatus {
    /// Not said.
    Unset,
    /// Well.
    Ok,
    /// With this error.
    Error(String),
}

/// Something that happened in a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The name.
    pub name: String,
    /// When.
    pub time: u64,
    /// The attributes.
    pub attributes: BTreeMap<String, String>,
}

/// A span of another trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The trace.
    pub trace_id: String,
    /// The span.
    pub span_id: String,
    /// The attributes.
    pub attributes: BTreeMap<String, String>,
}
