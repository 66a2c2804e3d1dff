//! `sets.contains`, `sets.equivalent` and `sets.intersects`.

use crate::cel::library::standard::mismatch;
use crate::cel::library::{Library, equal};
use crate::cel::meter::{Fault, Host};
use crate::cel::types::Type;
use crate::cel::value::{List, Value};

pub(super) fn declare(library: &mut Library) {
    let list = || Type::list(Type::Parameter("A"));
    library.global("sets.contains", [list(), list()], Type::Bool, contains);
    library.global("sets.equivalent", [list(), list()], Type::Bool, equivalent);
    library.global("sets.intersects", [list(), list()], Type::Bool, intersects);
}

fn contains<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let [Value::List(list), Value::List(sub)] = arguments else {
        return Err(mismatch());
    };
    contains_all(host, list, sub).map(Value::Bool)
}

fn equivalent<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let [Value::List(one), Value::List(other)] = arguments else {
        return Err(mismatch());
    };
    Ok(Value::Bool(contains_all(host, one, other)? && contains_all(host, other, one)?))
}

fn intersects<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let [Value::List(one), Value::List(other)] = arguments else {
        return Err(mismatch());
    };
    for element in one.iter() {
        if is_in(host, &element, other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn contains_all(host: &Host<'_>, list: &List<'_>, sub: &List<'_>) -> Result<bool, Fault> {
    for element in sub.iter() {
        if !is_in(host, &element, list)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the list has an element that is equal. Each comparison takes a step.
pub(super) fn is_in(host: &Host<'_>, value: &Value<'_>, list: &List<'_>) -> Result<bool, Fault> {
    for element in list.iter() {
        if equal(host.meter, value, &element)? {
            return Ok(true);
        }
    }
    Ok(false)
}
