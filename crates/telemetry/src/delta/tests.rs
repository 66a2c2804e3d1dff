use opentelemetry_proto::tonic::metrics::v1::Exemplar;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;

use crate::carry::fixture::{KINDS, Sample, World, exponential, recorded, sample, shape, sorted};
use crate::carry::{Era, StreamAggregation, StreamShape};

use super::*;

const START: u64 = 100;

fn era(shape: &StreamShape) -> Arc<Era> {
    Era::first(Arc::new(World::one(shape.clone())), START)
}

fn snapshot(era: &Arc<Era>, shape: &StreamShape, samples: &[Sample], time: u64) -> Snapshot {
    Snapshot::of(time, time, vec![recorded("m", shape, samples, (START, time))], Arc::clone(era))
}

/// Each kind, histograms in both ways.
fn shapes() -> Vec<StreamShape> {
    let aggregation = StreamAggregation::Exponential { max_size: 20, max_scale: 20 };
    let exponential = StreamShape { aggregation, ..shape(InstrumentKind::Histogram) };
    KINDS.into_iter().map(shape).chain([exponential]).collect()
}

fn between_samples(
    shape: &StreamShape,
    before: &[Sample],
    after: &[Sample],
    preference: Temporality,
) -> Vec<ScopeMetrics> {
    let era = era(shape);
    let since = snapshot(&era, shape, before, 200);
    let now = snapshot(&era, shape, &[before, after].concat(), 300);
    between(&now, Some(&since), preference)
}

#[test]
fn each_kind_is_told_as_the_preference_says() {
    use InstrumentKind::{Counter, Histogram, ObservableCounter};
    let before = [sample("x", "1", 3), sample("y", "1", 4)];
    let after = [sample("x", "1", 5), sample("z", "1", 6)];
    for shape in shapes() {
        for preference in [Temporality::Cumulative, Temporality::Delta, Temporality::LowMemory] {
            let told = between_samples(&shape, &before, &after, preference);
            let delta = match preference {
                Temporality::Cumulative => false,
                Temporality::Delta => {
                    matches!(shape.kind, Counter | Histogram | ObservableCounter)
                }
                Temporality::LowMemory => matches!(shape.kind, Counter | Histogram),
            };
            let whole = recorded("m", &shape, &[before, after].concat(), (START, 300));
            let mut change = recorded("m", &shape, &after, (200, 300));
            match &mut change.metrics[0].data {
                Some(Data::Sum(sum)) => sum.aggregation_temporality = 1,
                Some(Data::Histogram(histogram)) => histogram.aggregation_temporality = 1,
                Some(Data::ExponentialHistogram(it)) => {
                    it.aggregation_temporality = 1;
                    // The change is told at the scale of the whole.
                    let point = &mut it.data_points[0];
                    let whole = exponential(&[3, 5], 20, 20);
                    assert_eq!(point.scale, whole.scale, "near enough to need no other");
                }
                _ => {}
            }
            let expected = if delta { change } else { whole };
            assert_eq!(sorted(&told, "m"), sorted(&[expected], "m"), "{shape:?} {preference:?}");
        }
    }
}

#[test]
fn where_nothing_was_counted_nothing_is_told() {
    for shape in shapes() {
        let told = between_samples(&shape, &[sample("x", "1", 3)], &[], Temporality::Delta);
        let delta = temporality(shape.kind, Temporality::Delta) == AggregationTemporality::Delta;
        let gauge = matches!(sorted(&told, "m"), Some(Data::Gauge(_)));
        assert_eq!(told.is_empty(), delta && !gauge, "{shape:?}");
    }
}

#[test]
fn without_a_snapshot_before_everything_counts_from_its_start() {
    for shape in shapes() {
        let samples = [sample("x", "1", 3), sample("y", "2", 30)];
        let now = snapshot(&era(&shape), &shape, &samples, 300);
        let whole = recorded("m", &shape, &samples, (START, 300));
        let told = between(&now, None, Temporality::Delta);
        assert_eq!(told.len(), 1);
        let told = format!("{:?}", sorted(&told, "m"));
        let told =
            told.replace("aggregation_temporality: Delta", "aggregation_temporality: Cumulative");
        assert_eq!(told, format!("{:?}", sorted(&[whole], "m")));
    }
}

#[test]
fn what_started_again_or_went_down_counts_from_zero() {
    for shape in shapes().into_iter().filter(|shape| {
        temporality(shape.kind, Temporality::Delta) == AggregationTemporality::Delta
            && shape.aggregation != StreamAggregation::LastValue
    }) {
        let era = era(&shape);
        let more = [sample("x", "1", 3), sample("x", "1", 4), sample("x", "1", 50)];
        let since = snapshot(&era, &shape, &more, 200);
        let less = [sample("x", "1", 5)];
        let started_again = vec![recorded("m", &shape, &less, (250, 300))];
        let started_again = Snapshot::of(3, 300, started_again, Arc::clone(&era));
        let went_down = snapshot(&era, &shape, &less, 300);
        for (now, start) in [(started_again, 250), (went_down, 200)] {
            let told = between(&now, Some(&since), Temporality::Delta);
            let expected = sorted(&[recorded("m", &shape, &less, (start, 300))], "m");
            let told = format!("{:?}", sorted(&told, "m"))
                .replace("aggregation_temporality: Delta", "aggregation_temporality: Cumulative");
            assert_eq!(told, format!("{expected:?}"));
        }
    }
}

#[test]
fn a_rebuild_goes_on_where_it_can_and_counts_what_starts_again_from_there() {
    let from = shape(InstrumentKind::Histogram);
    let fewer = StreamShape { keys: crate::carry::Keys::new(["a"]), ..from.clone() };
    let other = StreamShape { aggregation: StreamAggregation::Explicit(vec![7.0]), ..from.clone() };
    let before = [sample("x", "1", 3), sample("x", "2", 4)];
    let after = [sample("x", "1", 5)];
    for (to, seen, start) in
        [(&fewer, &[before[0], before[1], after[0]][..], 200), (&other, &after[..], 250)]
    {
        let old = era(&from);
        let since = snapshot(&old, &from, &before, 200);
        let new = old.follow(Arc::new(World::one(to.clone())), 250);
        let mut totals = vec![recorded("m", to, seen, (START, 300))];
        if start == 250 {
            new.stamp(&mut totals);
        }
        let now = Snapshot::of(3, 300, totals, new);
        let told = between(&now, Some(&since), Temporality::Delta);
        let expected = sorted(&[recorded("m", to, &after, (start, 300))], "m");
        let told = format!("{:?}", sorted(&told, "m"))
            .replace("aggregation_temporality: Delta", "aggregation_temporality: Cumulative");
        assert_eq!(told, format!("{expected:?}"));
    }
}

#[test]
fn instruments_that_nobody_declared_are_told_by_their_data() {
    let undeclared = Arc::new(Era::default());
    for shape in shapes() {
        let samples = [sample("x", "1", 3)];
        let now = snapshot(&undeclared, &shape, &samples, 300);
        let told = between(&now, None, Temporality::LowMemory);
        let delta = match sorted(&told, "m").unwrap() {
            Data::Sum(sum) => sum.aggregation_temporality == 1,
            Data::Histogram(histogram) => histogram.aggregation_temporality == 1,
            Data::ExponentialHistogram(histogram) => histogram.aggregation_temporality == 1,
            Data::Gauge(_) | Data::Summary(_) => false,
        };
        let counts_up = matches!(
            shape.kind,
            InstrumentKind::Counter | InstrumentKind::ObservableCounter | InstrumentKind::Histogram
        );
        assert_eq!(delta, counts_up, "{shape:?}");
    }
}

#[test]
fn exemplars_from_before_the_window_are_left_out() {
    let shape = shape(InstrumentKind::Counter);
    let era = era(&shape);
    let since = snapshot(&era, &shape, &[sample("x", "1", 3)], 200);
    let mut totals = vec![recorded("m", &shape, &[sample("x", "1", 4)], (START, 300))];
    let Some(Data::Sum(sum)) = &mut totals[0].metrics[0].data else { panic!() };
    sum.data_points[0].exemplars = [150, 200, 250]
        .map(|time_unix_nano| Exemplar { time_unix_nano, ..Exemplar::default() })
        .to_vec();
    let now = Snapshot::of(3, 300, totals, era);
    let told = between(&now, Some(&since), Temporality::Delta);
    let Some(Data::Sum(sum)) = sorted(&told, "m") else { panic!() };
    let [point] = sum.data_points.as_slice() else { panic!() };
    assert_eq!(point.value, Some(Value::AsInt(1)));
    let times: Vec<_> = point.exemplars.iter().map(|it| it.time_unix_nano).collect();
    assert_eq!(times, [250]);
}

#[test]
fn a_clock_that_is_set_back_makes_no_window_that_ends_before_it_starts() {
    let shape = shape(InstrumentKind::Counter);
    let era = era(&shape);
    let since = snapshot(&era, &shape, &[sample("x", "1", 3)], 400);
    let now = snapshot(&era, &shape, &[sample("x", "1", 5)], 300);
    let told = between(&now, Some(&since), Temporality::Delta);
    let Some(Data::Sum(sum)) = sorted(&told, "m") else { panic!() };
    let point = &sum.data_points[0];
    assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (300, 300));
    assert_eq!(point.value, Some(Value::AsInt(2)));
}
