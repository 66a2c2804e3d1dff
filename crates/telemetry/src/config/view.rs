//! Views: which metrics are changed, and how.

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;

use serde::{Serialize, Serializer};

use crate::instrument::InstrumentKind;

/// A change to the metrics that a selector finds. What is not set stays as it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// A name for status to refer to.
    pub name: String,
    /// Which metrics.
    pub selector: Selector,
    /// Which attributes they keep.
    pub attributes: AttributeKeys,
    /// How many attribute sets they may have.
    pub cardinality_limit: Option<NonZeroU32>,
    /// How measurements are put together.
    pub aggregation: Option<Aggregation>,
}

/// Selects metrics: all members that are set must match.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// The metric's name, as OpenTelemetry or as Prometheus shows it.
    pub name: Option<Glob>,
    /// The kind of instrument that records it.
    pub kind: Option<InstrumentKind>,
}

/// A pattern for whole names: `*` stands for any characters, `?` for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

/// Why something is not a [`Glob`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// Nothing has an empty name.
    #[error("must not be empty")]
    Empty,
    /// Longer than any name.
    #[error("must not be longer than 255 characters")]
    TooLong,
}

/// Which attributes a metric keeps. Series that differ only in others are added up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AttributeKeys {
    /// What an earlier view left.
    #[default]
    Unchanged,
    /// These only.
    Included(BTreeSet<String>),
    /// All but these.
    Excluded(BTreeSet<String>),
}

/// How measurements are put together.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Aggregation {
    /// What the instrument does by itself.
    Default,
    /// Not at all: the metric is gone.
    Drop,
    /// Counted into buckets with these upper bounds, rising and finite.
    ExplicitBuckets(Vec<f64>),
    /// Counted into buckets that adapt to the values.
    Exponential {
        /// How many buckets there may be on each side of zero.
        max_size: u32,
        /// The finest resolution.
        max_scale: i8,
    },
}

// === impl Glob ===

impl Glob {
    /// Parses a pattern.
    ///
    /// # Errors
    /// If no name could match it, or it is longer than any name.
    pub fn parse(pattern: &str) -> Result<Self, GlobError> {
        match pattern.len() {
            0 => Err(GlobError::Empty),
            256.. => Err(GlobError::TooLong),
            _ => Ok(Self(pattern.to_owned())),
        }
    }

    /// Whether the whole of `name` matches. Takes time in proportion to both lengths at most.
    pub fn matches(&self, name: &str) -> bool {
        let (pattern, name) = (self.0.as_bytes(), name.as_bytes());
        let (mut at, mut next) = (0, 0);
        // Where the last `*` was, and how much of the name it has taken so far.
        let mut star: Option<(usize, usize)> = None;
        while next < name.len() {
            match pattern.get(at) {
                Some(b'*') => {
                    star = Some((at, next));
                    at += 1;
                }
                Some(b'?') => (at, next) = (at + 1, next + 1),
                Some(byte) if *byte == name[next] => (at, next) = (at + 1, next + 1),
                _ => match &mut star {
                    Some((star, taken)) => {
                        *taken += 1;
                        (at, next) = (*star + 1, *taken);
                    }
                    None => return false,
                },
            }
        }
        pattern[at..].iter().all(|byte| *byte == b'*')
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for Glob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

// === impl GlobError ===

impl GlobError {
    /// The kind of the error, from a closed set.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::TooLong => "TooLong",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_matches_whole_names() {
        for (pattern, name, matches) in [
            ("*", "", true),
            ("*", "a", true),
            ("a*", "abc", true),
            ("a*c", "abbc", true),
            ("a*c", "abcb", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*_total*", "a_total", true),
            ("a*b*c", "a-b-b-c", true),
            ("abc", "abcd", false),
            ("?", "", false),
        ] {
            assert_eq!(Glob::parse(pattern).unwrap().matches(name), matches, "{pattern} {name}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_longer_than_its_length_allows() {
        let glob = Glob::parse(&"*a".repeat(127)).unwrap();
        assert!(!glob.matches(&"a".repeat(100)));
        assert!(glob.matches(&"a".repeat(255)));
        assert_eq!(Glob::parse(""), Err(GlobError::Empty));
        assert_eq!(Glob::parse(&"a".repeat(256)), Err(GlobError::TooLong));
    }
}
