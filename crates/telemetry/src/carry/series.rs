//! Series of a metric: told apart by their attributes, whatever order those come in.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use smallvec::SmallVec;

use crate::config::ValueFilter;

use super::Keys;
use super::points::Point;

/// The attribute of the series that has what no other series has room for.
const OVERFLOW: &str = "otel.metric.overflow";

/// Finds the point of a series among many.
#[derive(Debug, Default)]
pub(crate) struct Index(HashMap<u64, SmallVec<[usize; 1]>>);

// === impl Index ===

impl Index {
    /// Of points whose attributes are [`canonical`].
    pub(crate) fn of<P: Point>(points: &[P]) -> Self {
        let mut index = Self(HashMap::with_capacity(points.len()));
        for (place, point) in points.iter().enumerate() {
            index.0.entry(hash(point.attributes())).or_default().push(place);
        }
        index
    }

    /// The place among `points` of the one with these attributes.
    pub(crate) fn find<P: Point>(&self, points: &[P], attributes: &[KeyValue]) -> Option<usize> {
        let mut places = self.0.get(&hash(attributes))?.iter().copied();
        places.find(|place| points[*place].attributes() == attributes)
    }
}

/// Adds each of `from` to the one of its series among `into`, or after all of them.
pub(super) fn unite<P: Point>(into: &mut Vec<P>, from: Vec<P>, mut add: impl FnMut(&mut P, P)) {
    into.iter_mut().for_each(|point| canonical(point.attributes_mut()));
    let mut index = Index::of(into);
    for mut point in from {
        canonical(point.attributes_mut());
        match index.find(into, point.attributes()) {
            Some(place) => add(&mut into[place], point),
            None => {
                index.0.entry(hash(point.attributes())).or_default().push(into.len());
                into.push(point);
            }
        }
    }
}

/// Sorts attributes by key: the SDK tells them in an order that changes.
pub(crate) fn canonical(attributes: &mut [KeyValue]) {
    if !attributes.is_sorted_by(|one, other| one.key <= other.key) {
        attributes.sort_by(|one, other| one.key.cmp(&other.key));
    }
}

/// A number for canonical attributes, the same throughout the life of the process.
pub(super) fn hash(attributes: &[KeyValue]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for attribute in attributes {
        attribute.key.hash(&mut hasher);
        match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(Value::StringValue(value)) => value.hash(&mut hasher),
            Some(Value::BoolValue(value)) => value.hash(&mut hasher),
            Some(Value::IntValue(value)) => value.hash(&mut hasher),
            Some(Value::DoubleValue(value)) => value.to_bits().hash(&mut hasher),
            // Rare as attributes of metrics: told apart by comparison alone.
            Some(
                Value::ArrayValue(_)
                | Value::KvlistValue(_)
                | Value::BytesValue(_)
                | Value::StringValueStrindex(_),
            )
            | None => {}
        }
    }
    hasher.finish()
}

/// The attributes of the series that has what no other series has room for.
pub(super) fn overflow() -> Vec<KeyValue> {
    let value = Some(AnyValue { value: Some(Value::BoolValue(true)) });
    vec![KeyValue { key: OVERFLOW.to_owned(), value, ..KeyValue::default() }]
}

pub(crate) fn is_overflow(attributes: &[KeyValue]) -> bool {
    matches!(attributes, [only] if only.key == OVERFLOW)
}

/// Leaves the attributes that a stream keeps.
pub(super) fn project(attributes: &mut Vec<KeyValue>, keys: &Keys) {
    attributes.retain(|attribute| attribute.key == OVERFLOW || keys.contains(&attribute.key));
}

/// Whether a series still counts, as far as its attributes tell.
pub(super) fn is_admitted(attributes: &[KeyValue], values: &ValueFilter) -> bool {
    values.is_open()
        || attributes.iter().filter(|attribute| attribute.key == values.key).all(|attribute| {
            match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
                Some(Value::StringValue(value)) => values.admits(value),
                _ => true,
            }
        })
}
