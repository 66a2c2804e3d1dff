//! What becomes of totals when instruments are built anew in another shape. Pure.
//!
//! Enter by [`Era`]: it knows what one generation of instruments makes of each stream, and carries
//! that generation's totals into the next one. [`carry`] is one such step, [`merge`] adds up what
//! several generations counted. Neither reads a clock or an instrument; whoever collects does.
//!
//! Carrying is linear: carrying a part of the totals and then subtracting gives the same as
//! subtracting first. That is what lets a delta go on across a rebuild.

use opentelemetry_proto::tonic::metrics::v1::ScopeMetrics;

use crate::config::ValueFilter;
use crate::instrument::InstrumentKind;

mod continuity;
mod era;
mod explicit;
mod exponential;
#[cfg(test)]
pub(crate) mod fixture;
mod merge;
mod points;
mod reshape;
mod series;
mod step;

pub(crate) use continuity::{ResetReason, is_absolute};
pub(crate) use era::Era;
pub(crate) use exponential::difference;
pub(crate) use merge::merge;
pub(crate) use points::Point;
pub(crate) use reshape::common;
pub(crate) use series::{Index, canonical, is_overflow};

#[cfg(test)]
pub(crate) use step::carry;

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

// === impl Keys ===

impl Keys {
    pub(crate) fn new(keys: impl IntoIterator<Item = &'static str>) -> Self {
        Self(keys.into_iter().collect())
    }

    pub(crate) fn contains(&self, key: &str) -> bool {
        self.0.contains(&key)
    }
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

#[cfg(test)]
mod tests;
