//! `==` and `!=`: numbers by value whatever their type, lists and maps by what they hold, values of
//! different types never.

use cel::common::ast::operators;

use super::mismatch;
use super::order::compare_numbers;
use crate::cel::library::Library;
use crate::cel::meter::{Fault, Host, Meter};
use crate::cel::types::Type;
use crate::cel::value::{List, Map, Value};

pub(super) fn declare(library: &mut Library) {
    let a = || Type::Parameter("A");
    library.global(operators::EQUALS, [a(), a()], Type::Bool, equals);
    library.global(operators::NOT_EQUALS, [a(), a()], Type::Bool, differs);
    library.global(operators::LOGICAL_NOT, [Type::Bool], Type::Bool, not);
}

fn equals<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let [left, right] = arguments else {
        return Err(mismatch());
    };
    equal(host.meter, left, right).map(Value::Bool)
}

fn differs<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let [left, right] = arguments else {
        return Err(mismatch());
    };
    Ok(Value::Bool(!equal(host.meter, left, right)?))
}

fn not<'a>(_: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    match arguments {
        [Value::Bool(bool)] => Ok(Value::Bool(!bool)),
        _ => Err(mismatch()),
    }
}

/// Whether two values are equal in CEL. Charges for what is looked at.
pub(crate) fn equal(meter: &Meter, left: &Value<'_>, right: &Value<'_>) -> Result<bool, Fault> {
    meter.step(1)?;
    Ok(match (left, right) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Int(left), Value::Int(right)) => left == right,
        (Value::String(left), Value::String(right)) => {
            left.len() == right.len() && {
                meter.scan(left.len())?;
                **left == **right
            }
        }
        (Value::Bytes(left), Value::Bytes(right)) => {
            left.len() == right.len() && {
                meter.scan(left.len())?;
                **left == **right
            }
        }
        (Value::List(left), Value::List(right)) => equal_lists(meter, left, right)?,
        (Value::Map(left), Value::Map(right)) => equal_maps(meter, left, right)?,
        (Value::Duration(left), Value::Duration(right)) => left == right,
        (Value::Timestamp(left), Value::Timestamp(right)) => left == right,
        (Value::Optional(left), Value::Optional(right)) => match (left, right) {
            (Some(left), Some(right)) => equal(meter, left, right)?,
            (left, right) => left.is_none() && right.is_none(),
        },
        (Value::Type(left), Value::Type(right)) => is_same_type(left, right),
        (Value::Opaque(left), Value::Opaque(right)) => left.equals(&**right),
        (left, right) => compare_numbers(left, right) == Some(Some(std::cmp::Ordering::Equal)),
    })
}

fn equal_lists(meter: &Meter, left: &List<'_>, right: &List<'_>) -> Result<bool, Fault> {
    if left.len() != right.len() {
        return Ok(false);
    }
    for (left, right) in left.iter().zip(right.iter()) {
        if !equal(meter, &left, &right)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn equal_maps(meter: &Meter, left: &Map<'_>, right: &Map<'_>) -> Result<bool, Fault> {
    if left.len() != right.len() {
        return Ok(false);
    }
    meter.step(left.len() as u64)?;
    for (key, left) in left.entries() {
        match right.get(&key) {
            Some(right) if equal(meter, &left, &right)? => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// What lists and maps hold is no part of the type of a value.
fn is_same_type(left: &Type, right: &Type) -> bool {
    match (left, right) {
        (Type::List(_), Type::List(_))
        | (Type::Map(..), Type::Map(..))
        | (Type::Optional(_), Type::Optional(_))
        | (Type::Type(_), Type::Type(_)) => true,
        (left, right) => left == right,
    }
}
