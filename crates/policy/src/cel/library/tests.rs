//! Calls of functions by their names, as tests of the libraries make them.

use jiff::Timestamp;

use super::super::meter::{Allowance, Budget, Fault, Host, Resources};
use super::super::types::Type;
use super::super::value::Value;
use super::{Code, Library};

/// The time of day in these tests.
pub(super) const NOW: &str = "2026-03-04T05:06:07.89Z";

const BUDGET: Budget = Budget { steps: 1 << 20, bytes: 1 << 20 };

/// Calls the first overload that takes the values.
pub(super) fn call<'a>(name: &str, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    call_within(BUDGET, name, arguments)
}

/// Calls it with a budget.
pub(super) fn call_within<'a>(
    budget: Budget,
    name: &str,
    arguments: &[Value<'a>],
) -> Result<Value<'a>, Fault> {
    let library = Library::shared();
    let takes = |parameters: &[Type]| {
        parameters.len() == arguments.len()
            && parameters.iter().zip(arguments).all(|(parameter, value)| accepts(parameter, value))
    };
    let overload = library.overloads(name).iter().find(|overload| takes(&overload.parameters));
    let overload = overload.unwrap_or_else(|| panic!("no overload of {name} takes {arguments:?}"));
    let allowance = Allowance::of(budget);
    let resources = Resources::new(&allowance, &now);
    match overload.code {
        Code::Call(call) => call(&resources.host(), arguments),
        Code::LookUp(_) => panic!("{name} looks something up"),
    }
}

/// Calls something that takes a host.
pub(super) fn with_host<T>(call: impl FnOnce(&Host<'_>) -> T) -> T {
    let allowance = Allowance::of(BUDGET);
    let resources = Resources::new(&allowance, &now);
    call(&resources.host())
}

fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

fn accepts(parameter: &Type, value: &Value<'_>) -> bool {
    match (parameter, value) {
        (Type::Dyn | Type::Parameter(_), _) => true,
        (Type::List(element), Value::List(list)) => {
            list.get(0).is_none_or(|first| accepts(element, &first))
        }
        (Type::Map(..), Value::Map(_)) => true,
        (parameter, value) => *parameter == value.type_of(),
    }
}

pub(super) fn value<'a>(name: &str, arguments: &[Value<'a>]) -> Value<'a> {
    call(name, arguments).unwrap_or_else(|fault| panic!("{name}{arguments:?}: {fault}"))
}

pub(super) fn error_of(name: &str, arguments: &[Value<'_>]) -> String {
    match call(name, arguments) {
        Err(Fault::Error(error)) => error.to_string(),
        other => panic!("{name}{arguments:?}: {other:?}"),
    }
}

pub(super) fn bool_of(name: &str, arguments: &[Value<'_>]) -> bool {
    match value(name, arguments) {
        Value::Bool(bool) => bool,
        other => panic!("{name}{arguments:?}: {other:?}"),
    }
}

pub(super) fn int_of(name: &str, arguments: &[Value<'_>]) -> i64 {
    match value(name, arguments) {
        Value::Int(int) => int,
        other => panic!("{name}{arguments:?}: {other:?}"),
    }
}

pub(super) fn text_of(name: &str, arguments: &[Value<'_>]) -> String {
    match value(name, arguments) {
        Value::String(text) => text.to_string(),
        other => panic!("{name}{arguments:?}: {other:?}"),
    }
}

/// The strings of a list.
pub(super) fn texts(value: &Value<'_>) -> Vec<String> {
    let Value::List(list) = value else { panic!("{value:?}") };
    let text = |element| match element {
        Value::String(text) => text.to_string(),
        other => panic!("{other:?}"),
    };
    list.iter().map(text).collect()
}
