//! What recording costs through a declared instrument, beside the SDK's own with the same
//! attributes. The ratios count; absolute times depend on the machine.

#![expect(clippy::disallowed_methods, reason = "the bare SDK is what is compared with")]
#![expect(clippy::unwrap_used, reason = "a benchmark may fail anywhere")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};
use pharos_telemetry::config::{AttributeKeys, Glob, Selector, View};
use pharos_telemetry::{Catalogue, Config, Declaration, Identity, InstrumentKind, Pipeline};

static REQUESTS: Declaration = Declaration {
    scope: "bench",
    name: "requests",
    kind: InstrumentKind::Counter,
    unit: "",
    description: "",
    attributes: &["allowed", "kind", "namespace", "operation", "webhook"],
    boundaries: &[],
};

static SECONDS: Declaration = Declaration {
    name: "seconds",
    kind: InstrumentKind::Histogram,
    boundaries: &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
    ..REQUESTS
};

fn attributes() -> [KeyValue; 5] {
    let namespace: Arc<str> = Arc::from("default");
    [
        KeyValue::new("allowed", true),
        KeyValue::new("kind", "Pod"),
        KeyValue::new("namespace", namespace),
        KeyValue::new("operation", "create"),
        KeyValue::new("webhook", "validating"),
    ]
}

fn sampled() -> Context {
    let (trace, span) = (TraceId::from(1), SpanId::from(2));
    let state = TraceState::default();
    let span = SpanContext::new(trace, span, TraceFlags::SAMPLED, false, state);
    Context::new().with_remote_span_context(span)
}

fn recording(criterion: &mut Criterion) {
    let mut catalogue = Catalogue::new();
    let (counter, histogram) = (catalogue.counter(&REQUESTS), catalogue.histogram(&SECONDS));
    let identity = Identity::from_environment("bench", &|_| None);
    let (pipeline, mut reloader) = Pipeline::start(identity, catalogue).unwrap();
    let meter = pipeline.meter("bare");
    let bare_counter = meter.u64_counter("requests").build();
    let boundaries = SECONDS.boundaries.to_vec();
    let bare_histogram = meter.f64_histogram("seconds").with_boundaries(boundaries).build();
    let attributes = attributes();

    let mut group = criterion.benchmark_group("recording");
    group.bench_function("counter/sdk", |it| {
        it.iter(|| bare_counter.add(1, black_box(&attributes)));
    });
    group.bench_function("counter/declared", |it| {
        it.iter(|| counter.add(1, black_box(&attributes)));
    });
    group.bench_function("histogram/sdk", |it| {
        it.iter(|| bare_histogram.record(0.07, black_box(&attributes)));
    });
    group.bench_function("histogram/declared", |it| {
        it.iter(|| histogram.record(0.07, black_box(&attributes)));
    });
    group.bench_function("counter/declared, in a sampled span", |it| {
        let _attached = sampled().attach();
        it.iter(|| counter.add(1, black_box(&attributes)));
    });

    let mut config = Config::prometheus();
    config.metrics.shape.views.push(View {
        name: "without the namespace".to_owned(),
        selector: Selector { name: Glob::parse("*").ok(), kind: None },
        attributes: AttributeKeys::Excluded(["namespace".to_owned()].into()),
        cardinality_limit: None,
        aggregation: None,
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    drop(runtime.block_on(reloader.prepare(config)).unwrap().commit());
    group.bench_function("counter/declared, without one attribute", |it| {
        it.iter(|| counter.add(1, black_box(&attributes)));
    });
    group.finish();
}

criterion_group!(benches, recording);
criterion_main!(benches);
