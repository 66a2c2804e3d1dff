//! `+`, `-`, `*`, `/`, `%`: of numbers, times, texts and lists. What does not fit is an error.

use cel::common::ast::operators;

use super::time::{added, duration_from, nanoseconds, timestamp_from};
use super::{error, mismatch};
use crate::cel::library::{Call, Library};
use crate::cel::meter::{Fault, Host};
use crate::cel::types::Type;
use crate::cel::value::{Octets, Value};

pub(super) fn declare(library: &mut Library) {
    let list = Type::list(Type::Parameter("A"));
    let same: [(&'static str, Call, &[Type]); 5] = [
        (
            operators::ADD,
            add,
            &[Type::Int, Type::Uint, Type::Double, Type::String, Type::Bytes, Type::Duration, list],
        ),
        (operators::SUBSTRACT, subtract, &[Type::Int, Type::Uint, Type::Double, Type::Duration]),
        (operators::MULTIPLY, multiply, &[Type::Int, Type::Uint, Type::Double]),
        (operators::DIVIDE, divide, &[Type::Int, Type::Uint, Type::Double]),
        (operators::MODULO, modulo, &[Type::Int, Type::Uint]),
    ];
    for (operator, call, types) in same {
        for type_ in types {
            library.global(operator, [type_.clone(), type_.clone()], type_.clone(), call);
        }
    }
    let (duration, timestamp) = (|| Type::Duration, || Type::Timestamp);
    library.global(operators::ADD, [timestamp(), duration()], timestamp(), add);
    library.global(operators::ADD, [duration(), timestamp()], timestamp(), add);
    library.global(operators::SUBSTRACT, [timestamp(), timestamp()], duration(), subtract);
    library.global(operators::SUBSTRACT, [timestamp(), duration()], timestamp(), subtract);
    library.global(operators::NEGATE, [Type::Int], Type::Int, negate);
    library.global(operators::NEGATE, [Type::Double], Type::Double, negate);
}

fn overflow() -> Fault {
    error("integer overflow")
}

fn int<'a>(int: Option<i64>) -> Result<Value<'a>, Fault> {
    int.map(Value::Int).ok_or_else(overflow)
}

fn uint<'a>(uint: Option<u64>) -> Result<Value<'a>, Fault> {
    uint.map(Value::Uint).ok_or_else(|| error("unsigned integer overflow"))
}

fn add<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let [left, right] = arguments else {
        return Err(mismatch());
    };
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => int(left.checked_add(*right)),
        (Value::Uint(left), Value::Uint(right)) => uint(left.checked_add(*right)),
        (Value::Double(left), Value::Double(right)) => Ok(Value::Double(left + right)),
        (Value::String(left), Value::String(right)) => {
            let bytes = left.len() + right.len();
            host.meter.scan(bytes)?;
            host.meter.allocate(bytes)?;
            Ok(Value::string([&**left, &**right].concat()))
        }
        (Value::Bytes(left), Value::Bytes(right)) => {
            let bytes = left.len() + right.len();
            host.meter.scan(bytes)?;
            host.meter.allocate(bytes)?;
            Ok(Value::Bytes(Octets::Shared([&**left, &**right].concat().into())))
        }
        (Value::List(left), Value::List(right)) => {
            let elements = left.len() + right.len();
            host.meter.step(elements as u64)?;
            host.meter.allocate(elements * size_of::<Value<'_>>())?;
            Ok(Value::list(left.iter().chain(right.iter()).collect()))
        }
        (Value::Duration(left), Value::Duration(right)) => {
            duration_from(nanoseconds(*left) + nanoseconds(*right)).map(Value::Duration)
        }
        (Value::Timestamp(timestamp), Value::Duration(duration))
        | (Value::Duration(duration), Value::Timestamp(timestamp)) => {
            added(*timestamp, nanoseconds(*duration)).map(Value::Timestamp)
        }
        _ => Err(mismatch()),
    }
}

fn subtract<'a>(_: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let [left, right] = arguments else {
        return Err(mismatch());
    };
    match (left, right) {
        (Value::Int(left), Value::Int(right)) => int(left.checked_sub(*right)),
        (Value::Uint(left), Value::Uint(right)) => uint(left.checked_sub(*right)),
        (Value::Double(left), Value::Double(right)) => Ok(Value::Double(left - right)),
        (Value::Duration(left), Value::Duration(right)) => {
            duration_from(nanoseconds(*left) - nanoseconds(*right)).map(Value::Duration)
        }
        (Value::Timestamp(left), Value::Timestamp(right)) => {
            duration_from(left.as_nanosecond() - right.as_nanosecond()).map(Value::Duration)
        }
        (Value::Timestamp(timestamp), Value::Duration(duration)) => {
            timestamp_from(timestamp.as_nanosecond() - nanoseconds(*duration)).map(Value::Timestamp)
        }
        _ => Err(mismatch()),
    }
}

fn multiply<'a>(_: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    match arguments {
        [Value::Int(left), Value::Int(right)] => int(left.checked_mul(*right)),
        [Value::Uint(left), Value::Uint(right)] => uint(left.checked_mul(*right)),
        [Value::Double(left), Value::Double(right)] => Ok(Value::Double(left * right)),
        _ => Err(mismatch()),
    }
}

fn divide<'a>(_: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    match arguments {
        [Value::Int(_), Value::Int(0)] | [Value::Uint(_), Value::Uint(0)] => {
            Err(error("division by zero"))
        }
        [Value::Int(left), Value::Int(right)] => int(left.checked_div(*right)),
        [Value::Uint(left), Value::Uint(right)] => uint(left.checked_div(*right)),
        [Value::Double(left), Value::Double(right)] => Ok(Value::Double(left / right)),
        _ => Err(mismatch()),
    }
}

fn modulo<'a>(_: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    match arguments {
        [Value::Int(_), Value::Int(0)] | [Value::Uint(_), Value::Uint(0)] => {
            Err(error("modulus by zero"))
        }
        [Value::Int(left), Value::Int(right)] => int(left.checked_rem(*right)),
        [Value::Uint(left), Value::Uint(right)] => uint(left.checked_rem(*right)),
        _ => Err(mismatch()),
    }
}

fn negate<'a>(_: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    match arguments {
        [Value::Int(value)] => int(value.checked_neg()),
        [Value::Double(value)] => Ok(Value::Double(-value)),
        _ => Err(mismatch()),
    }
}
