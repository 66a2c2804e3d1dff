//! What is judged: made once for each review or scanned resource, and shared by all of its records.

use std::sync::Arc;

use opentelemetry::context::FutureExt as _;
use opentelemetry::{KeyValue, StringValue};

use crate::facts::{ExecutionCause, Operation};
use crate::spans::ReviewSpan;

/// A resource that policies are evaluated for, and why.
///
/// Its texts are copied here once; a record shares them, so that telemetry about a review
/// allocates the same, however many policies there are.
#[derive(Debug)]
pub struct Subject {
    cause: ExecutionCause,
    kind: Arc<str>,
    namespace: Option<Arc<str>>,
    pub(crate) span: Option<ReviewSpan>,
}

// === impl Subject ===

impl Subject {
    /// A resource of this kind, such as `Pod`; without a namespace it is a cluster-scoped one.
    pub fn new(cause: ExecutionCause, kind: &str, namespace: Option<&str>) -> Self {
        Self { cause, kind: kind.into(), namespace: namespace.map(Into::into), span: None }
    }

    /// What somebody asks for.
    pub fn of_request(operation: Operation, kind: &str, namespace: Option<&str>) -> Self {
        Self::new(ExecutionCause::AdmissionRequest(operation), kind, namespace)
    }

    /// Why policies are evaluated for it.
    pub fn cause(&self) -> ExecutionCause {
        self.cause
    }

    /// The kind of the resource.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The namespace of the resource; empty for a cluster-scoped one.
    pub fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
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

    pub(crate) fn kind_as(&self, key: &'static str) -> KeyValue {
        KeyValue::new(key, Arc::clone(&self.kind))
    }

    pub(crate) fn namespace_as(&self, key: &'static str) -> KeyValue {
        KeyValue::new(key, shared(self.namespace.as_ref()))
    }
}

/// The text itself and not a copy; empty where there is none.
pub(crate) fn shared(text: Option<&Arc<str>>) -> StringValue {
    text.map_or_else(|| StringValue::from(""), |text| StringValue::from(Arc::clone(text)))
}
