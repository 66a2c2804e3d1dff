//! What views make of the declared instruments. Pure.
//!
//! Enter by [`Shape::resolve`]: every declared instrument gets one [`StreamShape`], from all views
//! that select it, in their order. What is wrong with a view, or odd, is data: a [`ViewFinding`].

use std::collections::HashMap;
use std::num::NonZeroU32;

use crate::carry::{Keys, Shapes, StreamAggregation, StreamShape};
use crate::config::{Aggregation, AttributeKeys, MetricShape, Selector, ValueFilter, View};
use crate::exposition::prometheus_name;
use crate::instrument::{Declaration, Declared, InstrumentKind};

mod finding;

pub(crate) use finding::resets;
pub use finding::{StreamReset, Unsupported, ViewFinding};

/// What all views together make of the declared instruments.
#[derive(Debug)]
pub(crate) struct Shape {
    /// In the order of the catalogue.
    streams: Vec<StreamShape>,
    /// Where the stream of an instrument is, by scope and name.
    places: HashMap<(&'static str, &'static str), usize>,
    wanted: MetricShape,
}

/// What exponents the buckets of an exponential histogram can have, in the SDK.
const SCALES: std::ops::RangeInclusive<i8> = -10..=20;
/// Tables are allocated ahead: beyond this, a limit limits nothing but memory.
const LARGEST_LIMIT: u32 = 1_000_000;

// === impl Shape ===

impl Shape {
    /// What `wanted` makes of what is declared, and what there is to say about its views. `others`
    /// are instruments that are not declared, by name and kind: no view reaches those.
    ///
    /// A part of a view that cannot be is left out.
    pub(crate) fn resolve<'a>(
        declared: &[Declared],
        others: impl Iterator<Item = (&'a str, InstrumentKind)> + Clone,
        wanted: &MetricShape,
    ) -> (Self, Vec<ViewFinding>) {
        let mut streams: Vec<_> =
            declared.iter().map(|it| by_itself(it.declaration, wanted.cardinality_limit)).collect();
        let mut findings = Vec::new();
        for view in &wanted.views {
            let mut refused = None;
            let mut matched = false;
            for (Declared { declaration, .. }, stream) in declared.iter().zip(&mut streams) {
                if selects(&view.selector, declaration.name, declaration.kind) {
                    matched = true;
                    if let Err(finding) = apply(view, declaration, stream) {
                        refused.get_or_insert(finding);
                    }
                }
            }
            findings.extend(refused);
            if !matched {
                let view_name = view.name.clone();
                let foreign =
                    others.clone().any(|(name, kind)| selects(&view.selector, name, kind));
                findings.push(if foreign {
                    ViewFinding::Unreachable { view: view_name }
                } else {
                    ViewFinding::Unmatched { view: view_name }
                });
            }
        }
        let places = declared.iter().enumerate();
        let places = places
            .map(|(place, it)| ((it.declaration.scope, it.declaration.name), place))
            .collect();
        (Self { streams, places, wanted: wanted.clone() }, findings)
    }

    /// The stream of every declared instrument, in the order of the catalogue.
    pub(crate) fn streams(&self) -> &[StreamShape] {
        &self.streams
    }

    /// What this was resolved from.
    pub(crate) fn wanted(&self) -> &MetricShape {
        &self.wanted
    }
}

impl Shapes for Shape {
    fn shape(&self, scope: &str, name: &str) -> Option<&StreamShape> {
        // As a map of shorter lifetimes, which is what can be asked.
        let places: &HashMap<(&str, &str), usize> = &self.places;
        self.streams.get(*places.get(&(scope, name))?)
    }

    fn values(&self) -> &ValueFilter {
        &self.wanted.values
    }
}

/// What an instrument is without any view.
fn by_itself(declaration: &Declaration, limit: NonZeroU32) -> StreamShape {
    StreamShape {
        kind: declaration.kind,
        dropped: false,
        keys: Keys::new(declaration.attributes.iter().copied()),
        aggregation: aggregation_by_itself(declaration),
        limit: limit.get().min(LARGEST_LIMIT),
    }
}

fn aggregation_by_itself(declaration: &Declaration) -> StreamAggregation {
    match declaration.kind {
        InstrumentKind::Counter
        | InstrumentKind::UpDownCounter
        | InstrumentKind::ObservableCounter
        | InstrumentKind::ObservableUpDownCounter => StreamAggregation::Sum,
        InstrumentKind::Gauge | InstrumentKind::ObservableGauge => StreamAggregation::LastValue,
        InstrumentKind::Histogram => StreamAggregation::Explicit(declaration.boundaries.to_vec()),
    }
}

/// What `view` changes about one stream that it selects. What it does not mention stays.
fn apply(
    view: &View,
    declaration: &Declaration,
    stream: &mut StreamShape,
) -> Result<(), ViewFinding> {
    let View { name: _, selector: _, attributes, cardinality_limit, aggregation } = view;
    let declared = declaration.attributes.iter().copied();
    match attributes {
        AttributeKeys::Unchanged => {}
        AttributeKeys::Included(keys) => {
            stream.keys = Keys::new(declared.filter(|key| keys.contains(*key)));
        }
        AttributeKeys::Excluded(keys) => {
            stream.keys = Keys::new(declared.filter(|key| !keys.contains(*key)));
        }
    }
    if let Some(limit) = cardinality_limit {
        stream.limit = limit.get().min(LARGEST_LIMIT);
    }
    if let Some(aggregation) = aggregation {
        aggregate(aggregation, declaration, stream).map_err(|why| ViewFinding::Unsupported {
            view: view.name.clone(),
            instrument: declaration.name,
            why,
        })?;
    }
    Ok(())
}

fn aggregate(
    wanted: &Aggregation,
    declaration: &Declaration,
    stream: &mut StreamShape,
) -> Result<(), Unsupported> {
    let (dropped, aggregation) = match wanted {
        Aggregation::Default => (false, aggregation_by_itself(declaration)),
        Aggregation::Drop => (true, aggregation_by_itself(declaration)),
        // A histogram in the place of a number: whoever reads the number finds nothing.
        Aggregation::ExplicitBuckets(_) | Aggregation::Exponential { .. }
            if declaration.kind != InstrumentKind::Histogram =>
        {
            return Err(Unsupported::NoHistogram(declaration.kind));
        }
        Aggregation::ExplicitBuckets(boundaries) => {
            let rising = boundaries.windows(2).all(|pair| pair[0] < pair[1]);
            if !rising || !boundaries.iter().all(|boundary| boundary.is_finite()) {
                return Err(Unsupported::Boundaries);
            }
            (false, StreamAggregation::Explicit(boundaries.clone()))
        }
        Aggregation::Exponential { max_size, max_scale } => {
            if *max_size == 0 || !SCALES.contains(max_scale) {
                return Err(Unsupported::Scale);
            }
            let (max_size, max_scale) = (*max_size, *max_scale);
            (false, StreamAggregation::Exponential { max_size, max_scale })
        }
    };
    stream.dropped = dropped;
    stream.aggregation = aggregation;
    Ok(())
}

/// Whether a view is for an instrument, by either of its names.
fn selects(selector: &Selector, name: &str, kind: InstrumentKind) -> bool {
    let Selector { name: pattern, kind: wanted } = selector;
    wanted.is_none_or(|wanted| wanted == kind)
        && pattern.as_ref().is_none_or(|pattern| {
            pattern.matches(name) || pattern.matches(&prometheus_name(name, kind))
        })
}

#[cfg(test)]
mod tests;
