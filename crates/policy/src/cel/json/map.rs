//! A JSON object as a CEL map.

use std::fmt;
use std::sync::OnceLock;

use cel::ExecutionError;
use cel::common::traits::{Container, Indexer, Iterable, Iterator, Sizer, Zeroer};
use cel::common::types::{CelInt, CelString, MAP_TYPE, Type};
use cel::common::value::{CowVal, Val};
use serde_json::{Map, Value};

use super::{Json, Views, size, unexpected};
use crate::cel::equality::equal;

/// A view of a JSON object: a CEL `map` with string keys.
pub(in crate::cel) struct JsonMap<'a> {
    fields: &'a Map<String, Value>,
    keys: OnceLock<Box<[CelString<'a>]>>,
}

// === impl JsonMap ===

impl<'a> JsonMap<'a> {
    pub(super) fn new(fields: &'a Map<String, Value>) -> Self {
        Self { fields, keys: OnceLock::new() }
    }

    fn keys(&self) -> &[CelString<'a>] {
        self.keys.get_or_init(|| self.fields.keys().map(|key| key.as_str().into()).collect())
    }

    fn field(&self, key: &dyn Val) -> Result<&'a Value, ExecutionError> {
        let key = key.downcast_ref::<CelString>().ok_or_else(|| unexpected(key, "string"))?;
        self.fields.get(key.inner()).ok_or_else(|| ExecutionError::no_such_key(key.inner()))
    }
}

impl fmt::Debug for JsonMap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "map of {}", self.fields.len())
    }
}

impl Val for JsonMap<'_> {
    fn get_type(&self) -> &Type {
        Self::cel_type()
    }

    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_iterable<'b, 'v>(&'b self) -> Option<&'b (dyn Iterable + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    fn as_zeroer(&self) -> Option<&dyn Zeroer> {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        equal(self, other)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(Self::new(self.fields))
    }
}

impl Container for JsonMap<'_> {
    fn contains(&self, key: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(key.downcast_ref::<CelString>().is_some_and(|key| self.fields.contains_key(key.inner())))
    }
}

impl Indexer for JsonMap<'_> {
    fn get<'b, 'v>(&'b self, key: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.field(key).map(|value| Json::of(value).into_val())
    }

    fn steal<'v>(self: Box<Self>, key: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.field(key).map(|value| Json::of(value).into_val().into_owned())
    }
}

impl Iterable for JsonMap<'_> {
    fn iter<'b, 'v>(&'b self) -> Box<dyn Iterator<'b, 'v> + 'b>
    where
        Self: 'v,
    {
        Box::new(Views { rest: self.keys().iter() })
    }
}

impl<'b, 'v, 'a: 'v> Iterator<'b, 'v> for Views<'b, CelString<'a>> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'v)> {
        self.rest.next().map(|key| key as &(dyn Val + 'v))
    }
}

impl Sizer for JsonMap<'_> {
    fn size(&self) -> CelInt {
        size(self.fields.len())
    }
}

impl Zeroer for JsonMap<'_> {
    fn is_zero_value(&self) -> bool {
        self.fields.is_empty()
    }
}
