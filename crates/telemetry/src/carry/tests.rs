//! The table of what goes on across a rebuild, row by row and kind by kind.

use std::collections::BTreeSet;
use std::sync::Arc;

use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{Gauge, NumberDataPoint};

use super::fixture::{KINDS, SCOPE, Sample, World, recorded, sample, scope, shape, sorted};
use super::reshape::{Data, with_points};
use super::*;
use crate::config::ValueFilter;

mod simulation;

const SPAN: (u64, u64) = (10, 20);

/// Every synchronous kind, histograms in both ways.
fn carried_kinds() -> Vec<StreamShape> {
    let mut shapes: Vec<_> =
        KINDS.map(shape).into_iter().filter(|it| !continuity::is_absolute(it.kind)).collect();
    let exponential = StreamAggregation::Exponential { max_size: 20, max_scale: 20 };
    shapes.push(StreamShape { aggregation: exponential, ..shape(InstrumentKind::Histogram) });
    shapes
}

fn samples() -> Vec<Sample> {
    vec![
        sample("x", "1", 5),
        sample("x", "2", 17),
        sample("x", "1", 90),
        sample("y", "1", 0),
        sample("y", "2", 20),
        sample("y", "2", 21),
    ]
}

/// What one stream is after a rebuild, and why it starts again if it does.
fn step(
    from: &StreamShape,
    to: &StreamShape,
    values: ValueFilter,
) -> (Option<Data>, Option<ResetReason>) {
    let totals = vec![recorded("m", from, &samples(), SPAN)];
    let to = World { values, ..World::one(to.clone()) };
    let Carried { totals, resets } = carry(totals, &World::one(from.clone()), &to);
    for reset in &resets {
        assert_eq!((reset.scope.as_str(), reset.name.as_str()), (SCOPE, "m"));
    }
    (sorted(&totals, "m"), resets.first().map(|reset| reset.why))
}

/// What one stream would have been, had it had this shape all along.
fn direct(shape: &StreamShape, samples: &[Sample]) -> (Option<Data>, Option<ResetReason>) {
    (sorted(&[recorded("m", shape, samples, SPAN)], "m"), None)
}

#[test]
fn what_does_not_change_goes_on() {
    for shape in carried_kinds() {
        assert_eq!(step(&shape, &shape, ValueFilter::default()), direct(&shape, &samples()));
    }
}

#[test]
fn without_an_attribute_series_are_added_up_as_if_it_had_never_been_there() {
    for from in carried_kinds() {
        for keys in [Keys::new(["a"]), Keys::new(["b"]), Keys::new([])] {
            let to = StreamShape { keys, ..from.clone() };
            let (carried, reset) = step(&from, &to, ValueFilter::default());
            assert_eq!(reset, None);
            if to.kind != InstrumentKind::Gauge {
                assert_eq!(carried, direct(&to, &samples()).0, "{to:?}");
            }
        }
    }
}

#[test]
fn of_gauges_that_become_one_the_newest_wins() {
    let from = shape(InstrumentKind::Gauge);
    let to = StreamShape { keys: Keys::new(["a"]), ..from.clone() };
    for (first, second, wins) in [(1, 2, 8), (2, 1, 7), (1, 1, 8)] {
        let mut totals =
            vec![recorded("m", &from, &[sample("x", "1", 7), sample("x", "2", 8)], SPAN)];
        let Some(Data::Gauge(gauge)) = &mut totals[0].metrics[0].data else { panic!() };
        gauge.data_points[0].time_unix_nano = first;
        gauge.data_points[1].time_unix_nano = second;
        let to = World::one(to.clone());
        let carried = carry(totals, &World::one(from.clone()), &to);
        let Some(Data::Gauge(gauge)) = sorted(&carried.totals, "m") else { panic!() };
        assert_eq!(gauge.data_points.len(), 1);
        assert_eq!(gauge.data_points[0].value, Some(Value::AsInt(wins)), "{first} {second}");
    }
}

#[test]
fn with_another_attribute_what_was_counted_stays_as_it_is() {
    for to in carried_kinds() {
        let from = StreamShape { keys: Keys::new(["a"]), ..to.clone() };
        let frozen = direct(&from, &samples());
        assert_eq!(step(&from, &to, ValueFilter::default()), frozen);
        // Beside it the new series: together they are continuous.
        let mut now = vec![recorded("m", &to, &samples(), (15, 30))];
        let base = recorded("m", &from, &samples(), SPAN);
        merge(&mut now, vec![base], &World::one(to.clone()));
        let series = total_series(&sorted(&now, "m").unwrap());
        assert_eq!(series, 2 + 4, "{to:?}");
    }
}

fn total_series(data: &Data) -> usize {
    match data {
        Data::Sum(data) => data.data_points.len(),
        Data::Gauge(data) => data.data_points.len(),
        Data::Histogram(data) => data.data_points.len(),
        Data::ExponentialHistogram(data) => data.data_points.len(),
        Data::Summary(data) => data.data_points.len(),
    }
}

#[test]
fn boundaries_that_were_there_before_are_merged_exactly_and_others_start_again() {
    let from = shape(InstrumentKind::Histogram);
    for bounds in [vec![0.0, 10.0, 20.0, 50.0], vec![10.0, 50.0], vec![0.0], vec![50.0], vec![]] {
        let to = StreamShape { aggregation: StreamAggregation::Explicit(bounds), ..from.clone() };
        assert_eq!(step(&from, &to, ValueFilter::default()), direct(&to, &samples()));
    }
    for bounds in [vec![5.0], vec![0.0, 10.0, 20.0, 50.0, 60.0], vec![10.0, 30.0]] {
        let to = StreamShape { aggregation: StreamAggregation::Explicit(bounds), ..from.clone() };
        let reset = (None, Some(ResetReason::Boundaries));
        assert_eq!(step(&from, &to, ValueFilter::default()), reset);
    }
}

#[test]
fn exponential_buckets_fit_the_new_size_and_scale_as_if_they_always_had() {
    let from = carried_kinds().pop().unwrap();
    for (max_size, max_scale) in [(20, 20), (160, 20), (8, 20), (2, 20), (20, 3), (4, -2)] {
        let aggregation = StreamAggregation::Exponential { max_size, max_scale };
        let to = StreamShape { aggregation, ..from.clone() };
        let (carried, reset) = step(&from, &to, ValueFilter::default());
        assert_eq!(reset, None);
        // A larger size brings back no scale that is lost.
        let as_before = StreamAggregation::Exponential { max_size: max_size.min(20), max_scale };
        let to = StreamShape { aggregation: as_before, ..from.clone() };
        assert_eq!(carried, direct(&to, &samples()).0, "{max_size} {max_scale}");
    }
}

#[test]
fn every_other_change_of_the_aggregation_starts_again() {
    let aggregations = [
        StreamAggregation::Sum,
        StreamAggregation::LastValue,
        StreamAggregation::Explicit(vec![1.0]),
        StreamAggregation::Exponential { max_size: 20, max_scale: 20 },
    ];
    for kind in KINDS.into_iter().filter(|kind| !continuity::is_absolute(*kind)) {
        for (from, old) in aggregations.iter().enumerate() {
            for (to, new) in aggregations.iter().enumerate().filter(|(to, _)| *to != from) {
                let [old, new] =
                    [old, new].map(|it| StreamShape { aggregation: it.clone(), ..shape(kind) });
                let reset = (None, Some(ResetReason::Aggregation));
                assert_eq!(step(&old, &new, ValueFilter::default()), reset, "{from} {to}");
            }
        }
    }
}

#[test]
fn a_stream_that_is_dropped_ends_and_one_that_is_not_any_more_starts_again() {
    for shape in carried_kinds() {
        let dropped = StreamShape { dropped: true, ..shape.clone() };
        assert_eq!(step(&shape, &dropped, ValueFilter::default()), (None, None));
        assert_eq!(step(&dropped, &dropped, ValueFilter::default()), (None, None));
        let reset = (None, Some(ResetReason::Undropped));
        assert_eq!(step(&dropped, &shape, ValueFilter::default()), reset);
        assert_eq!(dropped.reset(&shape), Some(ResetReason::Undropped));
        assert_eq!(shape.reset(&dropped), None);
    }
}

#[test]
fn a_higher_limit_keeps_the_overflow_and_a_lower_one_starts_again() {
    for shape in carried_kinds() {
        let mut totals = vec![recorded("m", &shape, &samples(), SPAN)];
        with_points!(&mut totals[0].metrics[0].data, shape, |points, _add| {
            *points[0].attributes_mut() = series::overflow();
        });
        let higher = StreamShape { limit: 11, ..shape.clone() };
        let from = World::one(shape.clone());
        let carried = carry(totals.clone(), &from, &World::one(higher));
        assert_eq!(carried.totals, totals);
        // The overflow is left alone by whatever else changes, too.
        let keys = StreamShape { keys: Keys::new([]), limit: 11, ..shape.clone() };
        let carried = carry(totals.clone(), &from, &World::one(keys));
        assert_eq!(total_series(&sorted(&carried.totals, "m").unwrap()), 2);
        let lower = StreamShape { limit: 9, ..shape.clone() };
        let carried = carry(totals, &from, &World::one(lower));
        assert_eq!(carried.resets[0].why, ResetReason::LimitLowered);
        assert_eq!(carried.totals, []);
    }
}

#[test]
fn series_of_an_excluded_value_leave_where_it_can_be_seen() {
    let values = ValueFilter {
        key: "a".to_owned(),
        include: BTreeSet::new(),
        exclude: BTreeSet::from(["x".to_owned()]),
    };
    for shape in carried_kinds() {
        let admitted: Vec<_> = samples().into_iter().filter(|it| it.a != "x").collect();
        assert_eq!(step(&shape, &shape, values.clone()), direct(&shape, &admitted));
        let without = StreamShape { keys: Keys::new(["b"]), ..shape.clone() };
        let unseen = step(&without, &without, values.clone());
        assert_eq!(unseen, direct(&without, &samples()));
    }
}

#[test]
fn what_is_observed_is_told_anew_and_never_carried() {
    for kind in KINDS.into_iter().filter(|kind| continuity::is_absolute(*kind)) {
        let from = shape(kind);
        let dropped = StreamShape { dropped: true, ..from.clone() };
        let lower = StreamShape { limit: 1, ..from.clone() };
        let fewer = StreamShape { keys: Keys::new(["a"]), ..from.clone() };
        for (from, to) in
            [(&from, &from), (&from, &fewer), (&from, &lower), (&from, &dropped), (&dropped, &from)]
        {
            assert_eq!(step(from, to, ValueFilter::default()), (None, None), "{to:?}");
        }
    }
}

#[test]
fn what_exceeds_the_limit_goes_into_the_overflow_and_nothing_is_lost() {
    for from in carried_kinds().into_iter().filter(|it| it.kind != InstrumentKind::Gauge) {
        let many = StreamShape { limit: 3, ..from.clone() };
        let totals = vec![recorded("m", &from, &samples(), SPAN)];
        let carried = carry(totals, &World::one(many.clone()), &World::one(many.clone()));
        let data = sorted(&carried.totals, "m").unwrap();
        assert_eq!(total_series(&data), 3);
        let none = StreamShape { keys: Keys::new([]), ..from.clone() };
        let mut totals = carried.totals;
        with_points!(&mut totals[0].metrics[0].data, none, |points, add| {
            let overflow = points.iter().filter(|it| series::is_overflow(it.attributes()));
            assert_eq!(overflow.count(), 1);
            let all = std::mem::take(points).into_iter().map(|mut point| {
                point.attributes_mut().clear();
                point
            });
            series::unite(points, all.collect(), add);
        });
        let sum = |data: Data| match data {
            Data::Sum(sum) => format!("{:?}", sum.data_points[0].value),
            Data::Histogram(it) => format!("{:?}", it.data_points[0].bucket_counts),
            Data::ExponentialHistogram(it) => format!("{:?}", it.data_points[0].positive),
            other => panic!("{other:?}"),
        };
        let whole = direct(&none, &samples()).0.unwrap();
        assert_eq!(sum(totals[0].metrics[0].data.clone().unwrap()), sum(whole));
    }
}

#[test]
fn generations_add_up_from_the_earlier_start_and_of_gauges_the_newer_stays() {
    for shape in carried_kinds() {
        let world = World::one(shape.clone());
        let all = samples();
        let (older, newer) = all.split_at(3);
        let mut now = vec![recorded("m", &shape, newer, (15, 30))];
        merge(&mut now, vec![recorded("m", &shape, older, SPAN)], &world);
        let mut expected = recorded("m", &shape, &samples(), (0, 0));
        with_points!(&mut expected.metrics[0].data, shape, |points, _add| {
            for point in points.iter_mut() {
                let seen_in = |part: &[Sample]| {
                    let alone = sorted(&[recorded("m", &shape, part, (0, 0))], "m");
                    format!("{alone:?}").contains(&format!("{:?}", point.attributes()))
                };
                let (seen_before, seen_now) = (seen_in(older), seen_in(newer));
                let gauge = shape.kind == InstrumentKind::Gauge && seen_now;
                *point.start_mut() = if seen_before && !gauge { 10 } else { 15 };
                *point.time_mut() = if seen_now { 30 } else { 20 };
            }
        });
        assert_eq!(sorted(&now, "m"), sorted(&[expected], "m"), "{shape:?}");
    }
}

#[test]
fn what_is_not_declared_is_left_alone() {
    let point = NumberDataPoint { value: Some(Value::AsDouble(0.5)), ..Default::default() };
    let foreign = scope("foreign", Data::Gauge(Gauge { data_points: vec![point] }));
    let world = World::one(shape(InstrumentKind::Counter));
    let carried = carry(vec![foreign.clone()], &world, &world);
    assert_eq!(carried, Carried { totals: vec![foreign], resets: Vec::new() });
}

#[test]
fn the_order_of_attributes_does_not_tell_series_apart() {
    let shape = shape(InstrumentKind::Counter);
    let mut now = vec![recorded("m", &shape, &[sample("x", "1", 3)], SPAN)];
    let mut older = recorded("m", &shape, &[sample("x", "1", 4)], SPAN);
    let Some(Data::Sum(sum)) = &mut older.metrics[0].data else { panic!() };
    sum.data_points[0].attributes.reverse();
    merge(&mut now, vec![older], &World::one(shape.clone()));
    let whole = recorded("m", &shape, &[sample("x", "1", 7)], SPAN);
    assert_eq!(now, vec![whole]);
}

#[test]
fn an_era_that_is_followed_by_many_falls_without_exhausting_the_stack() {
    let shapes = Arc::new(World::default());
    let first = Era::first(shapes.clone(), 0);
    let mut last = Arc::clone(&first);
    for since in 1..200_000 {
        last = last.follow(shapes.clone(), since);
    }
    drop(last);
    drop(first);
}
