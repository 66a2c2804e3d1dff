//! Mathematics: extremes, rounding, signs, bits.

use std::cmp::Ordering;

use crate::cel::library::standard::{compare, error, mismatch};
use crate::cel::library::{Call, Library};
use crate::cel::meter::{Fault, Host};
use crate::cel::types::Type;
use crate::cel::value::Value;

pub(super) fn declare(library: &mut Library) {
    let numbers = [Type::Int, Type::Uint, Type::Double];
    let extremes: [(&'static str, Call); 2] = [("math.greatest", greatest), ("math.least", least)];
    for (name, call) in extremes {
        for left in &numbers {
            library.global(name, [left.clone()], left.clone(), call);
            library.global(name, [Type::list(left.clone())], left.clone(), call);
            for right in &numbers {
                let result = if left == right { left.clone() } else { Type::Dyn };
                library.global(name, [left.clone(), right.clone()], result, call);
            }
        }
    }
    let roundings: [(&'static str, Call); 5] = [
        ("math.ceil", |_, arguments| real(arguments, f64::ceil)),
        ("math.floor", |_, arguments| real(arguments, f64::floor)),
        ("math.round", |_, arguments| real(arguments, f64::round)),
        ("math.trunc", |_, arguments| real(arguments, f64::trunc)),
        ("math.sqrt", |_, arguments| real(arguments, f64::sqrt)),
    ];
    for (name, call) in roundings {
        library.global(name, [Type::Double], Type::Double, call);
    }
    for integer in [Type::Int, Type::Uint] {
        library.global("math.sqrt", [integer], Type::Double, root);
    }
    let questions: [(&'static str, Call); 3] = [
        ("math.isFinite", |_, arguments| is(arguments, f64::is_finite)),
        ("math.isInf", |_, arguments| is(arguments, f64::is_infinite)),
        ("math.isNaN", |_, arguments| is(arguments, f64::is_nan)),
    ];
    for (name, call) in questions {
        library.global(name, [Type::Double], Type::Bool, call);
    }
    for number in numbers {
        library.global("math.abs", [number.clone()], number.clone(), abs);
        library.global("math.sign", [number.clone()], number, sign);
    }
    let bits: [(&'static str, Call); 3] = [
        ("math.bitAnd", |_, arguments| bitwise(arguments, |left, right| left & right)),
        ("math.bitOr", |_, arguments| bitwise(arguments, |left, right| left | right)),
        ("math.bitXor", |_, arguments| bitwise(arguments, |left, right| left ^ right)),
    ];
    for integer in [Type::Int, Type::Uint] {
        let integer = || integer.clone();
        for (name, call) in bits {
            library.global(name, [integer(), integer()], integer(), call);
        }
        library.global("math.bitNot", [integer()], integer(), bit_not);
        library.global("math.bitShiftLeft", [integer(), Type::Int], integer(), shift_left);
        library.global("math.bitShiftRight", [integer(), Type::Int], integer(), shift_right);
    }
}

fn greatest<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    extreme(host, arguments, Ordering::Greater)
}

fn least<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    extreme(host, arguments, Ordering::Less)
}

fn extreme<'a>(
    host: &Host<'_>,
    arguments: &[Value<'a>],
    wanted: Ordering,
) -> Result<Value<'a>, Fault> {
    let better = |best: Value<'a>, next: Value<'a>| {
        host.meter.step(1)?;
        let is_better = compare(host.meter, &next, &best)? == Some(wanted);
        Ok::<_, Fault>(if is_better { next } else { best })
    };
    match arguments {
        [Value::List(list)] => {
            let mut elements = list.iter();
            let first = elements.next().ok_or_else(|| error("the list is empty"))?;
            if !is_number(&first) {
                return Err(mismatch());
            }
            elements.try_fold(first, better)
        }
        [one] => Ok(one.clone()),
        [one, two] => better(one.clone(), two.clone()),
        _ => Err(mismatch()),
    }
}

fn is_number(value: &Value<'_>) -> bool {
    matches!(value, Value::Int(_) | Value::Uint(_) | Value::Double(_))
}

fn real<'a>(arguments: &[Value<'a>], of: fn(f64) -> f64) -> Result<Value<'a>, Fault> {
    match arguments {
        [Value::Double(double)] => Ok(Value::Double(of(*double))),
        _ => Err(mismatch()),
    }
}

#[expect(clippy::cast_precision_loss, reason = "the root is a double")]
fn root<'a>(_: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    match arguments {
        [Value::Int(int)] => Ok(Value::Double((*int as f64).sqrt())),
        [Value::Uint(uint)] => Ok(Value::Double((*uint as f64).sqrt())),
        _ => Err(mismatch()),
    }
}

fn is<'a>(arguments: &[Value<'a>], question: fn(f64) -> bool) -> Result<Value<'a>, Fault> {
    match arguments {
        [Value::Double(double)] => Ok(Value::Bool(question(*double))),
        _ => Err(mismatch()),
    }
}

fn abs<'a>(_: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    match arguments {
        [Value::Int(int)] => {
            int.checked_abs().map(Value::Int).ok_or_else(|| error("integer overflow"))
        }
        [Value::Uint(uint)] => Ok(Value::Uint(*uint)),
        [Value::Double(double)] => Ok(Value::Double(double.abs())),
        _ => Err(mismatch()),
    }
}

fn sign<'a>(_: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    match arguments {
        [Value::Int(int)] => Ok(Value::Int(int.signum())),
        [Value::Uint(uint)] => Ok(Value::Uint((*uint).min(1))),
        [Value::Double(double)] if *double == 0.0 || double.is_nan() => Ok(Value::Double(*double)),
        [Value::Double(double)] => Ok(Value::Double(double.signum())),
        _ => Err(mismatch()),
    }
}

/// An operation on bits, which are the same for both types.
fn bitwise<'a>(arguments: &[Value<'a>], of: fn(u64, u64) -> u64) -> Result<Value<'a>, Fault> {
    match arguments {
        [Value::Int(left), Value::Int(right)] => {
            Ok(Value::Int(of(left.cast_unsigned(), right.cast_unsigned()).cast_signed()))
        }
        [Value::Uint(left), Value::Uint(right)] => Ok(Value::Uint(of(*left, *right))),
        _ => Err(mismatch()),
    }
}

fn bit_not<'a>(_: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    match arguments {
        [Value::Int(int)] => Ok(Value::Int(!int)),
        [Value::Uint(uint)] => Ok(Value::Uint(!uint)),
        _ => Err(mismatch()),
    }
}

fn shift_left<'a>(_: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let places = places(arguments)?;
    match arguments {
        [Value::Int(int), _] => Ok(Value::Int(int.checked_shl(places).unwrap_or(0))),
        [Value::Uint(uint), _] => Ok(Value::Uint(uint.checked_shl(places).unwrap_or(0))),
        _ => Err(mismatch()),
    }
}

/// Zeros come in from the left, also for an `int`.
fn shift_right<'a>(_: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let places = places(arguments)?;
    match arguments {
        [Value::Int(int), _] => {
            let shifted = int.cast_unsigned().checked_shr(places).unwrap_or(0);
            Ok(Value::Int(shifted.cast_signed()))
        }
        [Value::Uint(uint), _] => Ok(Value::Uint(uint.checked_shr(places).unwrap_or(0))),
        _ => Err(mismatch()),
    }
}

fn places(arguments: &[Value<'_>]) -> Result<u32, Fault> {
    match arguments {
        [_, Value::Int(places @ 0..)] => Ok(u32::try_from(*places).unwrap_or(u32::MAX)),
        [_, Value::Int(places)] => Err(error(format!("math.bitShift: negative offset: {places}"))),
        _ => Err(mismatch()),
    }
}
