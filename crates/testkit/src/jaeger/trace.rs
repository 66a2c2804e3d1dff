//! Traces as Jaeger shows them.

use std::collections::BTreeMap;
use std::time::Duration;

/// The spans of one trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The id in hexadecimal.
    pub id: String,
    /// The spans in the order of their start.
    pub spans: Vec<Span>,
}

/// A span. Values of tags are text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The id in hexadecimal.
    pub id: String,
    /// The span that it is part of; none for a root.
    pub parent: Option<String>,
    /// The name.
    pub name: String,
    /// The service that wrote it.
    pub service: String,
    /// Its attributes, and what Jaeger makes of kind and status: `span.kind`, `otel.status_code`,
    /// `otel.status_description`, `error`, and of the scope: `otel.scope.name`.
    pub tags: BTreeMap<String, String>,
    /// The resource attributes without the name of the service.
    pub resource: BTreeMap<String, String>,
    /// What happened in it; the name of an event is its `event`.
    pub events: Vec<BTreeMap<String, String>>,
    /// Trace and span ids of the spans to which it is linked.
    pub links: Vec<(String, String)>,
    /// When it began, in microseconds since 1970.
    pub start: u64,
    /// How long it took.
    pub duration: Duration,
}

// === impl Trace ===

impl Trace {
    /// The first span of this name.
    #[must_use]
    pub fn span(&self, name: &str) -> Option<&Span> {
        self.spans.iter().find(|span| span.name == name)
    }

    /// The spans without a parent.
    pub fn roots(&self) -> impl Iterator<Item = &Span> {
        self.spans.iter().filter(|span| span.parent.is_none())
    }

    /// The spans of which this one is the parent.
    pub fn children<'a>(&'a self, of: &'a Span) -> impl Iterator<Item = &'a Span> {
        self.spans.iter().filter(|span| span.parent.as_ref() == Some(&of.id))
    }

    /// The parent, if it has arrived.
    #[must_use]
    pub fn parent(&self, of: &Span) -> Option<&Span> {
        self.spans.iter().find(|span| of.parent.as_ref() == Some(&span.id))
    }
}
