//! Lists: slices, order, duplicates.

use std::cmp::Ordering;

use crate::cel::library::Library;
use crate::cel::library::extensions::sets::is_in;
use crate::cel::library::standard::{compare, error, mismatch};
use crate::cel::meter::{Fault, Host, Meter};
use crate::cel::types::Type;
use crate::cel::value::{List, Value};

pub(super) fn declare(library: &mut Library) {
    let a = || Type::Parameter("A");
    let list = || Type::list(a());
    library.member("distinct", [list()], list(), distinct);
    library.member("flatten", [Type::list(list())], list(), flatten);
    library.member("flatten", [Type::list(Type::Dyn)], Type::list(Type::Dyn), flatten);
    library.member("flatten", [Type::list(Type::Dyn), Type::Int], Type::list(Type::Dyn), flatten);
    library.member("first", [list()], Type::optional(a()), first);
    library.member("last", [list()], Type::optional(a()), last);
    library.global("lists.range", [Type::Int], Type::list(Type::Int), range);
    library.member("reverse", [list()], list(), reverse);
    library.member("slice", [list(), Type::Int, Type::Int], list(), slice);
    let ordered = [
        Type::Int,
        Type::Uint,
        Type::Double,
        Type::Bool,
        Type::Duration,
        Type::Timestamp,
        Type::String,
        Type::Bytes,
    ];
    for type_ in ordered {
        library.member("sort", [Type::list(type_.clone())], Type::list(type_), sort);
    }
}

/// Charges for a list of that many elements.
fn charge(meter: &Meter, elements: usize) -> Result<(), Fault> {
    meter.step(elements as u64)?;
    meter.allocate(elements.saturating_mul(size_of::<Value<'_>>()))
}

fn distinct<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let [Value::List(list)] = arguments else {
        return Err(mismatch());
    };
    charge(host.meter, list.len())?;
    let mut kept: std::rc::Rc<Vec<Value<'a>>> = std::rc::Rc::default();
    for element in list.iter() {
        let so_far = List::Shared(kept.clone());
        let known = is_in(host, &element, &so_far)?;
        drop(so_far);
        if !known {
            std::rc::Rc::make_mut(&mut kept).push(element);
        }
    }
    Ok(Value::List(List::Shared(kept)))
}

fn flatten<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let (list, depth) = match arguments {
        [Value::List(list)] => (list, 1),
        [Value::List(list), Value::Int(depth @ 0..)] => (list, *depth),
        [Value::List(_), Value::Int(_)] => return Err(error("level must be non-negative")),
        _ => return Err(mismatch()),
    };
    let mut flat = Vec::new();
    flatten_into(host.meter, list, depth, &mut flat)?;
    Ok(Value::list(flat))
}

fn flatten_into<'a>(
    meter: &Meter,
    list: &List<'a>,
    depth: i64,
    flat: &mut Vec<Value<'a>>,
) -> Result<(), Fault> {
    charge(meter, 1 + list.len())?;
    for element in list.iter() {
        match element {
            Value::List(inner) if depth > 0 => flatten_into(meter, &inner, depth - 1, flat)?,
            element => flat.push(element),
        }
    }
    Ok(())
}

fn first<'a>(_: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    match arguments {
        [Value::List(list)] => Ok(list.get(0).map_or_else(Value::none, Value::some)),
        _ => Err(mismatch()),
    }
}

fn last<'a>(_: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    match arguments {
        [Value::List(list)] => {
            let last = list.len().checked_sub(1).and_then(|last| list.get(last));
            Ok(last.map_or_else(Value::none, Value::some))
        }
        _ => Err(mismatch()),
    }
}

fn range<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let [Value::Int(end)] = arguments else {
        return Err(mismatch());
    };
    charge(host.meter, usize::try_from((*end).max(0)).unwrap_or(usize::MAX))?;
    Ok(Value::list((0..*end).map(Value::Int).collect()))
}

fn reverse<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let [Value::List(list)] = arguments else {
        return Err(mismatch());
    };
    charge(host.meter, list.len())?;
    let mut elements: Vec<_> = list.iter().collect();
    elements.reverse();
    Ok(Value::list(elements))
}

fn slice<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let [Value::List(list), Value::Int(start), Value::Int(end)] = arguments else {
        return Err(mismatch());
    };
    let wrong = |why: &str| error(format!("cannot slice({start}, {end}), {why}"));
    let (Ok(from), Ok(to)) = (usize::try_from(*start), usize::try_from(*end)) else {
        return Err(wrong("negative indexes not supported"));
    };
    if from > to {
        return Err(wrong("start index must be less than or equal to end index"));
    }
    if to > list.len() {
        return Err(wrong(&format!("list is length {}", list.len())));
    }
    if let List::Json(elements) = list {
        return Ok(Value::List(List::Json(&elements[from..to])));
    }
    charge(host.meter, to - from)?;
    Ok(Value::list((from..to).filter_map(|index| list.get(index)).collect()))
}

fn sort<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    match arguments {
        [list @ Value::List(_)] => sort_by_keys(host.meter, list, list),
        _ => Err(mismatch()),
    }
}

/// The elements of a list in the order of their keys, which are the elements of another.
pub(crate) fn sort_by_keys<'a>(
    meter: &Meter,
    list: &Value<'a>,
    keys: &Value<'a>,
) -> Result<Value<'a>, Fault> {
    let (Value::List(list), Value::List(keys)) = (list, keys) else {
        return Err(error("only a list can be sorted"));
    };
    charge(meter, 2 * list.len())?;
    let keys: Vec<Value<'a>> = keys.iter().collect();
    if let Some(first) = keys.first() {
        if !is_ordered(first) {
            return Err(error("list elements must be comparable"));
        }
        let type_ = first.type_of();
        if keys.iter().any(|key| key.type_of() != type_) {
            return Err(error("list elements must have the same type"));
        }
    }
    let order = sorted(keys.len(), |left, right| {
        meter.step(1)?;
        Ok(compare(meter, &keys[left], &keys[right])? != Some(Ordering::Greater))
    })?;
    Ok(Value::list(order.into_iter().filter_map(|position| list.get(position)).collect()))
}

/// The positions of a list in the order of its elements. The library's sort may panic where there is no
/// order, as among NaNs, and cannot end early; this one takes what it is told.
fn sorted(
    length: usize,
    mut stays: impl FnMut(usize, usize) -> Result<bool, Fault>,
) -> Result<Vec<usize>, Fault> {
    let mut order: Vec<usize> = (0..length).collect();
    let mut merged = Vec::with_capacity(length);
    let mut width = 1;
    while width < length {
        merged.clear();
        for run in order.chunks(2 * width) {
            let (mut left, mut right) = run.split_at(width.min(run.len()));
            while let ([first, left_rest @ ..], [second, right_rest @ ..]) = (left, right) {
                if stays(*first, *second)? {
                    merged.push(*first);
                    left = left_rest;
                } else {
                    merged.push(*second);
                    right = right_rest;
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        std::mem::swap(&mut order, &mut merged);
        width *= 2;
    }
    Ok(order)
}

fn is_ordered(value: &Value<'_>) -> bool {
    matches!(
        value,
        Value::Bool(_)
            | Value::Int(_)
            | Value::Uint(_)
            | Value::Double(_)
            | Value::String(_)
            | Value::Bytes(_)
            | Value::Duration(_)
            | Value::Timestamp(_)
    )
}
