//! Measurements inside sampled spans lead to their traces.

use super::*;

use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, exemplar};

use crate::instrument::Histogram;

static SECONDS: Declaration = Declaration {
    name: "seconds",
    kind: InstrumentKind::Histogram,
    boundaries: &[1.0, 2.0],
    ..REQUESTS
};

fn within<T>(trace: u128, flags: TraceFlags, record: impl FnOnce() -> T) -> T {
    let (trace, span) = (TraceId::from(trace), SpanId::from(7));
    let span = SpanContext::new(trace, span, flags, false, TraceState::default());
    let _attached = Context::new().with_remote_span_context(span).attach();
    record()
}

fn started() -> (Totals, Counter, Histogram) {
    let mut catalogue = Catalogue::new();
    let (counter, histogram) = (catalogue.counter(&REQUESTS), catalogue.histogram(&SECONDS));
    let (slot, declared) = catalogue.finish().unwrap();
    (Totals::start(slot, declared), counter, histogram)
}

/// The exemplars of all points, in their order.
fn exemplars(totals: &Totals, name: &str) -> Vec<Exemplar> {
    let snapshot = totals.snapshot();
    let metrics = snapshot.scopes().iter().flat_map(|scope| &scope.metrics);
    let data = metrics.filter(|it| it.name == name).filter_map(|it| it.data.clone());
    data.flat_map(|data| match data {
        Data::Sum(it) => it.data_points.into_iter().flat_map(|it| it.exemplars).collect(),
        Data::Histogram(it) => {
            it.data_points.into_iter().flat_map(|it| it.exemplars).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    })
    .collect()
}

fn values(exemplars: &[Exemplar]) -> Vec<f64> {
    let mut values: Vec<f64> = exemplars
        .iter()
        .map(|it| match it.value {
            Some(exemplar::Value::AsDouble(value)) => value,
            Some(exemplar::Value::AsInt(value)) => value as f64,
            None => panic!("no value"),
        })
        .collect();
    values.sort_by(f64::total_cmp);
    values
}

#[test]
fn every_bucket_of_a_series_has_the_newest_measurement_of_a_sampled_span() {
    let (totals, counter, histogram) = started();
    for (trace, value) in [(1, 0.3), (2, 0.4), (3, 1.5), (4, 9.0)] {
        within(trace, TraceFlags::SAMPLED, || histogram.record(value, &attributes(1, 1)));
    }
    within(5, TraceFlags::default(), || histogram.record(0.5, &attributes(1, 1)));
    within(6, TraceFlags::SAMPLED, || histogram.record(f64::NAN, &attributes(1, 1)));
    histogram.record(0.6, &attributes(1, 1));
    let found = exemplars(&totals, "seconds");
    assert_eq!(values(&found), [0.4, 1.5, 9.0]);
    let newest = found.iter().find(|it| it.value == Some(exemplar::Value::AsDouble(0.4)));
    let newest = newest.unwrap();
    assert_eq!(newest.trace_id, 2_u128.to_be_bytes());
    assert_eq!(newest.span_id, 7_u64.to_be_bytes());
    assert!(newest.time_unix_nano > 0);

    within(1, TraceFlags::SAMPLED, || counter.add(3, &attributes(1, 1)));
    within(1, TraceFlags::SAMPLED, || counter.add(4, &attributes(1, 1)));
    within(1, TraceFlags::SAMPLED, || counter.add(5, &attributes(2, 1)));
    assert_eq!(values(&exemplars(&totals, "requests")), [4.0, 5.0]);
}

#[test]
fn exemplars_go_by_the_attributes_that_a_view_leaves_and_end_with_their_generation() {
    let (totals, counter, _) = started();
    within(1, TraceFlags::SAMPLED, || counter.add(1, &attributes(1, 1)));
    let ended = rebuild(&totals, &without("b"));
    assert_eq!(totals.settle(ended), Settled::Yes);
    assert_eq!(exemplars(&totals, "requests"), []);
    within(1, TraceFlags::SAMPLED, || counter.add(2, &attributes(1, 1)));
    within(2, TraceFlags::SAMPLED, || counter.add(3, &attributes(1, 2)));
    assert_eq!(values(&exemplars(&totals, "requests")), [3.0]);
}

#[test]
fn exemplars_are_bounded_and_a_new_series_finds_a_place() {
    let (totals, counter, _) = started();
    let limit = std::num::NonZeroU32::new(20_000);
    rebuild(&totals, &shape(vec![view(|it| it.cardinality_limit = limit)]));
    within(1, TraceFlags::SAMPLED, || {
        (0..10_000).for_each(|a| counter.add(1, &attributes(a, 0)));
        counter.add(77, &attributes(20_000, 0));
    });
    let found = exemplars(&totals, "requests");
    assert!(found.len() <= 4096, "{}", found.len());
    assert!(values(&found).contains(&77.0));
}
