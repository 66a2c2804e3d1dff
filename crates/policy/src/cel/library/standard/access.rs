//! `[]`, `[?]`, `in` and `size`.

use cel::common::ast::operators;

use super::{error, mismatch};
use crate::cel::evaluate::access;
use crate::cel::excerpt;
use crate::cel::library::{Library, equal};
use crate::cel::meter::{Fault, Host};
use crate::cel::types::Type;
use crate::cel::value::{List, Value};

/// What `[]` is when it is evaluated. No expression can spell it.
pub(crate) const AT: &str = "@at";
/// The same for `[?]`.
pub(crate) const OPTIONAL_AT: &str = "@optionalAt";

pub(super) fn declare(library: &mut Library) {
    let (a, b) = (Type::Parameter("A"), Type::Parameter("B"));
    let list = Type::list(a.clone());
    let map = Type::map(a.clone(), b.clone());
    library.global(operators::INDEX, [list.clone(), Type::Int], a.clone(), index);
    library.global(operators::INDEX, [map.clone(), a.clone()], b.clone(), index);
    let (some_list, some_map) = (Type::optional(list.clone()), Type::optional(map.clone()));
    library.global(operators::INDEX, [some_list, Type::Int], Type::optional(a.clone()), index);
    library.global(operators::INDEX, [some_map, a.clone()], Type::optional(b.clone()), index);
    // What is evaluated: the index of a list may be any number that is an int.
    library.global(AT, [Type::Dyn, Type::Dyn], Type::Dyn, index);
    for container in [list.clone(), Type::optional(list.clone())] {
        let result = Type::optional(a.clone());
        library.global(operators::OPT_INDEX, [container, Type::Int], result, optional_index);
    }
    for container in [map.clone(), Type::optional(map.clone())] {
        let result = Type::optional(b.clone());
        library.global(operators::OPT_INDEX, [container, a.clone()], result, optional_index);
    }
    library.global(OPTIONAL_AT, [Type::Dyn, Type::Dyn], Type::Dyn, optional_index);
    library.global(operators::IN, [a.clone(), list.clone()], Type::Bool, contains);
    library.global(operators::IN, [a, map.clone()], Type::Bool, contains);
    for sized in [Type::String, Type::Bytes, list, map] {
        library.global("size", [sized.clone()], Type::Int, size);
        library.member("size", [sized], Type::Int, size);
    }
}

fn index<'a>(_: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let [container, index] = arguments else {
        return Err(mismatch());
    };
    if let Value::Optional(_) = container {
        return optional(container, index);
    }
    access::element(container, index)?.ok_or_else(|| match (container, index) {
        (Value::List(_), index) => error(format!("index out of bounds: {}", shown(index))),
        (_, index) => error(format!("no such key: {}", shown(index))),
    })
}

fn optional_index<'a>(_: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let [container, index] = arguments else {
        return Err(mismatch());
    };
    optional(container, index)
}

fn optional<'a>(container: &Value<'a>, index: &Value<'a>) -> Result<Value<'a>, Fault> {
    match container {
        Value::Optional(None) => Ok(Value::none()),
        Value::Optional(Some(value)) => optional(value, index),
        container => {
            let found = access::element(container, index)?;
            Ok(found.map_or_else(Value::none, Value::some))
        }
    }
}

fn shown(index: &Value<'_>) -> String {
    match index {
        Value::Int(int) => int.to_string(),
        Value::Uint(uint) => uint.to_string(),
        Value::Double(double) => double.to_string(),
        Value::Bool(bool) => bool.to_string(),
        Value::String(text) => excerpt(text).to_owned(),
        other => other.type_name(),
    }
}

fn contains<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let [value, container] = arguments else {
        return Err(mismatch());
    };
    let contains = match container {
        Value::List(list) => is_element(host, value, list)?,
        // What cannot be a key is none.
        Value::Map(map) => access::key(value).is_ok_and(|key| map.get(&key).is_some()),
        _ => return Err(mismatch()),
    };
    Ok(Value::Bool(contains))
}

fn is_element(host: &Host<'_>, value: &Value<'_>, list: &List<'_>) -> Result<bool, Fault> {
    for element in list.iter() {
        if equal(host.meter, value, &element)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn size<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let size = match arguments {
        [Value::String(text)] => {
            host.meter.scan(text.len())?;
            text.chars().count()
        }
        [Value::Bytes(bytes)] => bytes.len(),
        [Value::List(list)] => list.len(),
        [Value::Map(map)] => map.len(),
        _ => return Err(mismatch()),
    };
    Ok(Value::Int(i64::try_from(size).unwrap_or(i64::MAX)))
}
