//! What becomes of totals when instruments are built anew in another shape. Pure.
//!
//! Enter by [`Era`]: it knows what one generation of instruments makes of each stream, and carries
//! that generation's totals into the next one. [`carry`] is one such step, [`merge`] adds up what
//! several generations counted. Neither reads a clock or an instrument; whoever collects does.
//!
//! Carrying is linear: carrying a part of the totals and then subtracting gives the same as
//! subtracting first. That is what lets a delta go on across a rebuild.

use std::collections::{HashMap, HashSet};

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Metric, ScopeMetrics};

use crate::config::ValueFilter;
use crate::instrument::InstrumentKind;

mod continuity;
mod era;
mod explicit;
mod exponential;
mod merge;
mod points;
mod series;

pub(crate) use continuity::ResetReason;
pub(crate) use era::Era;
pub(crate) use exponential::difference;
pub(crate) use merge::merge;
pub(crate) use points::Point;
pub(crate) use series::{Index, canonical, is_overflow};

use continuity::Continuity;
use points::{add_histogram, add_number, newest};

/// What one generation of instruments makes of one declared instrument.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StreamShape {
    pub(crate) kind: InstrumentKind,
    /// Whether a view drops it. Nothing else matters then.
    pub(crate) dropped: bool,
    pub(crate) keys: Keys,
    pub(crate) aggregation: StreamAggregation,
    /// How many series there may be, that of the overflow included.
    pub(crate) limit: u32,
}

/// The attribute keys that a stream keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys(Vec<&'static str>);

/// How the measurements of a stream are put together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum StreamAggregation {
    Sum,
    LastValue,
    /// Buckets with these upper bounds.
    Explicit(Vec<f64>),
    Exponential {
        max_size: u32,
        max_scale: i8,
    },
}

/// What one generation of instruments makes of all of them.
pub(crate) trait Shapes {
    /// Of the instrument with this scope and name, if it is declared.
    fn shape(&self, scope: &str, name: &str) -> Option<&StreamShape>;

    /// Which measurements count.
    fn values(&self) -> &ValueFilter;
}

/// Totals in the shape of the next generation.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Carried {
    pub(crate) totals: Vec<ScopeMetrics>,
    /// Streams of the totals that cannot go on: they start again.
    pub(crate) resets: Vec<Reset>,
}

/// A stream that starts again with a rebuild.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reset {
    pub(crate) scope: String,
    pub(crate) name: String,
    pub(crate) why: ResetReason,
}

/// Which series stay by themselves, in streams that have more of them than they may. Decided once
/// for each rebuild, or a series could come and go.
#[derive(Debug, Default)]
struct Kept(HashMap<(String, String), HashSet<u64>>);

// === impl Keys ===

impl Keys {
    pub(crate) fn new(keys: impl IntoIterator<Item = &'static str>) -> Self {
        Self(keys.into_iter().collect())
    }

    pub(crate) fn contains(&self, key: &str) -> bool {
        self.0.contains(&key)
    }
}

/// What `totals`, recorded in the shape `from`, are in the shape `to`. Streams that are declared in
/// neither stay as they are.
#[cfg(test)]
pub(crate) fn carry(totals: Vec<ScopeMetrics>, from: &dyn Shapes, to: &dyn Shapes) -> Carried {
    Step { from, to }.decide(totals).0
}

/// One rebuild: from one generation to the next.
struct Step<'a> {
    from: &'a dyn Shapes,
    to: &'a dyn Shapes,
}

// === impl Step ===

impl Step<'_> {
    /// Carries, and decides which series stay by themselves.
    fn decide(&self, totals: Vec<ScopeMetrics>) -> (Carried, Kept) {
        let mut kept = Kept::default();
        let carried = self.each(totals, |scope, metric, shape| {
            let Some(hashes) = metric.data.as_ref().and_then(|data| first(data, shape.limit))
            else {
                return;
            };
            limit(metric, shape, &hashes);
            kept.0.insert((scope.to_owned(), metric.name.clone()), hashes);
        });
        (carried, kept)
    }

    /// Carries what was decided already.
    fn follow(&self, totals: Vec<ScopeMetrics>, kept: &Kept) -> Carried {
        self.each(totals, |scope, metric, shape| {
            if kept.0.is_empty() {
                return;
            }
            if let Some(kept) = kept.0.get(&(scope.to_owned(), metric.name.clone())) {
                limit(metric, shape, kept);
            }
        })
    }

    fn each(
        &self,
        mut totals: Vec<ScopeMetrics>,
        mut limit: impl FnMut(&str, &mut Metric, &StreamShape),
    ) -> Carried {
        let mut resets = Vec::new();
        for scope in &mut totals {
            let name = scope.scope.as_ref().map_or("", |scope| scope.name.as_str());
            scope.metrics.retain_mut(|metric| {
                let shapes =
                    (self.from.shape(name, &metric.name), self.to.shape(name, &metric.name));
                let (Some(from), Some(to)) = shapes else { return true };
                match Continuity::between(from, to) {
                    Continuity::Continues => {
                        reshape(metric, to, self.to.values());
                        limit(name, metric, to);
                        metric.data.as_ref().is_some_and(|data| !points::is_empty(data))
                    }
                    Continuity::Absolute | Continuity::Ends => false,
                    Continuity::Restarts(why) => {
                        let (scope, name) = (name.to_owned(), metric.name.clone());
                        resets.push(Reset { scope, name, why });
                        false
                    }
                }
            });
        }
        totals.retain(|scope| !scope.metrics.is_empty());
        Carried { totals, resets }
    }
}

/// Runs `$body` with the points of `$data`, and how two of them become one in the shape `$shape`.
macro_rules! with_points {
    ($data:expr, $shape:expr, |$points:ident, $add:ident| $body:expr) => {
        match $data {
            Some(Data::Sum(sum)) => {
                let ($points, $add) = (&mut sum.data_points, add_number);
                $body
            }
            Some(Data::Gauge(gauge)) => {
                let ($points, $add) = (&mut gauge.data_points, newest);
                $body
            }
            Some(Data::Histogram(histogram)) => {
                let ($points, $add) = (&mut histogram.data_points, add_histogram);
                $body
            }
            Some(Data::ExponentialHistogram(histogram)) => {
                let max_size = $shape.max_size();
                let $points = &mut histogram.data_points;
                let $add = |into: &mut _, from| exponential::add(into, from, max_size);
                $body
            }
            // Only a Collector makes summaries.
            Some(Data::Summary(_)) | None => {}
        }
    };
}

/// Brings the series that go on into the shape `to`.
fn reshape(metric: &mut Metric, to: &StreamShape, values: &ValueFilter) {
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

/// The series that stay by themselves where there are more than `limit`.
fn first(data: &Data, limit: u32) -> Option<HashSet<u64>> {
    fn first_of<P: Point>(points: &[P], limit: usize) -> Option<HashSet<u64>> {
        (points.len() > limit).then(|| {
            let plain = points.iter().map(Point::attributes).filter(|it| !series::is_overflow(it));
            plain.take(limit.saturating_sub(1)).map(series::hash).collect()
        })
    }
    let limit = limit as usize;
    match data {
        Data::Sum(sum) => first_of(&sum.data_points, limit),
        Data::Gauge(gauge) => first_of(&gauge.data_points, limit),
        Data::Histogram(histogram) => first_of(&histogram.data_points, limit),
        Data::ExponentialHistogram(histogram) => first_of(&histogram.data_points, limit),
        Data::Summary(_) => None,
    }
}

/// Moves the series that may not stay by themselves into the overflow.
fn limit(metric: &mut Metric, shape: &StreamShape, kept: &HashSet<u64>) {
    with_points!(&mut metric.data, shape, |points, add| {
        let (stay, mut leave): (Vec<_>, Vec<_>) =
            std::mem::take(points).into_iter().partition(|point| {
                let attributes = point.attributes();
                series::is_overflow(attributes) || kept.contains(&series::hash(attributes))
            });
        for point in &mut leave {
            *point.attributes_mut() = series::overflow();
        }
        *points = stay;
        series::unite(points, leave, add);
    });
}

// === impl StreamShape ===

impl StreamShape {
    /// How many buckets there may be on each side of zero.
    fn max_size(&self) -> u32 {
        match self.aggregation {
            StreamAggregation::Exponential { max_size, .. } => max_size,
            _ => exponential::DEFAULT_MAX_SIZE,
        }
    }
}
