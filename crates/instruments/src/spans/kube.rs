//! What is told of one call to the API server: it is counted, and has a client span and carries the
//! trace context where it is a part of a trace.
//!
//! A tower layer, because the client is somebody else's: it knows HTTP and the paths of the
//! Kubernetes API, and nothing of clients. A watch is measured to the header of its answer.
//! [`carry_trace`] says which calls are parts of which trace.

mod operation;
mod query;

use std::fmt;
use std::pin::Pin;
use std::task::{Context as Task, Poll};

use http::{Request, Response, StatusCode};
use opentelemetry::context::{FutureExt as _, WithContext};
use opentelemetry::trace::{SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;
use pharos_telemetry::{Counter, propagation};
use tower::{Layer, Service};

use super::call::{method_attributes, server};
use super::text::clipped;
use super::{Spans, integer, is_recorded};
use crate::Instruments;
use crate::catalogue::key;
use operation::Operation;

/// Counts every call of a client, and gives it its span where it is a part of a trace that is
/// recorded.
#[derive(Clone, Debug)]
pub struct KubeTelemetryLayer {
    queries: Counter,
    spans: Spans,
}

/// A client with that layer.
#[derive(Clone, Debug)]
pub struct KubeTelemetry<S> {
    queries: Counter,
    spans: Spans,
    inner: S,
}

/// A call, with its span if it has one.
pub enum KubeCall<F> {
    /// It has none.
    Untold(Pin<Box<F>>),
    /// It has one.
    Told(Pin<Box<WithContext<F>>>, KubeSpan),
}

/// The span of a call, until there is an answer.
pub struct KubeSpan {
    context: Context,
    is_answered: bool,
}

/// The context of whoever makes a call, on its way to the layer.
#[derive(Clone)]
struct Carried(Context);

/// Makes a call to the API server a part of the trace that is current, if that is recorded.
///
/// Calls go through the queue of their client, on whose other side nothing is current.
pub fn carry_trace<B>(request: &mut Request<B>) {
    if is_recorded() {
        request.extensions_mut().insert(Carried(Context::current()));
    }
}

// === impl Instruments ===

impl Instruments {
    /// A layer that tells every call of a client to the Kubernetes API.
    pub fn kube_layer(&self) -> KubeTelemetryLayer {
        KubeTelemetryLayer { queries: self.client_queries.clone(), spans: self.spans.clone() }
    }
}

/// The span of this call, which the API server is told of.
fn start<B>(tracer: &SdkTracer, parent: &Context, request: &mut Request<B>) -> KubeSpan {
    let operation = Operation::of(request.method(), request.uri());
    let builder = tracer
        .span_builder(operation.span_name())
        .with_kind(SpanKind::Client)
        .with_attributes(attributes(request, &operation));
    let context = parent.with_span(tracer.build_with_context(builder, parent));
    propagation::inject(&context, request.headers_mut());
    KubeSpan { context, is_answered: false }
}

fn attributes<B>(request: &Request<B>, operation: &Operation<'_>) -> Vec<KeyValue> {
    let mut attributes = vec![KeyValue::new(key::KUBE_OPERATION, operation.verb)];
    attributes.extend(method_attributes(request.method()));
    attributes.extend(request.uri().authority().into_iter().flat_map(server));
    attributes.push(KeyValue::new(key::KUBE_GROUP, clipped(operation.group)));
    let resource = operation.resource_and_part();
    attributes.extend(resource.map(|it| KeyValue::new(key::KUBE_RESOURCE, clipped(&it))));
    attributes
}

// === impl KubeTelemetryLayer ===

impl<S> Layer<S> for KubeTelemetryLayer {
    type Service = KubeTelemetry<S>;

    fn layer(&self, inner: S) -> KubeTelemetry<S> {
        KubeTelemetry { queries: self.queries.clone(), spans: self.spans.clone(), inner }
    }
}

// === impl KubeTelemetry ===

impl<S, B, A> Service<Request<B>> for KubeTelemetry<S>
where
    S: Service<Request<B>, Response = Response<A>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = KubeCall<S::Future>;

    fn poll_ready(&mut self, task: &mut Task<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, mut request: Request<B>) -> KubeCall<S::Future> {
        self.queries.add(1, &query::attributes(&request));
        let parent = request.extensions_mut().remove::<Carried>();
        let (Some(tracer), Some(Carried(parent))) = (&self.spans.tracer, parent) else {
            return KubeCall::Untold(Box::pin(self.inner.call(request)));
        };
        let span = start(tracer, &parent, &mut request);
        let inside = span.context.clone();
        let call = {
            let _current = inside.clone().attach();
            self.inner.call(request)
        };
        KubeCall::Told(Box::pin(call.with_context(inside)), span)
    }
}

// === impl KubeCall ===

impl<F, A, E> Future for KubeCall<F>
where
    F: Future<Output = Result<Response<A>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<F::Output> {
        match self.get_mut() {
            Self::Untold(call) => call.as_mut().poll(task),
            Self::Told(call, span) => {
                let outcome = std::task::ready!(call.as_mut().poll(task));
                span.end(outcome.as_ref().ok().map(Response::status));
                Poll::Ready(outcome)
            }
        }
    }
}

impl<F> fmt::Debug for KubeCall<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Untold(_) => "Untold",
            Self::Told(..) => "Told",
        })
    }
}

// === impl KubeSpan ===

impl KubeSpan {
    fn end(&mut self, status: Option<StatusCode>) {
        self.is_answered = true;
        let span = self.context.span();
        if let Some(status) = status {
            span.set_attribute(integer(key::HTTP_RESPONSE_STATUS_CODE, status.as_u16()));
        }
        let error = match status {
            None => Some("NoAnswer".to_owned()),
            Some(status) if status.is_client_error() || status.is_server_error() => {
                Some(status.as_str().to_owned())
            }
            Some(_) => None,
        };
        if let Some(error) = error {
            span.set_attribute(KeyValue::new(key::ERROR_TYPE, error));
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

impl Drop for KubeSpan {
    /// Whoever called did not wait for the answer.
    fn drop(&mut self) {
        if !self.is_answered {
            let span = self.context.span();
            span.set_attribute(KeyValue::new(key::ERROR_TYPE, "Cancelled"));
            span.set_status(Status::error(""));
            span.end();
        }
    }
}
