//! The two kinds of records that wait in queues, and how a batch of them becomes requests.

use std::borrow::Cow;
use std::sync::Arc;

use opentelemetry::InstrumentationScope;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope as ProtoScope;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use opentelemetry_sdk::trace::SpanData;
use prost::Message;

use crate::request::Request;
use crate::signal::Signal;

/// A request stays below this, before compression: gRPC servers refuse 4 MiB.
const REQUEST_LIMIT: usize = 3_670_016;
/// What a length-delimited field costs besides its content, at most.
const FIELD: usize = 8;

/// A span or a log record.
pub(crate) trait Record: Send + Sync + Sized + 'static {
    const SIGNAL: Signal;
    /// The record as OTLP has it.
    type Item: Message;

    fn scope(&self) -> Scope<'_>;

    /// Copies only where other sinks have the record, too.
    fn into_item(record: Arc<Self>) -> Self::Item;

    fn request(resource: Resource, scopes: Vec<Scoped<Self::Item>>, items: u64) -> Request;
}

/// What made a record. For log records, a target stands for the name of the scope.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    scope: &'a InstrumentationScope,
    target: Option<&'a Cow<'static, str>>,
}

/// The records of one scope.
pub(crate) struct Scoped<I> {
    scope: ProtoScope,
    schema_url: String,
    items: Vec<I>,
}

/// A log record, converted where it was made: the SDK only lends it.
#[derive(Debug)]
pub(crate) struct LogEntry {
    pub(crate) scope: InstrumentationScope,
    pub(crate) target: Option<Cow<'static, str>>,
    pub(crate) record: LogRecord,
}

/// A request that is being filled.
struct Filling<I> {
    keys: Vec<(InstrumentationScope, Option<Cow<'static, str>>)>,
    scopes: Vec<Scoped<I>>,
    items: u64,
    size: usize,
}

/// The requests that `records` fit into, in their order.
pub(crate) fn requests<R: Record>(resource: &Resource, records: Vec<Arc<R>>) -> Vec<Request> {
    split(resource, records, REQUEST_LIMIT)
}

fn split<R: Record>(resource: &Resource, records: Vec<Arc<R>>, limit: usize) -> Vec<Request> {
    let empty = resource.encoded_len() + 2 * FIELD;
    let mut requests = Vec::new();
    let mut filling = Filling::new(empty);
    for record in records {
        let place = filling.place(record.scope());
        let item = R::into_item(record);
        let size = item.encoded_len() + FIELD;
        // What is too large by itself is sent by itself: the receiver says whether it takes it.
        if filling.items > 0 && filling.size + size > limit {
            let mut next = Filling::new(empty);
            let (scope, target) = &filling.keys[place];
            let place = next.place(Scope { scope, target: target.as_ref() });
            next.add(place, item, size);
            requests.push(std::mem::replace(&mut filling, next).request::<R>(resource));
        } else {
            filling.add(place, item, size);
        }
    }
    if filling.items > 0 {
        requests.push(filling.request::<R>(resource));
    }
    requests
}

// === impl Filling ===

impl<I> Filling<I> {
    fn new(size: usize) -> Self {
        Self { keys: Vec::new(), scopes: Vec::new(), items: 0, size }
    }

    /// Where records of `scope` are. There are few scopes, and the newest is the likeliest.
    fn place(&mut self, scope: Scope<'_>) -> usize {
        let mut keys = self.keys.iter();
        let known = keys.rposition(|(it, target)| {
            it == scope.scope && target.as_deref() == scope.target.map(|target| &**target)
        });
        known.unwrap_or_else(|| self.open(scope))
    }

    fn open(&mut self, scope: Scope<'_>) -> usize {
        let (scope, target) = (scope.scope.clone(), scope.target.cloned());
        let schema_url = scope.schema_url().unwrap_or_default().to_owned();
        let proto = ProtoScope::from((&scope, target.clone()));
        self.size += proto.encoded_len() + schema_url.len() + 3 * FIELD;
        self.keys.push((scope, target));
        self.scopes.push(Scoped { scope: proto, schema_url, items: Vec::new() });
        self.scopes.len() - 1
    }

    fn add(&mut self, place: usize, item: I, size: usize) {
        self.scopes[place].items.push(item);
        self.items += 1;
        self.size += size;
    }

    fn request<R: Record<Item = I>>(mut self, resource: &Resource) -> Request {
        self.scopes.retain(|scope| !scope.items.is_empty());
        R::request(resource.clone(), self.scopes, self.items)
    }
}

// === impl Record ===

impl Record for SpanData {
    const SIGNAL: Signal = Signal::Traces;
    type Item = Span;

    fn scope(&self) -> Scope<'_> {
        Scope { scope: &self.instrumentation_scope, target: None }
    }

    fn into_item(record: Arc<Self>) -> Span {
        Arc::unwrap_or_clone(record).into()
    }

    fn request(resource: Resource, scopes: Vec<Scoped<Span>>, items: u64) -> Request {
        let scope_spans = scopes
            .into_iter()
            .map(|Scoped { scope, schema_url, items }| ScopeSpans {
                scope: Some(scope),
                schema_url,
                spans: items,
            })
            .collect();
        let spans =
            ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() };
        let request = ExportTraceServiceRequest { resource_spans: vec![spans] };
        Request::encode(Self::SIGNAL, &request, items)
    }
}

impl Record for LogEntry {
    const SIGNAL: Signal = Signal::Logs;
    type Item = LogRecord;

    fn scope(&self) -> Scope<'_> {
        Scope { scope: &self.scope, target: self.target.as_ref() }
    }

    fn into_item(record: Arc<Self>) -> LogRecord {
        match Arc::try_unwrap(record) {
            Ok(entry) => entry.record,
            Err(shared) => shared.record.clone(),
        }
    }

    fn request(resource: Resource, scopes: Vec<Scoped<LogRecord>>, items: u64) -> Request {
        let scope_logs = scopes
            .into_iter()
            .map(|Scoped { scope, schema_url, items }| ScopeLogs {
                scope: Some(scope),
                schema_url,
                log_records: items,
            })
            .collect();
        let logs = ResourceLogs { resource: Some(resource), scope_logs, ..ResourceLogs::default() };
        let request = ExportLogsServiceRequest { resource_logs: vec![logs] };
        Request::encode(Self::SIGNAL, &request, items)
    }
}

#[cfg(test)]
mod tests;
