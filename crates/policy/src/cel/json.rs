//! JSON as CEL values: views that borrow the request's `serde_json::Value` and copy nothing of it.
//!
//! Scalars become the interpreter's own types, a string keeping its bytes where they are; lists and
//! maps become views that hand out further views. Numbers are what Kubernetes makes of them in an
//! unstructured object: an `int` if they fit one, else a `double`.
//!
//! The interpreter iterates by reference, so a list needs somewhere to keep the views of its
//! elements: they are made once, when a list is first iterated, and are as shallow as the rest.

use cel::ExecutionError;
use cel::common::types::{CelBool, CelDouble, CelInt, CelNull, CelString};
use cel::common::value::{CowVal, Val};
use serde_json::{Number, Value};

use list::JsonList;
use map::JsonMap;

mod list;
mod map;

/// A view of any JSON value.
pub(super) enum Json<'a> {
    Null(CelNull),
    Bool(CelBool),
    Int(CelInt),
    Double(CelDouble),
    String(CelString<'a>),
    List(JsonList<'a>),
    Map(JsonMap<'a>),
}

/// Hands out the elements of a list, or the keys of a map.
struct Views<'b, T> {
    rest: std::slice::Iter<'b, T>,
}

// === impl Json ===

impl<'a> Json<'a> {
    pub(super) fn of(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null(CelNull),
            Value::Bool(bool) => Self::Bool((*bool).into()),
            Value::Number(number) => Self::number(number),
            Value::String(string) => Self::String(string.as_str().into()),
            Value::Array(elements) => Self::List(JsonList::new(elements)),
            Value::Object(fields) => Self::Map(JsonMap::new(fields)),
        }
    }

    fn number(number: &Number) -> Self {
        match number.as_i64() {
            Some(int) => Self::Int(int.into()),
            // Without arbitrary precision every number is an f64; with it, one that is none
            // compares false to everything rather than passing for another number.
            None => Self::Double(number.as_f64().unwrap_or(f64::NAN).into()),
        }
    }

    pub(super) fn as_val<'b>(&'b self) -> &'b (dyn Val + 'a) {
        match self {
            Self::Null(null) => null,
            Self::Bool(bool) => bool,
            Self::Int(int) => int,
            Self::Double(double) => double,
            Self::String(string) => string,
            Self::List(list) => list,
            Self::Map(map) => map,
        }
    }

    fn into_val<'b>(self) -> CowVal<'b, 'a> {
        match self {
            Self::Null(null) => CowVal::owned(null),
            Self::Bool(bool) => CowVal::owned(bool),
            Self::Int(int) => CowVal::owned(int),
            Self::Double(double) => CowVal::owned(double),
            Self::String(string) => CowVal::owned(string),
            Self::List(list) => CowVal::owned(list),
            Self::Map(map) => CowVal::owned(map),
        }
    }
}

fn size(len: usize) -> CelInt {
    i64::try_from(len).unwrap_or(i64::MAX).into()
}

fn unexpected(value: &dyn Val, want: &str) -> ExecutionError {
    ExecutionError::UnexpectedType {
        got: value.get_type().name().to_owned(),
        want: want.to_owned(),
    }
}
