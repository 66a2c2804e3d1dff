//! Traces.

use serde::Deserialize;

use super::{Attributed, KeyValue, Scope, attributes, id, integer};
use crate::collector::traces::{Event, Kind, Link, Span, SpanStatus};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Request {
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ResourceSpans {
    resource: Attributed,
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ScopeSpans {
    scope: Scope,
    spans: Vec<OtlpSpan>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct OtlpSpan {
    trace_id: String,
    span_id: String,
    parent_span_id: String,
    name: String,
    kind: u8,
    #[serde(deserialize_with = "integer")]
    start_time_unix_nano: u64,
    #[serde(deserialize_with = "integer")]
    end_time_unix_nano: u64,
    attributes: Vec<KeyValue>,
    events: Vec<OtlpEvent>,
    links: Vec<OtlpLink>,
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct OtlpEvent {
    name: String,
    #[serde(deserialize_with = "integer")]
    time_unix_nano: u64,
    attributes: Vec<KeyValue>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct OtlpLink {
    trace_id: String,
    span_id: String,
    attributes: Vec<KeyValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    code: u8,
    message: String,
}

/// The spans of one request.
pub(in crate::collector) fn traces(line: &[u8]) -> serde_json::Result<Vec<Span>> {
    let request: Request = serde_json::from_slice(line)?;
    let mut spans = Vec::new();
    for of_resource in request.resource_spans {
        let resource = attributes(of_resource.resource.attributes);
        for of_scope in of_resource.scope_spans {
            let scope = of_scope.scope.name;
            spans.extend(of_scope.spans.into_iter().map(|span| Span {
                resource: resource.clone(),
                scope: scope.clone(),
                ..span.into()
            }));
        }
    }
    Ok(spans)
}

// === impl OtlpSpan ===

impl From<OtlpSpan> for Span {
    /// Without resource and scope.
    fn from(span: OtlpSpan) -> Self {
        Self {
            trace_id: span.trace_id,
            span_id: span.span_id,
            parent: id(span.parent_span_id),
            name: span.name,
            kind: span.kind.into(),
            start_time: span.start_time_unix_nano,
            end_time: span.end_time_unix_nano,
            attributes: attributes(span.attributes),
            events: span.events.into_iter().map(Event::from).collect(),
            links: span.links.into_iter().map(Link::from).collect(),
            status: match span.status.code {
                1 => SpanStatus::Ok,
                2 => SpanStatus::Error(span.status.message),
                _ => SpanStatus::Unset,
            },
            resource: Default::default(),
            scope: String::new(),
        }
    }
}

// === impl OtlpEvent ===

impl From<OtlpEvent> for Event {
    fn from(event: OtlpEvent) -> Self {
        Self {
            name: event.name,
            time: event.time_unix_nano,
            attributes: attributes(event.attributes),
        }
    }
}

// === impl OtlpLink ===

impl From<OtlpLink> for Link {
    fn from(link: OtlpLink) -> Self {
        Self {
            trace_id: link.trace_id,
            span_id: link.span_id,
            attributes: attributes(link.attributes),
        }
    }
}

// === impl Kind ===

impl From<u8> for Kind {
    fn from(number: u8) -> Self {
        match number {
            1 => Self::Internal,
            2 => Self::Server,
            3 => Self::Client,
            4 => Self::Producer,
            5 => Self::Consumer,
            _ => Self::Unspecified,
        }
    }
}
