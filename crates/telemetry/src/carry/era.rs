//! The time in which instruments have one shape, and the way from one such time to the next.

use std::sync::{Arc, OnceLock};

use opentelemetry_proto::tonic::metrics::v1::ScopeMetrics;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;

use crate::config::ValueFilter;
use crate::instrument::InstrumentKind;

use super::continuity::is_absolute;
use super::step::{Decision, Step};
use super::{Carried, Point, Shapes, StreamShape};

/// The time in which instruments have one shape: from one rebuild to the next.
///
/// Eras form a chain, held by its newest and by every snapshot: whoever has a snapshot of an
/// earlier era can say what it would be in a later one. The totals of a moment are
///
/// ```text
///   base = base of the era before the oldest generation that still records
///   for each generation that still records, oldest first:
///       collected = its totals, stamped by its era
///       merge(&mut collected, base)
///       base = collected, carried by its era     (not the newest one: that is the result)
/// ```
///
/// and once a generation records no more, what its step gives is the base.
pub(crate) struct Era {
    shapes: Arc<dyn Shapes + Send + Sync>,
    /// When the first era began, in nanoseconds since 1970: observable instruments count from then.
    first: u64,
    /// When this one began: what no earlier one counted counts from then.
    since: u64,
    next: OnceLock<Arc<Self>>,
    /// How it is carried into the next one.
    decision: OnceLock<Decision>,
}

/// No instrument is declared.
struct Undeclared(ValueFilter);

// === impl Era ===

impl Era {
    /// The era of the first generation.
    pub(crate) fn first(shapes: Arc<dyn Shapes + Send + Sync>, since: u64) -> Arc<Self> {
        Arc::new(Self::new(shapes, since, since))
    }

    /// The era of the generation after this one, from `since`. There is one at most.
    pub(crate) fn follow(&self, shapes: Arc<dyn Shapes + Send + Sync>, since: u64) -> Arc<Self> {
        Arc::clone(self.next.get_or_init(|| Arc::new(Self::new(shapes, self.first, since))))
    }

    fn new(shapes: Arc<dyn Shapes + Send + Sync>, first: u64, since: u64) -> Self {
        Self { shapes, first, since, next: OnceLock::new(), decision: OnceLock::new() }
    }

    pub(crate) fn shapes(&self) -> &dyn Shapes {
        &*self.shapes
    }

    /// The kind of a declared instrument.
    pub(crate) fn kind(&self, scope: &str, name: &str) -> Option<InstrumentKind> {
        self.shapes.shape(scope, name).map(|shape| shape.kind)
    }

    /// Writes into the points that this era's generation collected when they started to count: what
    /// it counts from this era on, what it is told from the first one. The SDK's own times are those
    /// of a `prepare`. Merged with what was carried, a series keeps its older start.
    pub(crate) fn stamp(&self, collected: &mut [ScopeMetrics]) {
        for scope in collected {
            let name = scope.scope.as_ref().map_or("", |scope| scope.name.as_str());
            for metric in &mut scope.metrics {
                let Some(shape) = self.shapes.shape(name, &metric.name) else { continue };
                let start = self.start(shape);
                match &mut metric.data {
                    Some(Data::Sum(sum)) => stamp(&mut sum.data_points, start),
                    Some(Data::Histogram(histogram)) => stamp(&mut histogram.data_points, start),
                    Some(Data::ExponentialHistogram(histogram)) => {
                        stamp(&mut histogram.data_points, start);
                    }
                    // A gauge counts nothing.
                    Some(Data::Gauge(_) | Data::Summary(_)) | None => {}
                }
            }
        }
    }

    fn start(&self, shape: &StreamShape) -> u64 {
        if is_absolute(shape.kind) { self.first } else { self.since }
    }

    /// What totals of this era are in the next one. As they are if there is none.
    ///
    /// The first call decides which series stay by themselves where the limit is passed; it has to
    /// be the one for the first snapshot of the next era.
    pub(crate) fn carry(&self, totals: Vec<ScopeMetrics>) -> Carried {
        let Some(next) = self.next.get() else { return Carried { totals, resets: Vec::new() } };
        let step = Step { from: self.shapes(), to: next.shapes(), since: next.since };
        // As an option, because only one of many calls decides.
        let (mut totals, mut carried) = (Some(totals), None);
        let decision = self.decision.get_or_init(|| {
            let (first, decision) = step.decide(totals.take().unwrap_or_default());
            carried = Some(first);
            decision
        });
        carried.unwrap_or_else(|| step.follow(totals.unwrap_or_default(), decision))
    }

    /// What `totals` of this era are in the `later` one; `None` if that is this one, or no later
    /// one.
    pub(crate) fn bring(
        &self,
        totals: &[ScopeMetrics],
        later: &Arc<Self>,
    ) -> Option<Vec<ScopeMetrics>> {
        let steps = self.chain().position(|era| std::ptr::eq(era, Arc::as_ptr(later)))?;
        let path = self.chain().take(steps);
        (steps > 0).then(|| path.fold(totals.to_vec(), |totals, era| era.carry(totals).totals))
    }

    /// This era and all later ones.
    fn chain(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |era| era.next.get().map(|next| &**next))
    }
}

/// An era without declared instruments.
impl Default for Era {
    fn default() -> Self {
        Self::new(Arc::new(Undeclared(ValueFilter::default())), 0, 0)
    }
}

impl std::fmt::Debug for Era {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Era").field("since", &self.since).finish_non_exhaustive()
    }
}

/// One after the other: a chain that falls recursively may be longer than a stack.
impl Drop for Era {
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(mut era) = next.and_then(Arc::into_inner) {
            next = era.next.take();
        }
    }
}

fn stamp<P: Point>(points: &mut [P], start: u64) {
    points.iter_mut().for_each(|point| *point.start_mut() = start);
}

// === impl Undeclared ===

impl Shapes for Undeclared {
    fn shape(&self, _scope: &str, _name: &str) -> Option<&StreamShape> {
        None
    }

    fn values(&self) -> &ValueFilter {
        &self.0
    }
}
