//! What is told of each request to the webhook's port: two sets of metrics, Kyverno's and those of
//! OpenTelemetry's conventions, and its span if it is sampled.
//!
//! Anybody who reaches the port can call any path with any method, so neither is an attribute unless
//! it is one of ours.

use std::sync::{Arc, RwLock};
use std::time::Instant;

use hashbrown::{Equivalent, HashMap};
use http::header::CONTENT_LENGTH;
use http::{StatusCode, Uri, Version};
use opentelemetry::KeyValue;
use opentelemetry::context::FutureExt as _;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use pharos_telemetry::{Catalogue, Counter, Histogram, HistogramSeries};

use crate::Instruments;
use crate::catalogue::key;
use crate::catalogue::metrics::{
    HTTP_DURATION, HTTP_REQUESTS, HTTP_SERVER_DURATION, HTTP_SERVER_REQUEST_SIZE,
    HTTP_SERVER_RESPONSE_SIZE,
};
use crate::known::Measured;
use crate::spans::{CallFacts, CallSpan, known_method, protocol_version};

/// How many kinds of calls are known at once.
const CALLS: usize = 256;
/// The longest timeout that an API server asks for is `30s`; some write it in milliseconds.
const TIMEOUT_LENGTH: usize = "timeout=30000ms".len();

/// The instruments about requests.
#[derive(Clone, Debug)]
pub(crate) struct Calls {
    requests: Counter,
    duration: Histogram,
    server_duration: Histogram,
    request_size: Histogram,
    response_size: Histogram,
    known: Arc<RwLock<HashMap<CallKey, Arc<CallSeries>>>>,
}

/// One request that is being answered.
#[derive(Debug)]
pub struct Call {
    calls: Calls,
    started: Instant,
    method: &'static str,
    url: Url,
    version: Version,
    request_length: Option<u64>,
    span: Option<CallSpan>,
}

/// The series of one kind of call.
#[derive(Debug)]
struct CallSeries {
    kyverno: Measured,
    duration: HistogramSeries,
    request_size: HistogramSeries,
    response_size: HistogramSeries,
}

/// What was called, if it is one of ours, and the query if it is what API servers add.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Url {
    route: &'static str,
    uri: Option<Uri>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CallKey {
    method: &'static str,
    route: &'static str,
    query: Box<str>,
    version: &'static str,
    status: u16,
}

#[derive(Clone, Copy, Hash)]
struct CallQuery<'a> {
    method: &'static str,
    route: &'static str,
    query: &'a str,
    version: &'static str,
    status: u16,
}

// === impl Instruments ===

impl Instruments {
    /// Begins the telemetry of a request whose header was read.
    pub fn begin_call(&self, facts: &CallFacts<'_>) -> Call {
        let length = facts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        Call {
            calls: self.calls.clone(),
            started: Instant::now(),
            method: known_method(facts.method).unwrap_or("_OTHER"),
            url: Url::of(facts),
            version: facts.version,
            request_length: length.and_then(|length| length.parse().ok()),
            span: self.spans().start_call(facts),
        }
    }
}

// === impl Calls ===

impl Calls {
    pub(crate) fn declare(catalogue: &mut Catalogue) -> Self {
        Self {
            requests: catalogue.counter(&HTTP_REQUESTS),
            duration: catalogue.histogram(&HTTP_DURATION),
            server_duration: catalogue.histogram(&HTTP_SERVER_DURATION),
            request_size: catalogue.histogram(&HTTP_SERVER_REQUEST_SIZE),
            response_size: catalogue.histogram(&HTTP_SERVER_RESPONSE_SIZE),
            known: Arc::default(),
        }
    }

    fn series(&self, query: CallQuery<'_>) -> Arc<CallSeries> {
        if let Ok(known) = self.known.try_read()
            && let Some(series) = known.get(&query)
        {
            return Arc::clone(series);
        }
        let series = Arc::new(self.make(query));
        if let Ok(mut known) = self.known.try_write()
            && known.len() < CALLS
        {
            return Arc::clone(known.entry(query.into()).or_insert(series));
        }
        series
    }

    fn make(&self, query: CallQuery<'_>) -> CallSeries {
        let CallQuery { method, route, query, version, status } = query;
        let url = if query.is_empty() { route.to_owned() } else { [route, "?", query].concat() };
        let kyverno = [KeyValue::new(key::HTTP_METHOD, method), KeyValue::new(key::HTTP_URL, url)];
        let server: Arc<[KeyValue]> = [
            KeyValue::new(key::HTTP_REQUEST_METHOD, method),
            KeyValue::new(key::HTTP_RESPONSE_STATUS_CODE, i64::from(status)),
            KeyValue::new(key::NETWORK_PROTOCOL_NAME, "http"),
            KeyValue::new(key::NETWORK_PROTOCOL_VERSION, version),
            KeyValue::new(key::URL_SCHEME, "https"),
        ]
        .into();
        CallSeries {
            kyverno: Measured::new(&self.requests, &self.duration, &kyverno),
            duration: self.server_duration.series(&server),
            request_size: self.request_size.series(&server),
            response_size: self.response_size.series(&server),
        }
    }
}

// === impl Call ===

impl Call {
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

    /// `work` that does not wait, as a part of it.
    pub fn inside<T>(&self, work: impl FnOnce() -> T) -> T {
        let _current = self.span.as_ref().map(|span| span.context().clone().attach());
        work()
    }

    /// Ends with an answer and, if it is known, the length of its body.
    pub fn end(mut self, status: StatusCode, length: Option<u64>) {
        let series = self.calls.series(CallQuery {
            method: self.method,
            route: self.url.route,
            query: self.url.query(),
            version: protocol_version(self.version),
            status: status.as_u16(),
        });
        let seconds = self.started.elapsed().as_secs_f64();
        let context = self.span.as_ref().map(|span| span.context().span().span_context().clone());
        series.record(seconds, [self.request_length, length], context.as_ref());
        if let Some(span) = self.span.take() {
            span.end(status, length);
        }
    }
}

// === impl CallSeries ===

impl CallSeries {
    fn record(
        &self,
        seconds: f64,
        [request, response]: [Option<u64>; 2],
        span: Option<&SpanContext>,
    ) {
        self.kyverno.record(seconds, span);
        self.duration.record(seconds, span);
        if let Some(length) = request {
            self.request_size.record(length as f64, span);
        }
        if let Some(length) = response {
            self.response_size.record(length as f64, span);
        }
    }
}

// === impl Url ===

impl Url {
    fn of(facts: &CallFacts<'_>) -> Self {
        let Some(route) = facts.route else { return Self { route: "other", uri: None } };
        let asked = facts.uri.query().is_some_and(is_timeout);
        Self { route, uri: asked.then(|| facts.uri.clone()) }
    }

    fn query(&self) -> &str {
        self.uri.as_ref().and_then(Uri::query).unwrap_or_default()
    }
}

/// Whether a query is what an API server adds to the path of a webhook.
fn is_timeout(query: &str) -> bool {
    let value = query.strip_prefix("timeout=").unwrap_or_default();
    let number = value.trim_end_matches(['m', 's']);
    query.len() <= TIMEOUT_LENGTH
        && matches!(&value[number.len()..], "s" | "ms")
        && !number.is_empty()
        && number.bytes().all(|digit| digit.is_ascii_digit())
}

// === impl CallQuery ===

impl Equivalent<CallKey> for CallQuery<'_> {
    fn equivalent(&self, key: &CallKey) -> bool {
        self.method == key.method
            && self.route == key.route
            && self.query == &*key.query
            && self.version == key.version
            && self.status == key.status
    }
}

impl From<CallQuery<'_>> for CallKey {
    fn from(query: CallQuery<'_>) -> Self {
        let CallQuery { method, route, query, version, status } = query;
        Self { method, route, query: query.into(), version, status }
    }
}
