//! What a shop records: every instrument, spans with all that they can have, and log records.

use std::time::{Duration, SystemTime};

use opentelemetry::metrics::Meter;
use opentelemetry::trace::{
    Link, Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags,
    TraceId, TraceState, Tracer as _,
};
use opentelemetry::{Array, Context, KeyValue, Value};
use opentelemetry_sdk::trace::SdkTracer;

fn attributes() -> [KeyValue; 5] {
    [
        KeyValue::new("text", "grüße \u{1f6d8}"),
        KeyValue::new("whole", -7),
        KeyValue::new("broken", 0.25),
        KeyValue::new("truth", true),
        KeyValue::new("list", Value::Array(Array::String(vec!["a".into(), "b".into()]))),
    ]
}

pub(crate) fn measure(meter: &Meter) {
    let other = [KeyValue::new("text", "other")];
    macro_rules! record {
        ($($instrument:ident $name:literal $record:ident $value:expr),+ $(,)?) => {$(
            let instrument = meter.$instrument($name).with_unit("By").with_description($name);
            let instrument = instrument.build();
            for attributes in [&attributes()[..], &attributes()[..], &other, &[]] {
                instrument.$record($value, attributes);
            }
        )+};
    }
    macro_rules! observe {
        ($($instrument:ident $name:literal $value:expr),+ $(,)?) => {$(
            let instrument = meter.$instrument($name).with_callback(|observer| {
                observer.observe($value, &attributes());
                observer.observe($value, &[]);
            });
            instrument.build();
        )+};
    }
    record! {
        u64_counter "a.counter" add 3,
        f64_counter "b.counter" add 0.5,
        i64_up_down_counter "c.up_down" add -3,
        f64_up_down_counter "d.up_down" add -0.5,
        u64_histogram "e.histogram" record 42,
        f64_histogram "f.histogram" record 0.007,
        u64_gauge "g.gauge" record 3,
        i64_gauge "h.gauge" record -3,
        f64_gauge "i.gauge" record 0.5,
    }
    observe! {
        u64_observable_counter "j.observable" 3,
        f64_observable_counter "k.observable" 0.5,
        i64_observable_up_down_counter "l.observable" -3,
        f64_observable_up_down_counter "m.observable" -0.5,
        u64_observable_gauge "n.observable" 3,
        i64_observable_gauge "o.observable" -3,
        f64_observable_gauge "p.observable" 0.5,
    }
    let boundaries = vec![0.0, 1.0, 2.5];
    let bounded = meter.f64_histogram("q.bounded").with_boundaries(boundaries).build();
    for value in [-1.0, 0.0, 0.5, 2.5, 1e9] {
        bounded.record(value, &other);
    }
}

fn parent(trace: u128, flags: TraceFlags) -> SpanContext {
    let state = TraceState::from_key_value([("vendor", "1")]).unwrap();
    SpanContext::new(TraceId::from(trace), SpanId::from(7), flags, true, state)
}

/// Spans whose times are given, in traces that are.
pub(crate) fn trace(tracer: &SdkTracer) {
    let at = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + second);
    let kinds = [
        SpanKind::Internal,
        SpanKind::Server,
        SpanKind::Client,
        SpanKind::Producer,
        SpanKind::Consumer,
    ];
    let statuses = [Status::Unset, Status::Ok, Status::error("it broke")];
    for (number, kind) in (0..).zip(kinds) {
        let remote = parent(number + 1, TraceFlags::SAMPLED);
        let context = match number {
            0 => Context::new(),
            _ => Context::new().with_remote_span_context(remote.clone()),
        };
        let number = u64::try_from(number).unwrap();
        let builder = tracer.span_builder(format!("span {number}"));
        let mut span = builder
            .with_kind(kind)
            .with_start_time(at(number))
            .with_attributes(attributes())
            .with_links(vec![Link::new(remote, attributes().to_vec(), 3)])
            .start_with_context(tracer, &context);
        span.add_event_with_timestamp("event", at(number + 1), attributes().to_vec());
        span.set_status(statuses[usize::try_from(number).unwrap() % statuses.len()].clone());
        span.end_with_timestamp(at(number + 2));
    }
}

pub(crate) fn log() {
    let _attached =
        Context::new().with_remote_span_context(parent(5, TraceFlags::SAMPLED)).attach();
    tracing::info!("within a span");
    tracing::warn!(number = 7, ratio = 0.5, truth = true, text = "x", debugged = ?[1, 2], "{}", 1);
    tracing::error!(name: "named", target: "elsewhere", error = "it broke");
    tracing::info!(only = 1);
}
