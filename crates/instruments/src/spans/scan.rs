//! The spans of background scans: of a kind that is gone through, of the pages in it, and of a report that is
//! made what it should be. Nobody asks for a scan, so each begins a trace; the calls to the API server are
//! parts of it.

use opentelemetry::context::FutureExt as _;
use opentelemetry::trace::{Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};

use super::text::clipped;
use super::{Spans, integer};
use crate::Instruments;
use crate::catalogue::key;

/// Objects that are about to be read, or a kind that is about to be gone through.
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

/// How a kind was gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SweepOutcome {
    /// To the end.
    Complete,
    /// It is begun anew, because policies or shares changed meanwhile.
    Superseded,
}

/// The span of a kind that is gone through.
#[derive(Debug)]
pub struct SweepSpan(Open);

/// What a page is a part of.
#[derive(Clone, Debug)]
pub struct SweepParent(Option<Context>);

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
    /// Begins the span of a kind that a scan goes through; of all namespaces where none is named.
    pub fn begin_sweep(&self, facts: &ObjectsFacts<'_>) -> SweepSpan {
        let name = || facts.named("SWEEP");
        SweepSpan(self.spans.open(None, name, || facts.attributes()))
    }

    /// Begins the span of objects that a scan reads and judges, as a part of a sweep or on their own.
    pub fn begin_objects(
        &self,
        sweep: Option<&SweepParent>,
        facts: &ObjectsFacts<'_>,
    ) -> ObjectsSpan {
        let parent = match sweep {
            Some(SweepParent(None)) => return ObjectsSpan(Open(None)),
            Some(SweepParent(Some(context))) => Some(context),
            None => None,
        };
        ObjectsSpan(self.spans.open(parent, || facts.named("SCAN"), || facts.attributes()))
    }

    /// Begins the span of a report of this kind.
    pub fn begin_report(&self, kind: &'static str, namespace: Option<&str>) -> ReportSpan {
        let attributes =
            || vec![KeyValue::new(key::SCAN_NAMESPACE, clipped(namespace.unwrap_or_default()))];
        ReportSpan(self.spans.open(None, || format!("REPORT {kind}"), attributes))
    }
}

// === impl Spans ===

impl Spans {
    fn open(
        &self,
        parent: Option<&Context>,
        name: impl FnOnce() -> String,
        attributes: impl FnOnce() -> Vec<KeyValue>,
    ) -> Open {
        let Some(tracer) = &self.tracer else { return Open(None) };
        let root = Context::new();
        let builder = tracer.span_builder("").with_kind(SpanKind::Internal);
        let mut span = tracer.build_with_context(builder, parent.unwrap_or(&root));
        if !span.is_recording() {
            return Open(None);
        }
        span.update_name(name());
        span.set_attributes(attributes());
        Open(Some(root.with_span(span)))
    }
}

// === impl ObjectsFacts ===

impl ObjectsFacts<'_> {
    fn named(&self, what: &str) -> String {
        let Self { group, version, kind, .. } = self;
        format!("{what} {group}/{version}, Kind={kind}")
    }

    fn attributes(&self) -> Vec<KeyValue> {
        vec![
            KeyValue::new(key::SCAN_GROUP, clipped(self.group)),
            KeyValue::new(key::SCAN_VERSION, clipped(self.version)),
            KeyValue::new(key::SCAN_RESOURCE, clipped(self.resource)),
            KeyValue::new(key::SCAN_NAMESPACE, clipped(self.namespace.unwrap_or_default())),
        ]
    }
}

// === impl SweepSpan ===

impl SweepSpan {
    /// What the spans of its pages begin under. Where the sweep has no span its pages have none either.
    pub fn parent(&self) -> SweepParent {
        SweepParent(self.0.0.clone())
    }

    /// So many were judged.
    pub fn end(self, outcome: SweepOutcome, objects: usize) {
        let attributes = [
            KeyValue::new(key::SWEEP_OUTCOME, outcome.as_str()),
            integer(key::SCAN_OBJECTS, objects),
        ];
        self.0.end(attributes, None);
    }
}

// === impl SweepOutcome ===

impl SweepOutcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Superseded => "superseded",
        }
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
        self.0.end([integer(key::SCAN_OBJECTS, objects)], None);
    }

    /// None could be read.
    pub fn failed(self) {
        self.0.end([integer(key::SCAN_OBJECTS, 0)], Some("Unread"));
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
        self.0.end([KeyValue::new(key::REPORT_OUTCOME, outcome.as_str())], error);
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

    fn end(mut self, attributes: impl IntoIterator<Item = KeyValue>, error: Option<&'static str>) {
        let Some(context) = self.0.take() else { return };
        let span = context.span();
        span.set_attributes(attributes);
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
