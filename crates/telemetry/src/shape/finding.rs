//! What there is to say about views, and about what a change of them does to streams.

use std::fmt;

use serde::Serialize;

use crate::instrument::{Declared, InstrumentKind};

use super::Shape;

/// Something about a view that a person should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "finding", rename_all_fields = "camelCase")]
pub enum ViewFinding {
    /// It selects no instrument.
    #[error("view {view:?} selects no metric")]
    Unmatched {
        /// The name of the view.
        view: String,
    },
    /// It selects instruments of others only. Those are not declared, and no view reaches them.
    #[error("view {view:?} selects only metrics that views cannot reach")]
    Unreachable {
        /// The name of the view.
        view: String,
    },
    /// It asks for what cannot be: a configuration with it is refused.
    #[error("view {view:?} cannot be applied to {instrument}: {why}")]
    Unsupported {
        /// The name of the view.
        view: String,
        /// The first instrument that it cannot be applied to.
        instrument: &'static str,
        /// Why not.
        why: Unsupported,
    },
}

/// Why a view cannot be applied to an instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Unsupported {
    /// Only histograms can be put into buckets: anything else would no longer be a number to those
    /// who read it, and observable instruments have no single measurements.
    NoHistogram(InstrumentKind),
    /// Boundaries must be finite, and each above the one before.
    Boundaries,
    /// There must be room for a bucket, and scales go from -10 to 20.
    Scale,
}

/// A stream that starts again with a change of views: it has a new start time, and counts from
/// zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamReset {
    /// The instrumentation scope.
    pub scope: &'static str,
    /// The name of the instrument.
    pub name: &'static str,
    /// Why, from a closed set.
    pub reason: &'static str,
    /// Why, for people.
    pub message: String,
}

/// The streams that start again when `from` becomes `to`. Both are of `declared`.
pub(crate) fn resets(declared: &[Declared], from: &Shape, to: &Shape) -> Vec<StreamReset> {
    let streams = declared.iter().zip(from.streams().iter().zip(to.streams()));
    streams
        .filter_map(|(Declared { declaration, .. }, (from, to))| {
            let why = from.reset(to)?;
            let (scope, name) = (declaration.scope, declaration.name);
            Some(StreamReset { scope, name, reason: why.as_str(), message: why.to_string() })
        })
        .collect()
}

// === impl ViewFinding ===

impl ViewFinding {
    /// The name of the view.
    pub fn view(&self) -> &str {
        match self {
            Self::Unmatched { view }
            | Self::Unreachable { view }
            | Self::Unsupported { view, .. } => view,
        }
    }

    /// Whether no pipeline can run a configuration with this view. Others are only odd: what they
    /// are for may yet come.
    pub fn refuses(&self) -> bool {
        matches!(self, Self::Unsupported { .. })
    }

    /// The kind of the finding, from a closed set.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unmatched { .. } => "Unmatched",
            Self::Unreachable { .. } => "Unreachable",
            Self::Unsupported { .. } => "Unsupported",
        }
    }
}

// === impl Unsupported ===

impl fmt::Display for Unsupported {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHistogram(kind) => write!(
                formatter,
                "it is of kind {kind:?}, and only histograms have buckets; select the kind Histogram"
            ),
            Self::Boundaries => {
                formatter.write_str("boundaries must be finite, each above the one before")
            }
            Self::Scale => formatter
                .write_str("there must be at least one bucket, and the scale is from -10 to 20"),
        }
    }
}
