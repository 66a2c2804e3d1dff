//! Fields, keys and indexes.

use std::rc::Rc;

use super::dispatch::no_overload;
use crate::cel::meter::Fault;
use crate::cel::value::{Key, List, Map, Text, Value};
use crate::cel::{EvaluationError, excerpt};

/// The field of a map. Of an optional it is an optional too.
pub(super) fn field<'e>(operand: Value<'e>, name: &str) -> Result<Value<'e>, Fault> {
    match &operand {
        Value::Map(map) => map.field(name).ok_or_else(|| EvaluationError::no_such_key(name).into()),
        Value::Optional(_) => optional_field(operand, name),
        Value::List(_) => Err(no_overload("select", &[operand, Value::string(name)])),
        // What has no fields at all does not have this one.
        _ => Err(EvaluationError::no_such_key(name).into()),
    }
}

/// The field, if it is there and the operand, if it is an optional, has a value.
pub(super) fn optional_field<'e>(operand: Value<'e>, name: &str) -> Result<Value<'e>, Fault> {
    match &operand {
        Value::Map(map) => Ok(Value::Optional(map.field(name).map(Rc::new))),
        Value::Optional(None) => Ok(operand),
        Value::Optional(Some(value)) => optional_field((**value).clone(), name),
        Value::List(_) => Err(no_overload("optional select", &[operand, Value::string(name)])),
        _ => Ok(Value::none()),
    }
}

/// Whether the field is there. One with null is.
pub(super) fn has(operand: &Value<'_>, name: &str) -> Result<bool, Fault> {
    match operand {
        Value::Map(map) => Ok(map.field(name).is_some()),
        Value::Optional(None) => Ok(false),
        Value::Optional(Some(value)) => has(value, name),
        Value::List(_) => Err(no_overload("has", &[operand.clone(), Value::string(name)])),
        _ => Ok(false),
    }
}

/// What `operand[index]` is, if it is there.
pub(in crate::cel) fn element<'e>(
    operand: &Value<'e>,
    index: &Value<'e>,
) -> Result<Option<Value<'e>>, Fault> {
    match operand {
        Value::List(list) => at(list, index),
        Value::Map(map) => match key(index) {
            Ok(key) => Ok(map.get(&key)),
            Err(_) => Err(no_overload("_[_]", &[operand.clone(), index.clone()])),
        },
        _ => Ok(None),
    }
}

fn at<'e>(list: &List<'e>, index: &Value<'e>) -> Result<Option<Value<'e>>, Fault> {
    let position = match index {
        Value::Int(int) => usize::try_from(*int).ok(),
        Value::Uint(uint) => usize::try_from(*uint).ok(),
        Value::Double(double) => match whole(*double) {
            Some(whole) => usize::try_from(whole).ok(),
            None => {
                let message = format!("unsupported index value {double} in list");
                return Err(EvaluationError::new(message).into());
            }
        },
        other => {
            let list = Value::List(list.clone());
            return Err(no_overload("_[_]", &[list, other.clone()]));
        }
    };
    Ok(position.and_then(|position| list.get(position)))
}

/// A value as the key of a map.
pub(in crate::cel) fn key<'e>(value: &Value<'e>) -> Result<Key<'e>, Fault> {
    Ok(match value {
        Value::Bool(bool) => Key::Bool(*bool),
        Value::Int(int) => Key::Integer(i128::from(*int)),
        Value::Uint(uint) => Key::Integer(i128::from(*uint)),
        Value::String(text) => Key::String(text.clone()),
        // Only for a look-up: equal numbers are one key.
        Value::Double(double) => match whole(*double) {
            Some(whole) => Key::Integer(whole),
            None => return Err(EvaluationError::new(format!("no such key: {double}")).into()),
        },
        other => {
            let message = format!("unsupported key type: {}", other.type_name());
            return Err(EvaluationError::new(message).into());
        }
    })
}

/// The integer that a double is, if it is one.
#[expect(clippy::cast_possible_truncation, reason = "it is whole, and casts saturate")]
fn whole(double: f64) -> Option<i128> {
    (double.fract() == 0.0).then_some(double as i128)
}

// === impl Key ===

impl<'e> Key<'e> {
    /// The key as a value. Integers are `int` if they fit one.
    pub(in crate::cel) fn into_value(self) -> Value<'e> {
        match self {
            Self::Bool(bool) => Value::Bool(bool),
            Self::Integer(integer) => match i64::try_from(integer) {
                Ok(int) => Value::Int(int),
                Err(_) => Value::Uint(u64::try_from(integer).unwrap_or(u64::MAX)),
            },
            Self::String(text) => Value::String(text),
        }
    }
}

// === impl Map ===

impl<'a> Map<'a> {
    fn field(&self, name: &str) -> Option<Value<'a>> {
        match self {
            Self::Json(fields) => fields.get(name).map(Value::of_json),
            Self::Shared(_) => self.get(&Key::String(Text::Borrowed(name))),
        }
    }
}

// === impl EvaluationError ===

impl EvaluationError {
    pub(in crate::cel) fn no_such_key(key: &str) -> Self {
        Self::new(format!("no such key: {}", excerpt(key)))
    }
}
