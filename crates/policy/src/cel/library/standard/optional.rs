//! Optional values.

use super::{error, mismatch};
use crate::cel::library::Library;
use crate::cel::meter::{Fault, Host};
use crate::cel::types::Type;
use crate::cel::value::Value;

pub(super) fn declare(library: &mut Library) {
    let a = || Type::Parameter("A");
    let some = || Type::optional(a());
    library.global("optional.none", [], some(), |_, _| Ok(Value::none()));
    library.global("optional.of", [a()], some(), of);
    library.global("optional.ofNonZeroValue", [a()], some(), of_non_zero);
    library.global("optional.unwrap", [Type::list(some())], Type::list(a()), unwrap);
    library.member("unwrapOpt", [Type::list(some())], Type::list(a()), unwrap);
    library.member("hasValue", [some()], Type::Bool, has_value);
    library.member("value", [some()], a(), value);
    library.member("or", [some(), some()], some(), or);
    // As Kyverno has it: a value that is no optional is itself, where CEL has an error. Policies
    // written for older interpreters count on it.
    library.member("orValue", [Type::Dyn, Type::Dyn], Type::Dyn, or_value);
}

fn of<'a>(_: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    arguments.first().cloned().map(Value::some).ok_or_else(mismatch)
}

fn of_non_zero<'a>(_: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let [value] = arguments else {
        return Err(mismatch());
    };
    Ok(if is_zero(value) { Value::none() } else { Value::some(value.clone()) })
}

fn is_zero(value: &Value<'_>) -> bool {
    match value {
        Value::Null | Value::Bool(false) | Value::Int(0) | Value::Uint(0) => true,
        Value::Double(double) => *double == 0.0,
        Value::String(text) => text.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::List(list) => list.len() == 0,
        Value::Map(map) => map.len() == 0,
        Value::Duration(duration) => duration.is_zero(),
        Value::Optional(value) => value.is_none(),
        Value::Bool(true)
        | Value::Int(_)
        | Value::Uint(_)
        | Value::Timestamp(_)
        | Value::Type(_)
        | Value::Opaque(_) => false,
    }
}

fn unwrap<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let [Value::List(list)] = arguments else {
        return Err(mismatch());
    };
    host.meter.step(list.len() as u64)?;
    host.meter.allocate(list.len() * size_of::<Value<'_>>())?;
    let mut values = Vec::new();
    for element in list.iter() {
        match element {
            Value::Optional(value) => values.extend(value.map(|value| (*value).clone())),
            _ => return Err(mismatch()),
        }
    }
    Ok(Value::list(values))
}

fn has_value<'a>(_: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    match arguments {
        [Value::Optional(value)] => Ok(Value::Bool(value.is_some())),
        _ => Err(mismatch()),
    }
}

fn value<'a>(_: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    match arguments {
        [Value::Optional(Some(value))] => Ok((**value).clone()),
        [Value::Optional(None)] => Err(error("optional.none() dereference")),
        _ => Err(mismatch()),
    }
}

fn or<'a>(_: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    match arguments {
        [first @ Value::Optional(Some(_)), _] => Ok(first.clone()),
        [Value::Optional(None), second @ Value::Optional(_)] => Ok(second.clone()),
        _ => Err(mismatch()),
    }
}

fn or_value<'a>(_: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    match arguments {
        [Value::Optional(Some(value)), _] => Ok((**value).clone()),
        [Value::Optional(None), default] => Ok(default.clone()),
        [value, _] => Ok(value.clone()),
        _ => Err(mismatch()),
    }
}
