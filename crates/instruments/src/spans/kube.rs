//! The client span of one call to the API server, and the trace context that it carries.
//!
//! A tower layer, because the client is somebody else's: it knows HTTP and the paths of the
//! Kubernetes API, and nothing of clients. A watch is measured to the header of its answer.
//! [`carry_trace`] says which calls are parts of which trace.

mod operation;

use std::fmt;
use std::pin::Pin;
use std::task::{Context as Task, Poll};

use http::{Request, Response, StatusCode};
use opentelemetry::context::{FutureExt as _, WithContext};
use opentelemetry::trace::{SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;
use pharos_telemetry::propagation;
use tower::{Layer, Service};

use super::call::{method_attributes, server};
use super::text::clipped;
use super::{Spans, integer, is_recorded};
use crate::catalogue::key;
use operation::Operation;

/// Gives every call of a client its span, where it is a part of a trace that is recorded.
#[derive(Clone, Debug)]
pub struct KubeSpansLayer {
    spans: Spans,
}

/// A client with that layer.
#[derive(Clone, Debug)]
pub struct KubeSpans<S> {
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

// === impl Spans ===

impl Spans {
    /// A layer that gives every call of a client to the Kubernetes API its span.
    pub fn kube_layer(&self) -> KubeSpansLayer {
        KubeSpansLayer { spans: self.clone() }
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

// === impl KubeSpansLayer ===

impl<S> Layer<S> for KubeSpansLayer {
    type Service = KubeSpans<S>;

    fn layer(&self, inner: S) -> KubeSpans<S> {
        KubeSpans { spans: self.spans.clone(), inner }
    }
}

// === impl KubeSpans ===

impl<S, B, A> Service<Request<B>> for KubeSpans<S>
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
