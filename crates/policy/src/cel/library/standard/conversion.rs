//! Conversions between types, `type` and `dyn`. What does not fit is an error.

use super::time::duration_text;
use super::{error, mismatch};
use crate::cel::library::{Call, Library};
use crate::cel::meter::{Fault, Host};
use crate::cel::types::Type;
use crate::cel::value::{Octets, Text, Value};

/// The double after the largest `int`, and after the largest `uint`.
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
const TWO_TO_64: f64 = 18_446_744_073_709_551_616.0;

pub(super) fn declare(library: &mut Library) {
    let conversions: [(&'static str, Type, Call, &[Type]); 6] = [
        ("bool", Type::Bool, to_bool, &[Type::Bool, Type::String]),
        ("bytes", Type::Bytes, to_bytes, &[Type::Bytes, Type::String]),
        ("double", Type::Double, to_double, &[Type::Double, Type::Int, Type::Uint, Type::String]),
        (
            "int",
            Type::Int,
            to_int,
            &[Type::Int, Type::Uint, Type::Double, Type::String, Type::Timestamp, Type::Duration],
        ),
        ("uint", Type::Uint, to_uint, &[Type::Uint, Type::Int, Type::Double, Type::String]),
        (
            "string",
            Type::String,
            to_string,
            &[
                Type::String,
                Type::Bool,
                Type::Int,
                Type::Uint,
                Type::Double,
                Type::Bytes,
                Type::Timestamp,
                Type::Duration,
            ],
        ),
    ];
    for (name, result, call, types) in conversions {
        for from in types {
            library.global(name, [from.clone()], result.clone(), call);
        }
    }
    library.global("dyn", [Type::Parameter("A")], Type::Dyn, same);
    let type_ = Type::Type(Type::Parameter("A").into());
    library.global("type", [Type::Parameter("A")], type_, type_of);
}

fn unconvertible(value: &Value<'_>, to: &str) -> Fault {
    error(format!("type conversion error from '{}' to '{to}'", value.type_name()))
}

fn same<'a>(_: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    arguments.first().cloned().ok_or_else(mismatch)
}

fn type_of<'a>(_: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    arguments.first().map(|value| Value::Type(value.type_of())).ok_or_else(mismatch)
}

fn to_bool<'a>(_: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    match arguments {
        [Value::Bool(bool)] => Ok(Value::Bool(*bool)),
        [value @ Value::String(text)] => match &**text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
            _ => Err(unconvertible(value, "bool")),
        },
        _ => Err(mismatch()),
    }
}

fn to_bytes<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    match arguments {
        [Value::Bytes(bytes)] => Ok(Value::Bytes(bytes.clone())),
        [Value::String(Text::Borrowed(text))] => {
            Ok(Value::Bytes(Octets::Borrowed(text.as_bytes())))
        }
        [Value::String(Text::Shared(text))] => {
            host.meter.allocate(text.len())?;
            Ok(Value::Bytes(Octets::Shared(text.as_bytes().into())))
        }
        _ => Err(mismatch()),
    }
}

#[expect(clippy::cast_precision_loss, reason = "that is what the conversion is")]
fn to_double<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    Ok(Value::Double(match arguments {
        [Value::Double(double)] => *double,
        [Value::Int(int)] => *int as f64,
        [Value::Uint(uint)] => *uint as f64,
        [value @ Value::String(text)] => {
            host.meter.scan(text.len())?;
            let double: f64 = text.parse().map_err(|_| unconvertible(value, "double"))?;
            let is_too_large =
                double.is_infinite() && text.contains(|char: char| char.is_ascii_digit());
            if is_too_large {
                return Err(unconvertible(value, "double"));
            }
            double
        }
        _ => return Err(mismatch()),
    }))
}

#[expect(clippy::cast_possible_truncation, reason = "what does not fit was refused before")]
fn to_int<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let overflow = || error("integer overflow");
    Ok(Value::Int(match arguments {
        [Value::Int(int)] => *int,
        [Value::Uint(uint)] => i64::try_from(*uint).map_err(|_| overflow())?,
        [Value::Double(double)] if *double > -TWO_TO_63 && *double < TWO_TO_63 => *double as i64,
        [Value::Double(_)] => return Err(overflow()),
        [value @ Value::String(text)] => {
            host.meter.scan(text.len())?;
            text.parse().map_err(|_| unconvertible(value, "int"))?
        }
        [Value::Timestamp(timestamp)] => timestamp.as_nanosecond().div_euclid(1_000_000_000) as i64,
        [Value::Duration(duration)] => {
            i64::try_from(duration.as_nanos()).map_err(|_| overflow())?
        }
        _ => return Err(mismatch()),
    }))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what does not fit was refused before"
)]
fn to_uint<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let overflow = || error("unsigned integer overflow");
    Ok(Value::Uint(match arguments {
        [Value::Uint(uint)] => *uint,
        [Value::Int(int)] => u64::try_from(*int).map_err(|_| overflow())?,
        [Value::Double(double)] if *double >= 0.0 && *double < TWO_TO_64 => *double as u64,
        [Value::Double(_)] => return Err(overflow()),
        // Go knows no sign here.
        [value @ Value::String(text)] => match text.strip_prefix('+') {
            Some(_) => return Err(unconvertible(value, "uint")),
            None => {
                host.meter.scan(text.len())?;
                text.parse().map_err(|_| unconvertible(value, "uint"))?
            }
        },
        _ => return Err(mismatch()),
    }))
}

fn to_string<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    Ok(match arguments {
        [Value::String(text)] => Value::String(text.clone()),
        [Value::Bool(true)] => Value::borrowed("true"),
        [Value::Bool(false)] => Value::borrowed("false"),
        [Value::Int(int)] => Value::string(int.to_string()),
        [Value::Uint(uint)] => Value::string(uint.to_string()),
        [Value::Double(double)] => Value::string(double_text(*double)),
        [Value::Bytes(bytes)] => {
            host.meter.scan(bytes.len())?;
            host.meter.allocate(bytes.len())?;
            let text = std::str::from_utf8(bytes)
                .map_err(|_| error("invalid UTF-8 in bytes, cannot convert to string"))?;
            Value::string(text)
        }
        [Value::Timestamp(timestamp)] => Value::string(timestamp.to_string()),
        [Value::Duration(duration)] => Value::string(duration_text(*duration)),
        _ => return Err(mismatch()),
    })
}

/// A double in the fewest digits that read as the same one, as Go writes it: with an exponent where
/// it is below -4 or above 20.
pub(crate) fn double_text(double: f64) -> String {
    if double.is_nan() {
        return "NaN".to_owned();
    }
    if double.is_infinite() {
        return if double > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    let scientific = format!("{double:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if double != 0.0 && !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        _ => double.to_string(),
    }
}
