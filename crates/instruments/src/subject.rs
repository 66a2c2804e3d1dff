//! What is judged: made once for each review or scanned resource, and shared by all of its records.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::context::FutureExt as _;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};

use crate::facts::{ExecutionCause, Operation};
use crate::known::KnownSubject;
use crate::spans::ReviewSpan;

/// A resource that policies are evaluated for, and why.
#[derive(Debug)]
pub struct Subject {
    pub(crate) known: Arc<KnownSubject>,
    pub(crate) span: Option<ReviewSpan>,
}

// === impl Subject ===

impl Subject {
    /// A resource of this kind, such as `Pod`; without a namespace it is a cluster-scoped one.
    /// Nothing is known of it: [`Instruments::begin_review`](crate::Instruments::begin_review) makes
    /// subjects that are cheaper to record about.
    pub fn new(cause: ExecutionCause, kind: &str, namespace: Option<&str>) -> Self {
        let known = KnownSubject::new(cause, false, kind, namespace, &Arc::default());
        Self { known: Arc::new(known), span: None }
    }

    /// What somebody asks for.
    pub fn of_request(operation: Operation, kind: &str, namespace: Option<&str>) -> Self {
        Self::new(ExecutionCause::AdmissionRequest(operation), kind, namespace)
    }

    /// Why policies are evaluated for it.
    pub fn cause(&self) -> ExecutionCause {
        self.known.cause
    }

    /// The kind of the resource.
    pub fn kind(&self) -> &str {
        &self.known.kind
    }

    /// The namespace of the resource; empty for a cluster-scoped one.
    pub fn namespace(&self) -> &str {
        self.known.namespace.as_deref().unwrap_or_default()
    }

    /// `work` as a part of its span, if it has one.
    pub fn within<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        let inside = self.span.as_ref().map(|span| span.context().clone());
        async move {
            match inside {
                Some(context) => work.with_context(context).await,
                None => work.await,
            }
        }
    }

    pub(crate) fn dry_run(&self) -> &'static str {
        if self.known.is_dry_run { "true" } else { "false" }
    }

    pub(crate) fn span_context(&self) -> Option<SpanContext> {
        self.span.as_ref().map(|span| span.context().span().span_context().clone())
    }

    pub(crate) fn kind_as(&self, key: &'static str) -> KeyValue {
        KeyValue::new(key, Arc::clone(&self.known.kind))
    }

    pub(crate) fn namespace_as(&self, key: &'static str) -> KeyValue {
        match &self.known.namespace {
            Some(namespace) => KeyValue::new(key, Arc::clone(namespace)),
            None => KeyValue::new(key, ""),
        }
    }
}
