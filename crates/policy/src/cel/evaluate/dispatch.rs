//! From values to the overload that is meant.

use crate::cel::EvaluationError;
use crate::cel::library::{Code, Overload};
use crate::cel::lookup::Sight;
use crate::cel::meter::{Fault, Host, Meter};
use crate::cel::tree::Call;
use crate::cel::types::Type;
use crate::cel::value::Value;

/// Calls the first overload whose parameters the arguments are.
pub(super) fn call<'e>(
    call: &Call,
    sight: &'e Sight,
    host: &Host<'_>,
    arguments: &[Value<'e>],
) -> Result<Value<'e>, Fault> {
    let takes = |overload: &&&'static Overload| {
        overload
            .parameters
            .iter()
            .zip(arguments)
            .all(|(parameter, value)| accepts(parameter, value))
    };
    match call.overloads.iter().find(takes) {
        Some(overload) => {
            let value = match overload.code {
                Code::Call(call) => call(host, arguments),
                Code::LookUp(look_up) => look_up(sight, host, arguments),
            };
            charged(host.meter, value?)
        }
        None => Err(no_overload(&call.function, arguments)),
    }
}

/// Optionals, and values of libraries' own types, are charged for here and not where they are made.
pub(super) fn charged<'e>(meter: &Meter, value: Value<'e>) -> Result<Value<'e>, Fault> {
    match &value {
        Value::Optional(Some(value)) => meter.allocate(size_of_val(&**value))?,
        Value::Opaque(opaque) => meter.allocate(size_of_val(&**opaque))?,
        _ => {}
    }
    Ok(value)
}

/// Whether a value may be passed for that parameter. What lists and maps hold is not looked at.
fn accepts(parameter: &Type, value: &Value<'_>) -> bool {
    match (parameter, value) {
        (Type::Dyn | Type::Parameter(_), _)
        | (Type::Null, Value::Null)
        | (Type::Bool, Value::Bool(_))
        | (Type::Int, Value::Int(_))
        | (Type::Uint, Value::Uint(_))
        | (Type::Double, Value::Double(_))
        | (Type::String, Value::String(_))
        | (Type::Bytes, Value::Bytes(_))
        | (Type::Duration, Value::Duration(_))
        | (Type::Timestamp, Value::Timestamp(_))
        | (Type::List(_), Value::List(_))
        | (Type::Map(..) | Type::Object(_), Value::Map(_))
        | (Type::Optional(_), Value::Optional(_))
        | (Type::Type(_), Value::Type(_)) => true,
        (Type::Opaque(name), Value::Opaque(opaque)) => opaque.type_of() == Type::Opaque(name),
        _ => false,
    }
}

/// No overload takes these values.
pub(in crate::cel) fn no_overload(function: &str, arguments: &[Value<'_>]) -> Fault {
    let types: Vec<_> = arguments.iter().map(Value::type_name).collect();
    let types = types.join(", ");
    EvaluationError::new(format!("no such overload: '{function}' applied to '({types})'")).into()
}
