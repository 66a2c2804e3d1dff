//! Which of two values is greater, and whether they are equal, for functions that look into lists.

use std::cmp::Ordering;

use super::super::meter::{Fault, Host};
use super::super::value::Value;

/// How two values compare; none if CEL knows no order of them.
pub(super) fn compare(left: &Value<'_>, right: &Value<'_>) -> Option<Ordering> {
    match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bytes(left), Value::Bytes(right)) => Some(left.cmp(right)),
        (Value::Duration(left), Value::Duration(right)) => Some(left.cmp(right)),
        (Value::Timestamp(left), Value::Timestamp(right)) => Some(left.cmp(right)),
        (Value::Double(left), Value::Double(right)) => left.partial_cmp(right),
        (Value::Double(left), right) => compare_double(*left, integer(right)?),
        (left, Value::Double(right)) => {
            compare_double(*right, integer(left)?).map(Ordering::reverse)
        }
        (left, right) => Some(integer(left)?.cmp(&integer(right)?)),
    }
}

/// Whether two values are equal. Numbers of different types can be.
pub(super) fn equal(host: &Host<'_>, left: &Value<'_>, right: &Value<'_>) -> Result<bool, Fault> {
    host.meter.step(1)?;
    match (left, right) {
        (Value::Null, Value::Null) => Ok(true),
        (Value::Type(left), Value::Type(right)) => Ok(left == right),
        (Value::Opaque(left), Value::Opaque(right)) => Ok(left.equals(&**right)),
        (Value::Optional(None), Value::Optional(None)) => Ok(true),
        (Value::Optional(Some(left)), Value::Optional(Some(right))) => equal(host, left, right),
        (Value::String(left), Value::String(right)) => {
            if left.len() != right.len() {
                return Ok(false);
            }
            host.meter.scan(left.len())?;
            Ok(left == right)
        }
        (Value::List(left), Value::List(right)) => {
            if left.len() != right.len() {
                return Ok(false);
            }
            for (left, right) in left.iter().zip(right.iter()) {
                if !equal(host, &left, &right)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Map(left), Value::Map(right)) => {
            if left.len() != right.len() {
                return Ok(false);
            }
            for (key, left) in left.entries() {
                let Some(right) = right.get(&key) else { return Ok(false) };
                if !equal(host, &left, &right)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (left, right) => Ok(compare(left, right) == Some(Ordering::Equal)),
    }
}

fn integer(value: &Value<'_>) -> Option<i128> {
    match value {
        Value::Int(int) => Some((*int).into()),
        Value::Uint(uint) => Some((*uint).into()),
        _ => None,
    }
}

/// A double beside an integer of 64 bits, exactly.
fn compare_double(double: f64, integer: i128) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    // Beyond 128 bits the cast stays at the end, which no integer of 64 bits reaches.
    let whole = (double.trunc() as i128).cmp(&integer);
    Some(whole.then_with(|| double.fract().partial_cmp(&0.0).unwrap_or(Ordering::Equal)))
}
