//! W3C trace context and baggage, in and out of HTTP headers.
//!
//! The format is fixed, so nothing is global and nothing is configured. What comes in is bounded as
//! the two recommendations say: what exceeds them is not passed on.

use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanId, TraceContextExt as _, TraceId};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

const TRACE_PARENT: &str = "traceparent";
const TRACE_STATE: &str = "tracestate";
const BAGGAGE: &str = "baggage";
const FIELDS: [&str; 3] = [TRACE_PARENT, TRACE_STATE, BAGGAGE];
/// How many members a `tracestate` may have.
const TRACE_STATE_MEMBERS: usize = 32;
/// How many bytes of `tracestate` have to be passed on; more are not.
const TRACE_STATE_LENGTH: usize = 512;
/// How many bytes of `baggage` have to be passed on; more are not.
const BAGGAGE_LENGTH: usize = 8192;

/// The span that is current, for who wants to name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrentSpan {
    /// Of the whole trace.
    pub trace_id: TraceId,
    /// Of the span.
    pub span_id: SpanId,
}

/// W3C trace context and baggage, within their bounds, for who propagates by himself.
#[derive(Clone, Copy, Debug, Default)]
pub struct W3c;

/// What headers say, read once: a list may be spread over several headers of one name.
struct Received {
    trace_parent: Option<String>,
    trace_state: Option<String>,
    baggage: Option<String>,
}

/// Headers that are read.
struct Incoming<'a>(&'a HeaderMap);

/// Headers that are written.
struct Outgoing<'a>(&'a mut HeaderMap);

/// What fits into headers.
struct WithinBounds<'a>(&'a mut dyn Injector);

/// The context that a request came with, on top of none: empty where the headers say nothing that
/// can be understood.
pub fn extract(headers: &HeaderMap) -> Context {
    W3c.extract_with_context(&Context::new(), &Incoming(headers))
}

/// Writes `context` into the headers of a request, in place of what they say about one.
pub fn inject(context: &Context, headers: &mut HeaderMap) {
    for name in FIELDS {
        headers.remove(name);
    }
    W3c.inject_context(context, &mut Outgoing(headers));
}

/// The span that this thread is in, if it is in one.
pub fn current_span() -> Option<CurrentSpan> {
    Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        let current = CurrentSpan { trace_id: span.trace_id(), span_id: span.span_id() };
        span.is_valid().then_some(current)
    })
}

// === impl W3c ===

impl TextMapPropagator for W3c {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let mut within_bounds = WithinBounds(injector);
        TraceContextPropagator::new().inject_context(context, &mut within_bounds);
        BaggagePropagator::new().inject_context(context, &mut within_bounds);
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let received = Received::read(extractor);
        let context = TraceContextPropagator::new().extract_with_context(context, &received);
        BaggagePropagator::new().extract_with_context(&context, &received)
    }

    fn fields(&self) -> FieldIter<'_> {
        static NAMES: LazyLock<[String; 3]> = LazyLock::new(|| FIELDS.map(str::to_owned));
        FieldIter::new(&*NAMES)
    }
}

// === impl Received ===

impl Received {
    fn read(extractor: &dyn Extractor) -> Self {
        let all = |name| extractor.get_all(name).filter(|values| !values.is_empty());
        let list = |name| all(name).map(|values| values.join(","));
        // Of two parents, neither can be believed.
        let trace_parent = all(TRACE_PARENT).filter(|values| values.len() == 1);
        let trace_state = list(TRACE_STATE).filter(|state| {
            state.len() <= TRACE_STATE_LENGTH && state.split(',').count() <= TRACE_STATE_MEMBERS
        });
        Self {
            trace_parent: trace_parent.map(|values| values.concat()),
            trace_state,
            baggage: list(BAGGAGE),
        }
    }
}

impl Extractor for Received {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            TRACE_PARENT => self.trace_parent.as_deref(),
            TRACE_STATE => self.trace_state.as_deref(),
            BAGGAGE => self.baggage.as_deref(),
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        FIELDS.to_vec()
    }
}

// === impl Incoming ===

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        Some(self.0.get_all(key).iter().filter_map(|value| value.to_str().ok()).collect())
    }
}

// === impl Outgoing ===

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

// === impl WithinBounds ===

impl Injector for WithinBounds<'_> {
    fn set(&mut self, key: &str, value: String) {
        let limit = if key == BAGGAGE { BAGGAGE_LENGTH } else { TRACE_STATE_LENGTH };
        if !value.is_empty() && value.len() <= limit {
            self.0.set(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry::baggage::BaggageExt as _;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn what_comes_in_goes_out_as_it_was() {
        let pairs =
            [("traceparent", PARENT), ("tracestate", "a=1,b=2"), ("baggage", "tenant=blue")];
        let context = extract(&headers(&pairs));
        assert!(context.span().span_context().is_remote());
        let mut out = headers(&[("traceparent", "old"), ("host", "kept")]);
        inject(&context, &mut out);
        for (name, value) in pairs {
            assert_eq!(out.get_all(name).iter().collect::<Vec<_>>(), [value], "{name}");
        }
        assert_eq!(out["host"], "kept");
    }

    #[test]
    fn lists_may_be_spread_over_headers() {
        let pairs = [
            ("traceparent", PARENT),
            ("tracestate", "a=1"),
            ("tracestate", "b=2"),
            ("baggage", "c=3"),
            ("baggage", "d=4"),
        ];
        let context = extract(&headers(&pairs));
        assert_eq!(context.span().span_context().trace_state().header(), "a=1,b=2");
        assert_eq!(context.baggage().len(), 2);
    }

    #[test]
    fn what_cannot_be_understood_is_no_context() {
        let nothing = headers(&[]);
        let twice = headers(&[("traceparent", PARENT), ("traceparent", PARENT)]);
        let garbage = headers(&[("traceparent", "00-xyz"), ("tracestate", "a=1")]);
        for headers in [nothing, twice, garbage] {
            let context = extract(&headers);
            assert!(!context.span().span_context().is_valid());
            let mut out = HeaderMap::new();
            inject(&context, &mut out);
            assert!(out.is_empty(), "{out:?}");
        }
    }

    #[test]
    fn what_exceeds_the_bounds_is_not_passed_on() {
        let members: Vec<_> = (0..33).map(|it| format!("k{it}=v")).collect();
        let long = format!("k={}", "v".repeat(BAGGAGE_LENGTH));
        let context = extract(&headers(&[
            ("traceparent", PARENT),
            ("tracestate", &members.join(",")),
            ("baggage", &long),
        ]));
        let span = context.span();
        assert!(span.span_context().is_valid(), "the trace goes on all the same");
        assert_eq!(span.span_context().trace_state().header(), "");
        assert!(context.baggage().is_empty());
    }
}
