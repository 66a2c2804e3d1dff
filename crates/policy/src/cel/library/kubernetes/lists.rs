//! What can be said of the elements of a list.

use std::cmp::Ordering;

use super::super::arguments::{error, list, no_such_overload};
use super::super::standard::{compare, equal};
use super::super::{Call, Library};
use crate::cel::meter::{Fault, Host};
use crate::cel::types::Type;
use crate::cel::value::{List, Value};

/// Declares the library.
pub(super) fn declare(library: &mut Library) {
    let sums: [(_, Call); 4] = [
        (Type::Int, |host, arguments| sum(host, arguments, Value::Int(0))),
        (Type::Uint, |host, arguments| sum(host, arguments, Value::Uint(0))),
        (Type::Double, |host, arguments| sum(host, arguments, Value::Double(0.0))),
        (Type::Duration, |host, arguments| {
            sum(host, arguments, Value::Duration(jiff::SignedDuration::ZERO))
        }),
    ];
    for (element, call) in sums {
        library.member("sum", [Type::list(element.clone())], element, call);
    }
    let comparable =
        [Type::Int, Type::Uint, Type::Double, Type::Bool, Type::Duration, Type::Timestamp];
    for element in comparable.into_iter().chain([Type::String, Type::Bytes]) {
        let of = || [Type::list(element.clone())];
        library.member("isSorted", of(), Type::Bool, is_sorted);
        library.member("min", of(), element.clone(), |host, arguments| {
            extreme(host, arguments, Ordering::Less)
        });
        library.member("max", of(), element.clone(), |host, arguments| {
            extreme(host, arguments, Ordering::Greater)
        });
    }
    let element = || Type::Parameter("A");
    let pair = || [Type::list(element()), element()];
    library.member("indexOf", pair(), Type::Int, |host, arguments| {
        let elements = list(arguments, 0)?;
        position(host, elements, &arguments[1], 0..elements.len())
    });
    library.member("lastIndexOf", pair(), Type::Int, |host, arguments| {
        let elements = list(arguments, 0)?;
        position(host, elements, &arguments[1], (0..elements.len()).rev())
    });
}

fn sum<'a>(host: &Host<'_>, arguments: &[Value<'a>], zero: Value<'a>) -> Result<Value<'a>, Fault> {
    let elements = list(arguments, 0)?;
    host.meter.step(elements.len() as u64)?;
    let mut elements = elements.iter();
    let Some(first) = elements.next() else { return Ok(zero) };
    elements.try_fold(first, |sum, element| plus(&sum, &element))
}

fn plus<'a>(left: &Value<'a>, right: &Value<'a>) -> Result<Value<'a>, Fault> {
    let sum = match (left, right) {
        (Value::Int(left), Value::Int(right)) => left.checked_add(*right).map(Value::Int),
        (Value::Uint(left), Value::Uint(right)) => left.checked_add(*right).map(Value::Uint),
        (Value::Double(left), Value::Double(right)) => Some(Value::Double(left + right)),
        (Value::Duration(left), Value::Duration(right)) => {
            // Durations are numbers of nanoseconds in 64 bits.
            let sum = left.checked_add(*right);
            sum.filter(|sum| i64::try_from(sum.as_nanos()).is_ok()).map(Value::Duration)
        }
        _ => return Err(no_such_overload()),
    };
    sum.ok_or_else(|| error("the sum overflows"))
}

/// Whether no element is less than the one before it. What has no order is passed over, as there.
fn is_sorted<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let mut previous = None;
    for element in list(arguments, 0)?.iter() {
        host.meter.step(1)?;
        check_comparable(&element)?;
        if let Some(previous) = &previous
            && order(host, previous, &element)? == Some(Ordering::Greater)
        {
            return Ok(Value::Bool(false));
        }
        previous = Some(element);
    }
    Ok(Value::Bool(true))
}

/// The element that compares so to the others; the first of equal ones.
fn extreme<'a>(
    host: &Host<'_>,
    arguments: &[Value<'a>],
    wanted: Ordering,
) -> Result<Value<'a>, Fault> {
    let mut extreme: Option<Value<'a>> = None;
    for element in list(arguments, 0)?.iter() {
        host.meter.step(1)?;
        check_comparable(&element)?;
        let is_wanted = match &extreme {
            Some(extreme) => order(host, &element, extreme)? == Some(wanted),
            None => true,
        };
        if is_wanted {
            extreme = Some(element);
        }
    }
    let name = if wanted == Ordering::Less { "min" } else { "max" };
    extreme.ok_or_else(|| error(format!("{name} called on empty list")))
}

/// How two elements are ordered; none if they are not. That is no error here.
fn order(host: &Host<'_>, left: &Value<'_>, right: &Value<'_>) -> Result<Option<Ordering>, Fault> {
    match compare(host.meter, left, right) {
        Err(Fault::Error(_)) => Ok(None),
        result => result,
    }
}

fn check_comparable(element: &Value<'_>) -> Result<(), Fault> {
    match element {
        Value::Null
        | Value::List(_)
        | Value::Map(_)
        | Value::Optional(_)
        | Value::Type(_)
        | Value::Opaque(_) => Err(no_such_overload()),
        _ => Ok(()),
    }
}

/// Where an element is first met, or -1.
fn position<'a>(
    host: &Host<'_>,
    elements: &List<'a>,
    wanted: &Value<'a>,
    positions: impl Iterator<Item = usize>,
) -> Result<Value<'a>, Fault> {
    for position in positions {
        let Some(element) = elements.get(position) else { break };
        if equal(host.meter, &element, wanted)? {
            return Ok(Value::Int(i64::try_from(position).unwrap_or(i64::MAX)));
        }
    }
    Ok(Value::Int(-1))
}

#[cfg(test)]
mod tests {
    use crate::cel::library::equal;
    use crate::cel::library::tests::{bool_of, error_of, int_of, value, with_host};
    use crate::cel::value::Value;

    fn ints(elements: &[i64]) -> Value<'static> {
        Value::list(elements.iter().copied().map(Value::Int).collect())
    }

    fn doubles(elements: &[f64]) -> Value<'static> {
        Value::list(elements.iter().copied().map(Value::Double).collect())
    }

    fn strings(elements: &[&str]) -> Value<'static> {
        Value::list(elements.iter().map(|text| Value::string(*text)).collect())
    }

    fn assert_equal(left: &Value<'_>, right: &Value<'_>) {
        let are_equal = with_host(|host| equal(host.meter, left, right).expect("no fault"));
        assert!(are_equal, "{left:?} {right:?}");
    }

    #[test]
    fn sums_and_extremes_are_of_the_elements_type() {
        assert_equal(&value("sum", &[ints(&[1, 3])]), &Value::Int(4));
        assert_equal(&value("sum", &[doubles(&[1.5, 3.0])]), &Value::Double(4.5));
        assert_equal(&value("sum", &[ints(&[])]), &Value::Int(0));
        assert_eq!(error_of("sum", &[ints(&[i64::MAX, 1])]), "the sum overflows");
        let mixed = Value::list(vec![Value::Int(1), Value::Double(1.0)]);
        error_of("sum", std::slice::from_ref(&mixed));
        assert_equal(&value("min", &[ints(&[3, 1, 2])]), &Value::Int(1));
        assert_equal(&value("max", &[strings(&["a", "c", "b"])]), &Value::string("c"));
        assert_equal(&value("max", &[mixed]), &Value::Int(1));
        assert_equal(&value("max", &[doubles(&[1.0, f64::NAN])]), &Value::Double(1.0));
        error_of("min", &[ints(&[])]);
        error_of("max", &[ints(&[])]);
    }

    #[test]
    fn a_list_is_sorted_if_nothing_in_it_descends() {
        assert!(bool_of("isSorted", &[ints(&[1, 1, 2])]));
        assert!(bool_of("isSorted", &[ints(&[])]));
        assert!(!bool_of("isSorted", &[strings(&["b", "a"])]));
        assert!(bool_of("isSorted", &[Value::list(vec![Value::Bool(false), Value::Bool(true)])]));
    }

    #[test]
    fn an_element_is_found_from_either_end() {
        let list = || ints(&[1, 2, 2, 3]);
        assert_eq!(int_of("indexOf", &[list(), Value::Int(2)]), 1);
        assert_eq!(int_of("lastIndexOf", &[list(), Value::Int(2)]), 2);
        assert_eq!(int_of("lastIndexOf", &[list(), Value::Double(2.0)]), 2);
        assert_eq!(int_of("indexOf", &[list(), Value::Double(2.5)]), -1);
        assert_eq!(int_of("indexOf", &[list(), Value::string("2")]), -1);
        let nested = Value::list(vec![ints(&[]), ints(&[1])]);
        assert_eq!(int_of("indexOf", &[nested, ints(&[1])]), 1);
    }
}
