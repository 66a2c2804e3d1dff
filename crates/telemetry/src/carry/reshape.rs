//! The points of one stream, brought into another shape.

use std::collections::HashSet;

use opentelemetry_proto::tonic::metrics::v1::Metric;
pub(super) use opentelemetry_proto::tonic::metrics::v1::metric::Data;

use crate::config::ValueFilter;

use super::points::Point;
use super::{Era, StreamAggregation, StreamShape, explicit, exponential, series};

/// Where there are too many series.
#[derive(Debug)]
pub(super) struct Room {
    /// Those that stay by themselves, by their hash.
    stay: HashSet<u64>,
    /// When the overflow began to count. One that is there keeps its start, though it gets what was
    /// counted before: a start that moves back is refused by some receivers.
    overflow: u64,
}

/// Runs `$body` with the points of `$data`, and how two of them become one in the shape `$shape`.
macro_rules! with_points {
    ($data:expr, $shape:expr, |$points:ident, $add:ident| $body:expr) => {
        match $data {
            Some($crate::carry::reshape::Data::Sum(sum)) => {
                let ($points, $add) = (&mut sum.data_points, $crate::carry::points::add_number);
                $body
            }
            Some($crate::carry::reshape::Data::Gauge(gauge)) => {
                let ($points, $add) = (&mut gauge.data_points, $crate::carry::points::newest);
                $body
            }
            Some($crate::carry::reshape::Data::Histogram(histogram)) => {
                let ($points, $add) =
                    (&mut histogram.data_points, $crate::carry::points::add_histogram);
                $body
            }
            Some($crate::carry::reshape::Data::ExponentialHistogram(histogram)) => {
                let max_size = $shape.max_size();
                let $points = &mut histogram.data_points;
                let $add =
                    |into: &mut _, from| $crate::carry::exponential::add(into, from, max_size);
                $body
            }
            // Only a Collector makes summaries.
            Some($crate::carry::reshape::Data::Summary(_)) | None => {}
        }
    };
}

pub(super) use with_points;

/// Brings the series that go on into the shape `to`.
pub(super) fn reshape(metric: &mut Metric, to: &StreamShape, values: &ValueFilter) {
    match (&mut metric.data, &to.aggregation) {
        (Some(Data::Histogram(histogram)), StreamAggregation::Explicit(bounds)) => {
            histogram.data_points.retain_mut(|point| explicit::rebucket(point, bounds));
        }
        (
            Some(Data::ExponentialHistogram(histogram)),
            StreamAggregation::Exponential { max_size, max_scale },
        ) => {
            for point in &mut histogram.data_points {
                exponential::fit(point, *max_size, *max_scale);
            }
        }
        _ => {}
    }
    with_points!(&mut metric.data, to, |points, add| {
        points.retain(|point| series::is_admitted(point.attributes(), values));
        for point in points.iter_mut() {
            series::project(point.attributes_mut(), &to.keys);
        }
        let projected = std::mem::take(points);
        series::unite(points, projected, add);
    });
}

/// Two readings of an observable instrument in different eras, with the attributes that both have
/// and the values that both count. It is told anew every time, with no attribute that it had or will
/// have: neither reading can be brought into the shape of the other. `None` if it was dropped then.
pub(crate) fn common(
    scope: &str,
    (before, then): (Option<&Metric>, &Era),
    (after, now): (&Metric, &Era),
) -> Option<(Option<Metric>, Metric)> {
    let old = then.shapes().shape(scope, &after.name).filter(|shape| !shape.dropped)?;
    let new = now.shapes().shape(scope, &after.name)?;
    let (mut before, mut after) = (before.cloned(), after.clone());
    if let Some(before) = &mut before {
        reshape(before, new, now.shapes().values());
    }
    reshape(&mut after, old, then.shapes().values());
    Some((before, after))
}

/// The series that there are, by their hash.
pub(super) fn hashes(metric: &mut Metric) -> HashSet<u64> {
    fn of<P: Point>(points: &mut [P]) -> HashSet<u64> {
        let canonical = points.iter_mut().map(|point| {
            series::canonical(point.attributes_mut());
            series::hash(point.attributes())
        });
        canonical.collect()
    }
    match &mut metric.data {
        Some(Data::Sum(sum)) => of(&mut sum.data_points),
        Some(Data::Gauge(gauge)) => of(&mut gauge.data_points),
        Some(Data::Histogram(histogram)) => of(&mut histogram.data_points),
        Some(Data::ExponentialHistogram(histogram)) => of(&mut histogram.data_points),
        Some(Data::Summary(_)) | None => HashSet::new(),
    }
}

/// Who stays where there are more series than `limit`.
pub(super) fn room(metric: &mut Metric, to: &StreamShape) -> Option<Room> {
    let limit = to.limit as usize;
    let mut room = None;
    with_points!(&mut metric.data, to, |points, _add| {
        if points.len() > limit {
            let is_overflow = |point: &&_| series::is_overflow(Point::attributes(*point));
            let plain = points.iter().filter(|point| !is_overflow(point));
            let stay = plain.take(limit.saturating_sub(1)).map(|it| series::hash(it.attributes()));
            let stay: HashSet<_> = stay.collect();
            let overflow = points.iter().find(is_overflow).map(Point::start);
            let leave = points.iter().filter(|it| !stay.contains(&series::hash(it.attributes())));
            let earliest = leave.map(Point::start).min().unwrap_or_default();
            room = Some(Room { stay, overflow: overflow.unwrap_or(earliest) });
        }
    });
    room
}

/// Moves the series that may not stay by themselves into the overflow.
pub(super) fn limit(metric: &mut Metric, shape: &StreamShape, room: &Room) {
    with_points!(&mut metric.data, shape, |points, add| {
        let (stay, mut leave): (Vec<_>, Vec<_>) =
            std::mem::take(points).into_iter().partition(|point| {
                let attributes = point.attributes();
                series::is_overflow(attributes) || room.stay.contains(&series::hash(attributes))
            });
        for point in &mut leave {
            *point.attributes_mut() = series::overflow();
            *point.start_mut() = room.overflow;
        }
        *points = stay;
        series::unite(points, leave, add);
    });
}
