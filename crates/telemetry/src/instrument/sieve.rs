//! What of a measurement gets through to the SDK.

use std::sync::Arc;

use opentelemetry::{KeyValue, Value};
use smallvec::SmallVec;

use crate::carry::Keys;
use crate::config::ValueFilter;

use super::Declaration;

/// Decides which measurements of one instrument count, and which of their attributes.
///
/// The SDK could leave attributes out, too, but allocates for each measurement then, and knows
/// nothing but lists of what to keep.
#[derive(Clone, Debug)]
pub(crate) struct Sieve {
    /// The declared keys.
    keys: &'static [&'static str],
    kept: Kept,
    judged: Option<Judged>,
}

/// Which attributes are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    All,
    /// Those at these positions.
    Some(u64),
}

/// The attribute that decides whether a measurement counts.
#[derive(Clone, Debug)]
struct Judged {
    position: usize,
    values: Arc<ValueFilter>,
}

// === impl Sieve ===

impl Sieve {
    pub(crate) fn new(declaration: &Declaration, keys: &Keys, values: &Arc<ValueFilter>) -> Self {
        let Declaration { attributes, .. } = *declaration;
        let mask = attributes.iter().enumerate().fold(0_u64, |mask, (position, key)| {
            mask | (u64::from(keys.contains(key)) << position)
        });
        let all = attributes.iter().all(|key| keys.contains(key));
        let judged = attributes.iter().position(|key| !values.is_open() && *key == values.key);
        Self {
            keys: attributes,
            kept: if all { Kept::All } else { Kept::Some(mask) },
            judged: judged.map(|position| Judged { position, values: Arc::clone(values) }),
        }
    }

    /// Whether some attributes are left out.
    pub(crate) fn drops_attributes(&self) -> bool {
        self.kept != Kept::All
    }

    /// Calls `then` with the attributes that are left; not at all if the measurement does not
    /// count. Allocates nothing, but for values that own text which have to be copied.
    pub(crate) fn sift(&self, attributes: &[KeyValue], then: impl FnOnce(&[KeyValue])) {
        debug_assert!(
            attributes.iter().map(|attribute| attribute.key.as_str()).eq(self.keys.iter().copied()),
            "recorded with {attributes:?}, declared with {:?}",
            self.keys
        );
        if let Some(Judged { position, values }) = &self.judged
            && let Some(KeyValue { value: Value::String(value), .. }) = attributes.get(*position)
            && !values.admits(value.as_str())
        {
            return;
        }
        match self.kept {
            Kept::All => then(attributes),
            Kept::Some(mask) => {
                // Room for as many as can be declared.
                let mut kept = SmallVec::<[KeyValue; 64]>::new();
                for (position, attribute) in attributes.iter().enumerate().take(self.keys.len()) {
                    if mask >> position & 1 == 1 {
                        kept.push(attribute.clone());
                    }
                }
                then(&kept);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instrument::InstrumentKind;

    const DECLARATION: Declaration = Declaration {
        scope: "test",
        name: "requests",
        kind: InstrumentKind::Counter,
        unit: "",
        description: "",
        attributes: &["a", "namespace", "z"],
        boundaries: &[],
    };

    fn sift(keys: &[&'static str], values: ValueFilter, namespace: &'static str) -> Option<String> {
        let keys = Keys::new(keys.iter().copied());
        let sieve = Sieve::new(&DECLARATION, &keys, &Arc::new(values));
        let attributes =
            [KeyValue::new("a", 1), KeyValue::new("namespace", namespace), KeyValue::new("z", 2)];
        let mut left = None;
        sieve.sift(&attributes, |kept| {
            left = Some(kept.iter().map(|it| it.key.as_str()).collect::<Vec<_>>().join(","));
        });
        left
    }

    fn only(namespace: &str) -> ValueFilter {
        let include = [namespace.to_owned()].into();
        ValueFilter { key: "namespace".to_owned(), include, ..ValueFilter::default() }
    }

    #[test]
    fn the_kept_attributes_are_left_in_their_order() {
        let open = ValueFilter::default;
        assert_eq!(sift(&["a", "namespace", "z"], open(), "n").as_deref(), Some("a,namespace,z"));
        assert_eq!(sift(&["z", "a"], open(), "n").as_deref(), Some("a,z"));
        assert_eq!(sift(&[], open(), "n").as_deref(), Some(""));
    }

    #[test]
    fn a_value_decides_even_where_its_attribute_is_left_out() {
        assert_eq!(sift(&["a"], only("in"), "in").as_deref(), Some("a"));
        assert_eq!(sift(&["a"], only("in"), "out"), None);
        assert_eq!(sift(&["a"], only("in"), "").as_deref(), Some("a"), "it has none");
        let elsewhere = ValueFilter { key: "other".to_owned(), ..only("in") };
        assert_eq!(sift(&["a"], elsewhere, "out").as_deref(), Some("a"));
    }
}
