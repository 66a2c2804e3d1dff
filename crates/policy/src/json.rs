//! JSON as policies read it: parsed once, borrowing what need not be copied.
//!
//! Enter at [`Json::parse`], or at [`Json::parse_within`] for what somebody else has sent: JSON can take
//! thirty times its length in memory while it is read, and half of that afterwards. Texts without
//! escapes stay where they were read; each list and each object is one allocation of just its size. A
//! document that owns every text and keeps every object in a tree took more than twice the CPU time to
//! make and to drop, which was most of what a review of a large object took (docs/adr/0019).
//!
//! Numbers are what Kubernetes makes of them in an unstructured object. Nothing here knows policies.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};

mod read;

/// A document. Its texts may be borrowed from what it was read from, which `'a` is.
#[derive(Clone, PartialEq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number without a fraction or an exponent, if it fits.
    Int(i64),
    /// Any other number; one that is too large for an `i64` is as near as it gets.
    Double(f64),
    /// A string.
    String(Cow<'a, str>),
    /// A list.
    Array(Box<[Self]>),
    /// An object.
    Object(Fields<'a>),
}

/// The fields of an object, in the order of their names, each name once.
#[derive(Clone, Default, PartialEq)]
pub struct Fields<'a>(Box<[(Cow<'a, str>, Json<'a>)]>);

/// A document that was read within bounds.
#[derive(Debug)]
pub struct Read<'a> {
    /// The document.
    pub document: Json<'a>,
    /// How many bytes of memory it holds, beside what it was read from.
    pub bytes: usize,
}

/// Why there is no document.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// It is none.
    #[error(transparent)]
    NotJson(#[from] NotJson),
    /// It would take more memory than it was given.
    #[error("there is not enough memory for it")]
    NoMemory,
}

/// Why bytes are no JSON, and where.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct NotJson(serde_json::Error);

// === impl Json ===

impl<'a> Json<'a> {
    /// Reads a document, which must be all that there is. Of fields of one name the last counts. What
    /// is nested more than 128 levels deep is refused.
    pub fn parse(written: &'a [u8]) -> Result<Self, NotJson> {
        match Self::parse_within(written, &mut |_| true) {
            Ok(read) => Ok(read.document),
            Err(Unread::NotJson(error)) => Err(error),
            Err(Unread::NoMemory) => unreachable!("there is memory without a bound"),
        }
    }

    /// The same within bounds: `take` is asked for every so many bytes of memory before they are used,
    /// and ends the reading by saying no. In the end more was taken than [`Read::bytes`] says.
    pub fn parse_within(
        written: &'a [u8],
        take: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Read<'a>, Unread> {
        let longest_text = if written.contains(&b'\\') { written.len() } else { 0 };
        // Looking at all of it once is cheaper than at each string; who finds no text says where.
        match str::from_utf8(written) {
            Ok(text) => {
                read::document(serde_json::Deserializer::from_str(text), longest_text, take)
            }
            Err(_) => {
                read::document(serde_json::Deserializer::from_slice(written), longest_text, take)
            }
        }
    }

    /// An object without fields.
    pub fn empty() -> Self {
        Self::Object(Fields::default())
    }

    /// A field, if this is an object that has it.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_object()?.get(name)
    }

    /// What is at the end of these fields, each after a `/`. Their names have no `/` and no escapes.
    pub fn pointer(&self, path: &str) -> Option<&Self> {
        let mut names = path.split('/');
        // Before the first `/` is nothing.
        names.next();
        names.try_fold(self, |found, name| found.get(name))
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// True or false, if it is that.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(bool) => Some(*bool),
            _ => None,
        }
    }

    /// The elements, if it is a list.
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// The fields, if it is an object.
    pub fn as_object(&self) -> Option<&Fields<'a>> {
        match self {
            Self::Object(fields) => Some(fields),
            _ => None,
        }
    }

    /// Whether it is an object.
    pub fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The same with every text its own.
    pub fn into_owned(self) -> Json<'static> {
        match self {
            Self::Null => Json::Null,
            Self::Bool(bool) => Json::Bool(bool),
            Self::Int(int) => Json::Int(int),
            Self::Double(double) => Json::Double(double),
            Self::String(text) => Json::String(text.into_owned().into()),
            Self::Array(elements) => {
                Json::Array(elements.into_iter().map(Self::into_owned).collect())
            }
            Self::Object(Fields(fields)) => {
                let owned = |(name, value): (Cow<'a, str>, Self)| {
                    (name.into_owned().into(), value.into_owned())
                };
                Json::Object(Fields(fields.into_iter().map(owned).collect()))
            }
        }
    }
}

impl<'a> From<&'a str> for Json<'a> {
    fn from(text: &'a str) -> Self {
        Self::String(Cow::Borrowed(text))
    }
}

/// What serde_json has, as a document.
impl From<serde_json::Value> for Json<'static> {
    fn from(value: serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::Null,
            Value::Bool(bool) => Self::Bool(bool),
            Value::Number(number) => match number.as_i64() {
                Some(int) => Self::Int(int),
                None => Self::Double(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) => Self::String(text.into()),
            Value::Array(elements) => Self::Array(elements.into_iter().map(Self::from).collect()),
            Value::Object(fields) => {
                fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
            }
        }
    }
}

/// An object of these fields; of those of one name the last counts.
impl<'a> FromIterator<(Cow<'a, str>, Self)> for Json<'a> {
    fn from_iter<I: IntoIterator<Item = (Cow<'a, str>, Self)>>(fields: I) -> Self {
        let mut fields: Vec<_> = fields.into_iter().collect();
        Self::Object(Fields::drained(&mut fields, 0))
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(bool) => serializer.serialize_bool(*bool),
            Self::Int(int) => serializer.serialize_i64(*int),
            Self::Double(double) => serializer.serialize_f64(*double),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(elements) => serializer.collect_seq(elements),
            Self::Object(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

/// As it is written.
impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// === impl Fields ===

impl<'a> Fields<'a> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        let found = self.0.binary_search_by(|(field, _)| (**field).cmp(name)).ok()?;
        Some(&self.0[found].1)
    }

    /// Names and values, in the order of the names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Json<'a>)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// Takes what is in `fields` from `start` on.
    fn drained(fields: &mut Vec<(Cow<'a, str>, Json<'a>)>, start: usize) -> Self {
        let read = &mut fields[start..];
        // As a rule there are few, and they are nearly in order.
        if !read.is_sorted_by(|(one, _), (next, _)| one < next) {
            // Stable, so that of equal names the last one stays the last.
            read.sort_by(|(one, _), (other, _)| one.cmp(other));
            if read.windows(2).any(|pair| pair[0].0 == pair[1].0) {
                let mut read = fields.split_off(start);
                read.dedup_by(|later, kept| {
                    let same = later.0 == kept.0;
                    if same {
                        std::mem::swap(later, kept);
                    }
                    same
                });
                return Self(read.into_boxed_slice());
            }
        }
        Self(fields.drain(start..).collect())
    }
}

impl<'a> IntoIterator for Fields<'a> {
    type Item = (Cow<'a, str>, Json<'a>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_vec().into_iter()
    }
}

impl<'i, 'a> IntoIterator for &'i Fields<'a> {
    type Item = (&'i str, &'i Json<'a>);
    type IntoIter = std::iter::Map<
        std::slice::Iter<'i, (Cow<'a, str>, Json<'a>)>,
        fn(&'i (Cow<'a, str>, Json<'a>)) -> Self::Item,
    >;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().map(|(name, value)| (&**name, value))
    }
}

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

// === impl NotJson ===

impl NotJson {
    /// What kind of problem it is, from a closed set.
    pub fn reason(&self) -> &'static str {
        match self.0.classify() {
            serde_json::error::Category::Eof => "Truncated",
            _ => "NotJson",
        }
    }
}

#[cfg(test)]
mod tests;
