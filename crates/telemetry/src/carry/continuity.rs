//! Whether a stream goes on when its shape changes.

use std::fmt;

use serde::Serialize;

use crate::instrument::InstrumentKind;

use super::StreamShape;
use super::explicit::is_subset;

/// Whether a stream goes on when its shape changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Continuity {
    /// Yes, with what it counted before.
    Continues,
    /// Yes, and whoever observes it tells all of it every time: there is nothing to carry.
    Absolute,
    /// No, it is dropped.
    Ends,
    /// It starts again.
    Restarts(ResetReason),
}

/// Why a stream starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum ResetReason {
    /// It was dropped before.
    Undropped,
    /// What it was put together to cannot be turned into what it is now.
    Aggregation,
    /// There is a boundary that was none before.
    Boundaries,
    /// It may have fewer series than before.
    LimitLowered,
}

// === impl Continuity ===

impl Continuity {
    pub(super) fn between(from: &StreamShape, to: &StreamShape) -> Self {
        match (from.dropped, to.dropped) {
            (_, true) => Self::Ends,
            _ if is_absolute(to.kind) => Self::Absolute,
            (true, false) => Self::Restarts(ResetReason::Undropped),
            (false, false) => match obstacle(from, to) {
                Some(why) => Self::Restarts(why),
                None => Self::Continues,
            },
        }
    }
}

/// Whether instruments of this kind are asked for all that was counted since the start.
pub(crate) fn is_absolute(kind: InstrumentKind) -> bool {
    match kind {
        InstrumentKind::ObservableCounter
        | InstrumentKind::ObservableUpDownCounter
        | InstrumentKind::ObservableGauge => true,
        InstrumentKind::Counter
        | InstrumentKind::UpDownCounter
        | InstrumentKind::Histogram
        | InstrumentKind::Gauge => false,
    }
}

fn obstacle(from: &StreamShape, to: &StreamShape) -> Option<ResetReason> {
    use super::StreamAggregation::{Explicit, Exponential, LastValue, Sum};
    match (&from.aggregation, &to.aggregation) {
        (Sum, Sum) | (LastValue, LastValue) | (Exponential { .. }, Exponential { .. }) => {}
        (Explicit(old), Explicit(new)) if is_subset(new, old) => {}
        (Explicit(_), Explicit(_)) => return Some(ResetReason::Boundaries),
        (Sum | LastValue | Explicit(_) | Exponential { .. }, _) => {
            return Some(ResetReason::Aggregation);
        }
    }
    (to.limit < from.limit).then_some(ResetReason::LimitLowered)
}

// === impl StreamShape ===

impl StreamShape {
    /// Why the stream starts again if this shape becomes `next`; `None` if it goes on or ends.
    pub(crate) fn reset(&self, next: &Self) -> Option<ResetReason> {
        match Continuity::between(self, next) {
            Continuity::Restarts(why) => Some(why),
            Continuity::Continues | Continuity::Absolute | Continuity::Ends => None,
        }
    }
}

// === impl ResetReason ===

impl ResetReason {
    /// The reason, from a closed set.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Undropped => "Undropped",
            Self::Aggregation => "Aggregation",
            Self::Boundaries => "Boundaries",
            Self::LimitLowered => "LimitLowered",
        }
    }
}

impl fmt::Display for ResetReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Undropped => "it was dropped before",
            Self::Aggregation => "it is aggregated in another way",
            Self::Boundaries => "it has a bucket boundary that was none before",
            Self::LimitLowered => "its cardinality limit is lower",
        })
    }
}
