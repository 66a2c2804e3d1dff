//! Arguments of a call, as what a function expects, and errors as CEL says them.
//!
//! The checker and the evaluator have chosen the overload, so a wrong type is met only below what is
//! dyn; the answer is CEL's own, `no such overload`.

use super::super::EvaluationError;
use super::super::meter::Fault;
use super::super::value::{List, Value};

/// An error that an expression can absorb.
pub(super) fn error(message: impl Into<String>) -> Fault {
    Fault::Error(EvaluationError::new(message.into()))
}

/// What CEL answers where no overload takes the values.
pub(super) fn no_such_overload() -> Fault {
    error("no such overload")
}

/// A string.
pub(super) fn text<'v>(arguments: &'v [Value<'_>], position: usize) -> Result<&'v str, Fault> {
    match arguments.get(position) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(no_such_overload()),
    }
}

/// An `int`.
pub(super) fn int(arguments: &[Value<'_>], position: usize) -> Result<i64, Fault> {
    match arguments.get(position) {
        Some(Value::Int(int)) => Ok(*int),
        _ => Err(no_such_overload()),
    }
}

/// A `bool`.
pub(super) fn boolean(arguments: &[Value<'_>], position: usize) -> Result<bool, Fault> {
    match arguments.get(position) {
        Some(Value::Bool(boolean)) => Ok(*boolean),
        _ => Err(no_such_overload()),
    }
}

/// A list.
pub(super) fn list<'v, 'a>(
    arguments: &'v [Value<'a>],
    position: usize,
) -> Result<&'v List<'a>, Fault> {
    match arguments.get(position) {
        Some(Value::List(list)) => Ok(list),
        _ => Err(no_such_overload()),
    }
}

/// A value of a library's own type.
pub(super) fn opaque<'v, T: 'static>(
    arguments: &'v [Value<'_>],
    position: usize,
) -> Result<&'v T, Fault> {
    arguments.get(position).and_then(Value::downcast).ok_or_else(no_such_overload)
}
