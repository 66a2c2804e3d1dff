//! A JSON array as a CEL list.

use std::fmt;
use std::sync::OnceLock;

use cel::ExecutionError;
use cel::common::traits::{Adder, Container, Indexer, Iterable, Iterator, Sizer, Zeroer};
use cel::common::types::{CelDouble, CelInt, CelList, CelUInt, LIST_TYPE, Type};
use cel::common::value::{CowVal, Val};
use serde_json::Value;

use super::{Json, Views, size, unexpected};
use crate::cel::equality::equal;

/// A view of a JSON array: a CEL `list`.
pub(in crate::cel) struct JsonList<'a> {
    elements: &'a [Value],
    views: OnceLock<Box<[Json<'a>]>>,
}

// === impl JsonList ===

impl<'a> JsonList<'a> {
    pub(super) fn new(elements: &'a [Value]) -> Self {
        Self { elements, views: OnceLock::new() }
    }

    fn views(&self) -> &[Json<'a>] {
        self.views.get_or_init(|| self.elements.iter().map(Json::of).collect())
    }

    fn index(&self, index: &dyn Val) -> Result<usize, ExecutionError> {
        let position = if let Some(int) = index.downcast_ref::<CelInt>() {
            usize::try_from(*int.inner()).ok()
        } else if let Some(uint) = index.downcast_ref::<CelUInt>() {
            usize::try_from(*uint.inner()).ok()
        } else if let Some(double) = index.downcast_ref::<CelDouble>() {
            whole(*double.inner()).and_then(|int| usize::try_from(int).ok())
        } else {
            return Err(unexpected(index, "int"));
        };
        position.filter(|position| *position < self.elements.len()).ok_or_else(|| {
            ExecutionError::IndexOutOfBounds(index.try_into().unwrap_or(cel::Value::Null))
        })
    }
}

impl fmt::Debug for JsonList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "list of {}", self.elements.len())
    }
}

impl Val for JsonList<'_> {
    fn get_type(&self) -> &Type {
        Self::cel_type()
    }

    fn cel_type() -> &'static Type {
        &LIST_TYPE
    }

    fn as_adder<'b, 'v>(&'b self) -> Option<&'b (dyn Adder + 'v)>
    where
        Self: 'v,
    {
        Some(self)
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
        Box::new(Self::new(self.elements))
    }
}

impl Adder for JsonList<'_> {
    fn add<'b, 'v>(&'b self, rhs: &(dyn Val + 'v)) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let mut rhs = rhs.as_iterable().ok_or_else(|| unexpected(rhs, "list"))?.iter();
        let mut sum: Vec<Box<dyn Val + 'v>> =
            self.elements.iter().map(|element| Json::of(element).into_val().into_owned()).collect();
        while let Some(element) = rhs.next() {
            sum.push(element.clone_as_boxed());
        }
        Ok(CowVal::owned(CelList::from(sum)))
    }
}

impl Container for JsonList<'_> {
    fn contains(&self, value: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(self.elements.iter().any(|element| equal(Json::of(element).as_val(), value)))
    }
}

impl Indexer for JsonList<'_> {
    fn get<'b, 'v>(&'b self, index: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let index = self.index(index)?;
        Ok(Json::of(&self.elements[index]).into_val())
    }

    fn steal<'v>(self: Box<Self>, index: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let index = self.index(index)?;
        Ok(Json::of(&self.elements[index]).into_val().into_owned())
    }
}

impl Iterable for JsonList<'_> {
    fn iter<'b, 'v>(&'b self) -> Box<dyn Iterator<'b, 'v> + 'b>
    where
        Self: 'v,
    {
        Box::new(Views { rest: self.views().iter() })
    }
}

impl<'b, 'v, 'a: 'v> Iterator<'b, 'v> for Views<'b, Json<'a>> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'v)> {
        self.rest.next().map(|view| view.as_val() as &(dyn Val + 'v))
    }
}

impl Sizer for JsonList<'_> {
    fn size(&self) -> CelInt {
        size(self.elements.len())
    }
}

impl Zeroer for JsonList<'_> {
    fn is_zero_value(&self) -> bool {
        self.elements.is_empty()
    }
}

/// A double that is a whole number, as which it may index a list.
fn whole(double: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53: every whole double up to here is one int
    (double.trunc() == double && double.abs() <= EXACT).then_some(double as i64)
}
