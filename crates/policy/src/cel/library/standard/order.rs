//! `<`, `<=`, `>` and `>=`: numbers by value whatever their type, everything else within its type.

use std::cmp::Ordering;

use cel::common::ast::operators;

use super::{error, mismatch};
use crate::cel::library::{Call, Library};
use crate::cel::meter::{Fault, Host, Meter};
use crate::cel::types::Type;
use crate::cel::value::Value;

pub(super) fn declare(library: &mut Library) {
    let operators: [(&'static str, Call); 4] = [
        (operators::LESS, less),
        (operators::LESS_EQUALS, less_or_equal),
        (operators::GREATER, greater),
        (operators::GREATER_EQUALS, greater_or_equal),
    ];
    let numbers = [Type::Int, Type::Uint, Type::Double];
    let others = [Type::Bool, Type::String, Type::Bytes, Type::Timestamp, Type::Duration];
    for (operator, call) in operators {
        for left in &numbers {
            for right in &numbers {
                library.global(operator, [left.clone(), right.clone()], Type::Bool, call);
            }
        }
        for type_ in &others {
            library.global(operator, [type_.clone(), type_.clone()], Type::Bool, call);
        }
    }
}

fn less<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    holds(host, arguments, Ordering::is_lt)
}

fn less_or_equal<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    holds(host, arguments, Ordering::is_le)
}

fn greater<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    holds(host, arguments, Ordering::is_gt)
}

fn greater_or_equal<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    holds(host, arguments, Ordering::is_ge)
}

fn holds<'a>(
    host: &Host<'_>,
    arguments: &[Value<'a>],
    is: fn(Ordering) -> bool,
) -> Result<Value<'a>, Fault> {
    let [left, right] = arguments else {
        return Err(mismatch());
    };
    let order = compare(host.meter, left, right)?;
    order.map(|order| Value::Bool(is(order))).ok_or_else(|| error("NaN values cannot be ordered"))
}

/// How two values are ordered; none for what is not a number. An error if their types have no order.
pub(crate) fn compare(
    meter: &Meter,
    left: &Value<'_>,
    right: &Value<'_>,
) -> Result<Option<Ordering>, Fault> {
    Ok(match (left, right) {
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (Value::String(left), Value::String(right)) => {
            meter.scan(left.len().min(right.len()))?;
            Some((**left).cmp(&**right))
        }
        (Value::Bytes(left), Value::Bytes(right)) => {
            meter.scan(left.len().min(right.len()))?;
            Some((**left).cmp(&**right))
        }
        (Value::Duration(left), Value::Duration(right)) => Some(left.cmp(right)),
        (Value::Timestamp(left), Value::Timestamp(right)) => Some(left.cmp(right)),
        (left, right) => compare_numbers(left, right).ok_or_else(mismatch)?,
    })
}

/// How two numbers are ordered; nothing if one of the values is no number.
pub(super) fn compare_numbers(left: &Value<'_>, right: &Value<'_>) -> Option<Option<Ordering>> {
    Some(match (left, right) {
        (Value::Double(left), Value::Double(right)) => left.partial_cmp(right),
        (Value::Double(left), right) => {
            compare_with_double(integer(right)?, *left).map(Ordering::reverse)
        }
        (left, Value::Double(right)) => compare_with_double(integer(left)?, *right),
        (left, right) => Some(integer(left)?.cmp(&integer(right)?)),
    })
}

fn integer(value: &Value<'_>) -> Option<i128> {
    match value {
        Value::Int(int) => Some(i128::from(*int)),
        Value::Uint(uint) => Some(i128::from(*uint)),
        _ => None,
    }
}

/// Exact, where a cast of the integer would round it.
#[expect(clippy::cast_possible_truncation, reason = "it is whole, and casts saturate")]
fn compare_with_double(integer: i128, double: f64) -> Option<Ordering> {
    if double.is_nan() {
        return None;
    }
    let whole = double.floor();
    Some(
        integer
            .cmp(&(whole as i128))
            .then_with(|| if double > whole { Ordering::Less } else { Ordering::Equal }),
    )
}
