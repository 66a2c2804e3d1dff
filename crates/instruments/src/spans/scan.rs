//! The spans of background scans: of what is read and judged at a time, and of a report that is made what
//! it should be. Nobody asks for a scan, so each begins a trace; the calls to the API server are parts of
//! it.

use opentelemetry::context::FutureExt as _;
use opentelemetry::trace::{Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};

use super::text::clipped;
use super::{Spans, integer};
use crate::Instruments;
use crate::catalogue::key;

/// Objects that are about to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectsFacts<'a> {
    /// The API group.
    pub group: &'a str,
    /// The version.
    pub version: &'a str,
    /// The kind.
    pub kind: &'a str,
    /// The plural name of the resource.
    pub resource: &'a str,
    /// The namespace; none for all of them, and for what is in none.
    pub namespace: Option<&'a str>,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReportOutcome {
    /// It was written.
    Written,
    /// It was as it should be.
    Unchanged,
    /// It was deleted.
    Deleted,
    /// None of that; it is tried again.
    Failed,
}

/// The span of objects that are read and judged.
#[derive(Debug)]
pub struct ObjectsSpan(Open);

/// The span of a report.
#[derive(Debug)]
pub struct ReportSpan(Open);

/// A span until what it is about is done; none where the sampler does not want it.
#[derive(Debug)]
struct Open(Option<Context>);

// === impl Instruments ===

impl Instruments {
    /// Begins the span of objects that a scan reads and judges.
    pub fn begin_objects(&self, facts: &ObjectsFacts<'_>) -> ObjectsSpan {
        let ObjectsFacts { group, version, kind, resource, namespace } = *facts;
        let name = || format!("SCAN {group}/{version}, Kind={kind}");
        let attributes = || {
            vec![
                KeyValue::new(key::SCAN_GROUP, clipped(group)),
                KeyValue::new(key::SCAN_VERSION, clipped(version)),
                KeyValue::new(key::SCAN_RESOURCE, clipped(resource)),
                KeyValue::new(key::SCAN_NAMESPACE, clipped(namespace.unwrap_or_default())),
            ]
        };
        ObjectsSpan(self.spans.open(name, attributes))
    }

    /// Begins the span of a report of this kind.
    pub fn begin_report(&self, kind: &'static str, namespace: Option<&str>) -> ReportSpan {
        let attributes =
            || vec![KeyValue::new(key::SCAN_NAMESPACE, clipped(namespace.unwrap_or_default()))];
        ReportSpan(self.spans.open(|| format!("REPORT {kind}"), attributes))
    }
}

// === impl Spans ===

impl Spans {
    fn open(
        &self,
        name: impl FnOnce() -> String,
        attributes: impl FnOnce() -> Vec<KeyValue>,
    ) -> Open {
        let Some(tracer) = &self.tracer else { return Open(None) };
        let root = Context::new();
        let builder = tracer.span_builder("").with_kind(SpanKind::Internal);
        let mut span = tracer.build_with_context(builder, &root);
        if !span.is_recording() {
            return Open(None);
        }
        span.update_name(name());
        span.set_attributes(attributes());
        Open(Some(root.with_span(span)))
    }
}

// === impl ObjectsSpan ===

impl ObjectsSpan {
    /// `work` as a part of it.
    pub fn within<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        self.0.within(work)
    }

    /// So many were judged.
    pub fn judged(self, objects: usize) {
        self.0.end(Some(integer(key::SCAN_OBJECTS, objects)), None);
    }

    /// None could be read.
    pub fn failed(self) {
        self.0.end(Some(integer(key::SCAN_OBJECTS, 0)), Some("Unread"));
    }
}

// === impl ReportSpan ===

impl ReportSpan {
    /// `work` as a part of it.
    pub fn within<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        self.0.within(work)
    }

    /// What became of it.
    pub fn end(self, outcome: ReportOutcome) {
        let error = (outcome == ReportOutcome::Failed).then_some("Unwritten");
        self.0.end(Some(KeyValue::new(key::REPORT_OUTCOME, outcome.as_str())), error);
    }
}

// === impl Open ===

impl Open {
    fn within<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        let inside = self.0.clone();
        async move {
            match inside {
                Some(context) => work.with_context(context).await,
                None => work.await,
            }
        }
    }

    fn end(mut self, attribute: Option<KeyValue>, error: Option<&'static str>) {
        let Some(context) = self.0.take() else { return };
        let span = context.span();
        span.set_attributes(attribute);
        if let Some(error) = error {
            span.set_attribute(KeyValue::new(key::ERROR_TYPE, error));
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

impl Drop for Open {
    /// The process ends.
    fn drop(&mut self) {
        if let Some(context) = self.0.take() {
            let span = context.span();
            span.set_attribute(KeyValue::new(key::ERROR_TYPE, "Cancelled"));
            span.set_status(Status::error(""));
            span.end();
        }
    }
}

// === impl ReportOutcome ===

impl ReportOutcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Unchanged => "unchanged",
            Self::Deleted => "deleted",
            Self::Failed => "failed",
        }
    }
}
