//! One rebuild: the totals of one generation, in the shape of the next.

use std::collections::{HashMap, HashSet};

use opentelemetry_proto::tonic::metrics::v1::{Metric, ScopeMetrics};

use super::continuity::Continuity;
use super::points::{self, Point};
use super::reshape::{Room, hashes, limit, reshape, room, with_points};
use super::{Carried, Reset, Shapes, StreamShape, series};

/// One rebuild: from one generation to the next.
pub(super) struct Step<'a> {
    pub(super) from: &'a dyn Shapes,
    pub(super) to: &'a dyn Shapes,
    /// When that was.
    pub(super) since: u64,
}

/// What the first of many readings decides for all of them, by stream: or a series could come and
/// go, and start earlier than it did.
#[derive(Debug, Default)]
pub(super) struct Decision(HashMap<(String, String), Decided>);

#[derive(Debug)]
struct Decided {
    /// The series that there were then, in the old shape. Others were first recorded when the new
    /// era had begun, by somebody who still held an old instrument.
    known: HashSet<u64>,
    /// In the new shape, where there were too many.
    room: Option<Room>,
}

// === impl Step ===

impl Step<'_> {
    /// Carries the totals of the first reading in the new era.
    pub(super) fn decide(&self, totals: Vec<ScopeMetrics>) -> (Carried, Decision) {
        let mut decision = Decision::default();
        let carried = self.each(totals, |stream, metric, to| {
            let known = hashes(metric);
            reshape(metric, to, self.to.values());
            let room = room(metric, to);
            if let Some(room) = &room {
                limit(metric, to, room);
            }
            decision.0.insert(stream, Decided { known, room });
        });
        (carried, decision)
    }

    /// Carries what was read later, or earlier.
    pub(super) fn follow(&self, totals: Vec<ScopeMetrics>, decision: &Decision) -> Carried {
        self.each(totals, |stream, metric, to| {
            let decided = decision.0.get(&stream);
            with_points!(&mut metric.data, to, |points, _add| {
                for point in points.iter_mut() {
                    series::canonical(point.attributes_mut());
                    let hash = series::hash(point.attributes());
                    if !decided.is_some_and(|decided| decided.known.contains(&hash)) {
                        *point.start_mut() = self.since.max(point.start());
                    }
                }
            });
            reshape(metric, to, self.to.values());
            if let Some(room) = decided.and_then(|decided| decided.room.as_ref()) {
                limit(metric, to, room);
            }
        })
    }

    fn each(
        &self,
        mut totals: Vec<ScopeMetrics>,
        mut carry: impl FnMut((String, String), &mut Metric, &StreamShape),
    ) -> Carried {
        let mut resets = Vec::new();
        for scope in &mut totals {
            let name = scope.scope.as_ref().map_or("", |scope| scope.name.as_str());
            scope.metrics.retain_mut(|metric| {
                let shapes =
                    (self.from.shape(name, &metric.name), self.to.shape(name, &metric.name));
                let (Some(from), Some(to)) = shapes else { return true };
                let stream = (name.to_owned(), metric.name.clone());
                match Continuity::between(from, to) {
                    Continuity::Continues => {
                        carry(stream, metric, to);
                        metric.data.as_ref().is_some_and(|data| !points::is_empty(data))
                    }
                    Continuity::Absolute | Continuity::Ends => false,
                    Continuity::Restarts(why) => {
                        let (scope, name) = stream;
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

/// What `totals`, recorded in the shape `from`, are in the shape `to`. Streams that are declared in
/// neither stay as they are.
#[cfg(test)]
pub(crate) fn carry(totals: Vec<ScopeMetrics>, from: &dyn Shapes, to: &dyn Shapes) -> Carried {
    Step { from, to, since: 0 }.decide(totals).0
}
