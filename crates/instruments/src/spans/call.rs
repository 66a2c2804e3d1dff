//! The server span of one request to the webhook.

use std::net::SocketAddr;

use http::header::{CONTENT_LENGTH, HOST, USER_AGENT};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri, Version};
use opentelemetry::trace::{Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue};
use pharos_telemetry::propagation;

use super::text::clipped;
use super::{Spans, integer};
use crate::catalogue::key;

/// What is known of a request when its header was read.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "HTTP's own names")]
pub struct CallFacts<'a> {
    pub method: &'a Method,
    pub uri: &'a Uri,
    pub version: Version,
    pub headers: &'a HeaderMap,
    /// The route that the path is, if it is one.
    pub route: Option<&'static str>,
    /// The other end of the connection.
    pub peer: SocketAddr,
}

/// The span of one request, until its answer is known.
#[derive(Debug)]
pub(crate) struct CallSpan {
    context: Context,
    is_answered: bool,
}

// === impl Spans ===

impl Spans {
    /// The span of a request that begins now, if the sampler wants it.
    pub(crate) fn start_call(&self, facts: &CallFacts<'_>) -> Option<CallSpan> {
        let tracer = self.tracer.as_ref()?;
        let parent = propagation::extract(facts.headers);
        let builder = tracer.span_builder("").with_kind(SpanKind::Server);
        let span = tracer.build_with_context(builder, &parent);
        if !span.is_recording() {
            return None;
        }
        let context = parent.with_span(span);
        let method = known(facts.method);
        context.span().update_name(match (method, facts.route) {
            (Some(method), Some(route)) => format!("{method} {route}"),
            (Some(method), None) => method.to_owned(),
            (None, _) => "HTTP".to_owned(),
        });
        context.span().set_attributes(attributes(facts));
        Some(CallSpan { context, is_answered: false })
    }
}

fn attributes(facts: &CallFacts<'_>) -> Vec<KeyValue> {
    let CallFacts { method, uri, version, headers, route, peer } = *facts;
    let (ip, header) = (peer.ip().to_canonical().to_string(), |name| text(headers, name));
    let mut attributes = Vec::with_capacity(20);
    attributes.extend([
        KeyValue::new(key::URL_SCHEME, "https"),
        KeyValue::new(key::URL_PATH, clipped(uri.path())),
        KeyValue::new(key::NETWORK_PROTOCOL_VERSION, protocol_version(version)),
        KeyValue::new(key::CLIENT_ADDRESS, ip.clone()),
        KeyValue::new(key::NETWORK_PEER_ADDRESS, ip),
        integer(key::NETWORK_PEER_PORT, peer.port()),
    ]);
    attributes.extend(method_attributes(method));
    attributes.extend(uri.query().map(|query| KeyValue::new(key::URL_QUERY, clipped(query))));
    attributes.extend(route.map(|route| KeyValue::new(key::HTTP_ROUTE, route)));
    let host = || header(HOST).and_then(|host| host.parse().ok());
    if let Some(called) = uri.authority().cloned().or_else(host) {
        attributes.extend(server(&called));
    }
    let user_agent = header(USER_AGENT);
    attributes.extend(user_agent.map(|it| KeyValue::new(key::USER_AGENT_ORIGINAL, clipped(it))));
    let length = header(CONTENT_LENGTH).and_then(|length| length.parse::<i64>().ok());
    attributes.extend(length.map(|length| KeyValue::new(key::HTTP_REQUEST_BODY_SIZE, length)));
    attributes
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

pub(crate) fn protocol_version(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2",
        Version::HTTP_11 => "1.1",
        _ => "1.0",
    }
}

/// The method, if HTTP knows it: anybody can send another.
pub(crate) fn known(method: &Method) -> Option<&'static str> {
    let known = match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "CONNECT" => "CONNECT",
        "OPTIONS" => "OPTIONS",
        "TRACE" => "TRACE",
        "PATCH" => "PATCH",
        _ => return None,
    };
    Some(known)
}

pub(super) fn method_attributes(method: &Method) -> impl Iterator<Item = KeyValue> {
    let known = known(method);
    let original = known.is_none().then(|| clipped(method.as_str()));
    let original = original.map(|it| KeyValue::new(key::HTTP_REQUEST_METHOD_ORIGINAL, it));
    let method = KeyValue::new(key::HTTP_REQUEST_METHOD, known.unwrap_or("_OTHER"));
    [method].into_iter().chain(original)
}

pub(super) fn server(called: &Authority) -> impl Iterator<Item = KeyValue> {
    let address = KeyValue::new(key::SERVER_ADDRESS, clipped(called.host()));
    let port = called.port_u16().map(|port| integer(key::SERVER_PORT, port));
    [address].into_iter().chain(port)
}

// === impl CallSpan ===

impl CallSpan {
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// Ends with an answer and, if it is known, the length of its body.
    pub(crate) fn end(mut self, status: StatusCode, length: Option<u64>) {
        self.is_answered = true;
        let span = self.context.span();
        span.set_attribute(integer(key::HTTP_RESPONSE_STATUS_CODE, status.as_u16()));
        if let Some(length) = length {
            span.set_attribute(integer(key::HTTP_RESPONSE_BODY_SIZE, length));
        }
        if status.is_server_error() {
            span.set_attribute(KeyValue::new(key::ERROR_TYPE, status.as_str().to_owned()));
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

impl Drop for CallSpan {
    /// Whoever asked has gone.
    fn drop(&mut self) {
        if !self.is_answered {
            let span = self.context.span();
            span.set_attribute(KeyValue::new(key::ERROR_TYPE, "Cancelled"));
            span.end();
        }
    }
}
