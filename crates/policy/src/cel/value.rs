//! The values of expressions.
//!
//! What comes with a request, and what a policy says literally, is borrowed; what an expression
//! makes is counted and shared, so that a clone is cheap whatever the value is. Lists and maps of
//! the request are views of its JSON: nothing of it is copied.
//!
//! Numbers of the request are what Kubernetes makes of them in an unstructured object: an `int` if
//! they fit one, else a `double`.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

use super::types::Type;
use crate::json::{Fields, Json};
use jiff::{SignedDuration, Timestamp};

/// A value. `'a` is the request, the policy, and what else outlives an evaluation.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Text<'a>),
    Bytes(Octets<'a>),
    List(List<'a>),
    Map(Map<'a>),
    Duration(SignedDuration),
    Timestamp(Timestamp),
    Optional(Option<Rc<Self>>),
    Type(Type),
    /// A value of a library's own type.
    Opaque(Rc<dyn Opaque>),
}

/// A string.
#[derive(Clone)]
pub(crate) enum Text<'a> {
    Borrowed(&'a str),
    Shared(Rc<str>),
}

/// Bytes.
#[derive(Clone)]
pub(crate) enum Octets<'a> {
    Borrowed(&'a [u8]),
    Shared(Rc<[u8]>),
}

/// A list.
#[derive(Clone)]
pub(crate) enum List<'a> {
    Json(&'a [Json<'a>]),
    Shared(Rc<Vec<Value<'a>>>),
}

/// A map.
#[derive(Clone)]
pub(crate) enum Map<'a> {
    Json(&'a Fields<'a>),
    Shared(Rc<BTreeMap<Key<'a>, Value<'a>>>),
}

/// What the first entry of a map takes: a node of the tree has room for this many, and it is held for
/// one as for all of them.
pub(crate) const MAP_BYTES: usize = 12 * size_of::<(Key<'_>, Value<'_>)>();

/// What may be the key of a map. Integers of both types that are equal are one key, as CEL says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key<'a> {
    Bool(bool),
    /// Any `int` or `uint`.
    Integer(i128),
    String(Text<'a>),
}

/// A value of a type that a library brings, such as a quantity.
pub(crate) trait Opaque: fmt::Debug {
    /// Its type, as the library declared it.
    fn type_of(&self) -> Type;
    /// Whether `==` holds; `other` may be of any type.
    fn equals(&self, other: &dyn Opaque) -> bool;
    /// For the library to find its own type again.
    fn as_any(&self) -> &dyn Any;
}

// === impl Value ===

impl<'a> Value<'a> {
    /// What JSON is in an expression.
    pub(crate) fn of_json(json: &'a Json<'a>) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(bool) => Self::Bool(*bool),
            Json::Int(int) => Self::Int(*int),
            Json::Double(double) => Self::Double(*double),
            Json::String(text) => Self::borrowed(text),
            Json::Array(elements) => Self::List(List::Json(elements)),
            Json::Object(fields) => Self::Map(Map::Json(fields)),
        }
    }

    pub(crate) fn borrowed(text: &'a str) -> Self {
        Self::String(Text::Borrowed(text))
    }

    /// A string that an expression made. Charge the meter for its length.
    pub(crate) fn string(text: impl Into<Rc<str>>) -> Self {
        Self::String(Text::Shared(text.into()))
    }

    /// A list that an expression made. Charge the meter for its length.
    pub(crate) fn list(elements: Vec<Self>) -> Self {
        Self::List(List::Shared(Rc::new(elements)))
    }

    /// A map that an expression made. Charge the meter for its size.
    pub(crate) fn map(entries: BTreeMap<Key<'a>, Self>) -> Self {
        Self::Map(Map::Shared(Rc::new(entries)))
    }

    pub(crate) fn some(value: Self) -> Self {
        Self::Optional(Some(Rc::new(value)))
    }

    pub(crate) fn none() -> Self {
        Self::Optional(None)
    }

    pub(crate) fn opaque(value: impl Opaque + 'static) -> Self {
        Self::Opaque(Rc::new(value))
    }

    /// The value of a library's own type, if it is of that one.
    pub(crate) fn downcast<T: 'static>(&self) -> Option<&T> {
        match self {
            Self::Opaque(opaque) => opaque.as_any().downcast_ref(),
            _ => None,
        }
    }

    /// The name of its type, without what it holds.
    pub(crate) fn type_name(&self) -> String {
        match self {
            Self::List(_) => "list".to_owned(),
            Self::Map(_) => "map".to_owned(),
            Self::Optional(_) => "optional_type".to_owned(),
            Self::Type(_) => "type".to_owned(),
            other => other.type_of().to_string(),
        }
    }

    /// Its type as `type()` tells it: what a list or a map holds is dyn.
    pub(crate) fn type_of(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Uint(_) => Type::Uint,
            Self::Double(_) => Type::Double,
            Self::String(_) => Type::String,
            Self::Bytes(_) => Type::Bytes,
            Self::List(_) => Type::list(Type::Dyn),
            Self::Map(_) => Type::map(Type::Dyn, Type::Dyn),
            Self::Duration(_) => Type::Duration,
            Self::Timestamp(_) => Type::Timestamp,
            Self::Optional(_) => Type::optional(Type::Dyn),
            Self::Type(_) => Type::Type(Arc::new(Type::Dyn)),
            Self::Opaque(opaque) => opaque.type_of(),
        }
    }
}

// === impl Text ===

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Shared(text) => text,
        }
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text<'_> {}

impl PartialOrd for Text<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (**self).cmp(&**other)
    }
}

// === impl Octets ===

impl Deref for Octets<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Octets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

// === impl List ===

impl<'a> List<'a> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Json(elements) => elements.len(),
            Self::Shared(elements) => elements.len(),
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<Value<'a>> {
        match self {
            Self::Json(elements) => elements.get(index).map(Value::of_json),
            Self::Shared(elements) => elements.get(index).cloned(),
        }
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = Value<'a>> {
        (0..self.len()).map(|index| self.get(index).unwrap_or(Value::Null))
    }
}

impl fmt::Debug for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "list of {}", self.len())
    }
}

// === impl Map ===

impl<'a> Map<'a> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Json(fields) => fields.len(),
            Self::Shared(entries) => entries.len(),
        }
    }

    pub(crate) fn get(&self, key: &Key<'_>) -> Option<Value<'a>> {
        match (self, key) {
            (Self::Json(fields), Key::String(name)) => fields.get(name).map(Value::of_json),
            (Self::Json(_), _) => None,
            (Self::Shared(entries), key) => entries.get(key).cloned(),
        }
    }

    /// The entries, in the order of their keys.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Key<'a>, Value<'a>)> {
        let (fields, entries) = match self {
            Self::Json(fields) => (Some(fields.iter()), None),
            Self::Shared(entries) => (None, Some(entries.iter())),
        };
        let fields = fields
            .into_iter()
            .flatten()
            .map(|(name, value)| (Key::String(Text::Borrowed(name)), Value::of_json(value)));
        let entries = entries.into_iter().flatten();
        fields.chain(entries.map(|(key, value)| (key.clone(), value.clone())))
    }
}

impl fmt::Debug for Map<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "map of {}", self.len())
    }
}
