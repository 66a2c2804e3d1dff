//! What recording through a declared instrument costs more than through one of the SDK: no
//! allocation. The time is measured by `make bench`.

#![expect(
    clippy::disallowed_methods,
    reason = "these tests record without a catalogue, as libraries do"
)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail anywhere")]

mod support;

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use pharos_telemetry::config::{AttributeKeys, MetricShape, ValueFilter};
use pharos_telemetry::{Catalogue, Config, Counter, Declaration, Histogram, InstrumentKind};
use support::{PATIENCE, commit, set, start_with, view};

static REQUESTS: Declaration = Declaration {
    scope: "test",
    name: "requests",
    kind: InstrumentKind::Counter,
    unit: "",
    description: "",
    attributes: &["method", "namespace", "status"],
    boundaries: &[],
};

static SECONDS: Declaration = Declaration {
    name: "seconds",
    kind: InstrumentKind::Histogram,
    boundaries: &[0.1, 1.0],
    ..REQUESTS
};

/// Static text, shared text and a number: what a program that minds allocations records with.
fn attributes() -> [KeyValue; 3] {
    let namespace: Arc<str> = Arc::from("default");
    [
        KeyValue::new("method", "GET"),
        KeyValue::new("namespace", namespace),
        KeyValue::new("status", 200),
    ]
}

/// Allocations of one more measurement of a series that there is already.
fn allocations(record: impl Fn()) -> u64 {
    record();
    allocation_counter::measure(record).count_total
}

fn through_handles(counter: &Counter, histogram: &Histogram) -> u64 {
    let attributes = attributes();
    allocations(|| {
        counter.add(1, &attributes);
        histogram.record(0.5, &attributes);
    })
}

fn bare(meter: &Meter) -> u64 {
    let (counter, histogram) =
        (meter.u64_counter("bare").build(), meter.f64_histogram("bare_seconds").build());
    let attributes = attributes();
    allocations(|| {
        counter.add(1, &attributes);
        histogram.record(0.5, &attributes);
    })
}

#[tokio::test]
async fn recording_allocates_as_often_as_the_sdk_does_whatever_views_there_are() {
    let mut catalogue = Catalogue::new();
    let (counter, histogram) = (catalogue.counter(&REQUESTS), catalogue.histogram(&SECONDS));
    let (pipeline, mut reloader) = start_with(catalogue);
    let meter = pipeline.meter("bare");
    let expected = bare(&meter);
    assert_eq!(expected, 0, "the SDK allocates for new series only");
    assert_eq!(through_handles(&counter, &histogram), expected);

    let excluded = view("*", |it| it.attributes = AttributeKeys::Excluded(set(&["namespace"])));
    let values = ValueFilter {
        key: "namespace".to_owned(),
        exclude: set(&["kube-system"]),
        ..ValueFilter::default()
    };
    for shape in [
        MetricShape { views: vec![excluded], ..MetricShape::default() },
        MetricShape { values, ..MetricShape::default() },
    ] {
        let mut config = Config::prometheus();
        config.metrics.shape = shape;
        commit(&mut reloader, config).await.drain(PATIENCE).await;
        assert_eq!(through_handles(&counter, &histogram), expected);
    }
}
