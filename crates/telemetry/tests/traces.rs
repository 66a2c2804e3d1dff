//! Which spans are recorded, what they are made of, and how traces cross processes.

#![expect(
    clippy::disallowed_methods,
    reason = "these tests record without a catalogue, as libraries do"
)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

mod support;

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState, Tracer as _,
};
use pharos_telemetry::config::{Parent, RootSampler, Sampler};
use pharos_telemetry::propagation::{current_span, extract, inject};
use pharos_telemetry::{Config, FailureReason, Pipeline, Reloader, Signal, SinkHealth, SinkId};
use support::records::{RecordReceiver, spans};
use support::{Answer, PATIENCE, commit, start};
use tonic::Code;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;

const MADE: usize = 4000;

async fn sample(reloader: &mut Reloader, receiver: &RecordReceiver, sampler: Sampler) {
    let mut config = Config::off().with_traces("gateway", receiver.sink(2 * MADE, 512));
    config.traces.sampler = sampler;
    commit(reloader, config).await.drain(PATIENCE).await;
}

/// How many of many spans are sampled: where a trace begins, below a parent that is, and below one
/// that is not.
fn decisions(pipeline: &Pipeline) -> [usize; 3] {
    let tracer = pipeline.tracer("test");
    let parent = |number: usize, flags| {
        let (trace, span) = (TraceId::from(number as u128 + 1), SpanId::from(1));
        let parent = SpanContext::new(trace, span, flags, true, TraceState::default());
        Context::new().with_remote_span_context(parent)
    };
    let sampled = |context: Context| {
        let span = tracer.build_with_context(tracer.span_builder("span"), &context);
        usize::from(Context::new().with_span(span).span().span_context().is_sampled())
    };
    [
        (0..MADE).map(|_| sampled(Context::new())).sum(),
        (0..MADE).map(|it| sampled(parent(it, TraceFlags::SAMPLED))).sum(),
        (0..MADE).map(|it| sampled(parent(it, TraceFlags::default()))).sum(),
    ]
}

#[tokio::test]
async fn every_sampler_can_be_put_in_force_while_tracers_live() {
    let receiver = RecordReceiver::start();
    let (pipeline, mut reloader) = start();
    assert_eq!(decisions(&pipeline), [0, 0, 0], "spans go nowhere");
    let ratio = |per_million| RootSampler::TraceIdRatio { per_million };
    let (followed, ignored) = (Parent::Followed, Parent::Ignored);
    for (root, parent, expected) in [
        (RootSampler::AlwaysOn, followed, [MADE, MADE, 0]),
        (RootSampler::AlwaysOn, ignored, [MADE, MADE, MADE]),
        (RootSampler::AlwaysOff, followed, [0, MADE, 0]),
        (RootSampler::AlwaysOff, ignored, [0, 0, 0]),
        (ratio(0), followed, [0, MADE, 0]),
        (ratio(1_000_000), followed, [MADE, MADE, 0]),
        // The trace ids of the parents are small numbers.
        (ratio(1), ignored, [0, MADE, MADE]),
    ] {
        sample(&mut reloader, &receiver, Sampler { root, parent }).await;
        let [root_spans, sampled, unsampled] = decisions(&pipeline);
        if root == ratio(1) {
            assert!(root_spans < 100, "{root_spans} of one in a million");
            assert_eq!([0, sampled, unsampled], expected);
        } else {
            assert_eq!([root_spans, sampled, unsampled], expected, "{root:?} {parent:?}");
        }
    }
    sample(&mut reloader, &receiver, Sampler { root: ratio(250_000), parent: followed }).await;
    let [part, ..] = decisions(&pipeline);
    assert!((MADE / 8..MADE / 2).contains(&part), "{part} of a quarter");
    commit(&mut reloader, Config::off()).await.drain(PATIENCE).await;
    assert_eq!(decisions(&pipeline), [0, 0, 0], "spans go nowhere again");
}

#[tokio::test]
async fn a_span_of_tracing_is_a_part_of_the_trace_that_the_request_came_with() {
    let receiver = RecordReceiver::start();
    let (pipeline, mut reloader) = start();
    sample(&mut reloader, &receiver, Sampler::default()).await;
    let subscriber = tracing_subscriber::registry().with(pipeline.layers());
    let mut sent = HeaderMap::new();
    tracing::subscriber::with_default(subscriber, || {
        let mut headers = HeaderMap::new();
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        headers.insert("traceparent", parent.parse().unwrap());
        headers.insert("baggage", "tenant=blue".parse().unwrap());
        let span = tracing::info_span!("review", uid = 7);
        span.set_parent(extract(&headers)).unwrap();
        span.in_scope(|| {
            tracing::debug_span!("too much detail").in_scope(|| tracing::debug!("and this"));
            tracing::info!("an event");
            inject(&Context::current(), &mut sent);
            assert_eq!(current_span().unwrap().trace_id.to_string(), parent[3..35]);
        });
        assert_eq!(current_span(), None);
    });
    receiver.traces.until_accepted(1).await;
    let calls = receiver.traces.calls();
    let span = calls.iter().flat_map(|call| spans(&call.request)).next().unwrap();
    assert_eq!((span.name.as_str(), receiver.traces.accepted_items()), ("review", 1));
    let id = u128::from_be_bytes(span.trace_id.clone().try_into().unwrap());
    assert_eq!(TraceId::from(id).to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(span.parent_span_id, [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
    let id = SpanId::from(u64::from_be_bytes(span.span_id.clone().try_into().unwrap()));
    assert_eq!(sent["traceparent"], format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{id}-01"));
    assert_eq!(sent["baggage"], "tenant=blue");
    assert_eq!(span.events.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["an event"]);
}

#[tokio::test]
async fn spans_are_bounded_and_carry_the_resource_of_their_sink() {
    let receiver = RecordReceiver::start();
    let (pipeline, mut reloader) = start();
    let mut config = Config::off().with_traces("gateway", receiver.sink(10, 10));
    config.resource_attributes.insert("cluster".to_owned(), "blue".to_owned());
    commit(&mut reloader, config).await.drain(PATIENCE).await;
    let tracer = pipeline.tracer("test");
    tracer.in_span("large", |context| {
        for number in 0..1000 {
            let attribute = opentelemetry::KeyValue::new(format!("key{number}"), number);
            context.span().set_attribute(attribute.clone());
            context.span().add_event("event", vec![attribute]);
        }
    });
    receiver.traces.until_accepted(1).await;
    let calls = receiver.traces.calls();
    let request =
        &calls.iter().find(|call| !call.request.resource_spans.is_empty()).unwrap().request;
    let span = spans(request).next().unwrap();
    assert_eq!((span.attributes.len(), span.dropped_attributes_count), (128, 872));
    assert_eq!((span.events.len(), span.dropped_events_count), (128, 872));
    let resource = request.resource_spans[0].resource.as_ref().unwrap();
    let keys: Vec<_> = resource.attributes.iter().map(|it| it.key.as_str()).collect();
    assert!(keys.contains(&"cluster") && keys.contains(&"service.instance.id"), "{keys:?}");
}

#[tokio::test]
async fn a_receiver_that_knows_no_traces_is_told_apart_before_there_is_a_span() {
    let receiver = RecordReceiver::start();
    receiver.traces.answers(Answer::Refuse(Code::Unimplemented));
    let (pipeline, mut reloader) = start();
    let sink = receiver.sink(10, 1);
    let config = Config::off().with_traces("gateway", sink.clone()).with_logs("gateway", sink);
    commit(&mut reloader, config).await.drain(PATIENCE).await;
    let [traces, logs] = [Signal::Traces, Signal::Logs].map(|it| SinkId::new(it, "gateway"));
    let mut health = pipeline.health();
    let told = health.wait_for(|health| {
        let refused = matches!(
            &health.sinks[&traces],
            SinkHealth::Failing { reason: FailureReason::AllDataDropped, .. }
        );
        refused && health.sinks[&logs] == SinkHealth::Healthy
    });
    tokio::time::timeout(PATIENCE, told).await.expect("never").unwrap();
    assert!(receiver.traces.calls().iter().all(|call| call.request.resource_spans.is_empty()));
    drop(pipeline.tracer("test").start("span"));
    let refused = |it: &pharos_telemetry::SinkStats| it.items_dropped.contains_key("unimplemented");
    support::records::until_stats(&pipeline, (Signal::Traces, "gateway"), refused).await;
}

#[tokio::test]
async fn a_receiver_that_comes_later_is_noticed_without_a_span() {
    let receiver = RecordReceiver::start();
    let sink = receiver.sink(10, 1);
    let address = receiver.die().await;
    let (pipeline, mut reloader) = start();
    commit(&mut reloader, Config::off().with_traces("gateway", sink)).await.drain(PATIENCE).await;
    let traces = SinkId::new(Signal::Traces, "gateway");
    assert_eq!(pipeline.health().borrow().sinks[&traces], SinkHealth::NotYetExported);
    let _receiver = RecordReceiver::start_at(address);
    let mut health = pipeline.health();
    let healthy = health.wait_for(|health| health.sinks[&traces] == SinkHealth::Healthy);
    tokio::time::timeout(PATIENCE, healthy).await.expect("never").unwrap();
}
