//! `kubernetes.Quantity`: amounts of resources, exact, with the suffixes of Kubernetes.

use std::any::Any;
use std::cmp::Ordering;

use super::super::Library;
use super::super::arguments::{error, int, opaque, text};
use crate::cel::meter::{Fault, Host};
use crate::cel::types::Type;
use crate::cel::value::{Opaque, Value};

use amount::Amount;

mod amount;
mod parse;

const TYPE: Type = Type::Opaque("kubernetes.Quantity");

/// A quantity as a value. How it was written is forgotten: no expression can ask.
#[derive(Debug)]
struct Quantity(Amount);

/// Declares the library.
pub(super) fn declare(library: &mut Library) {
    library.global("quantity", [Type::String], TYPE, |host, arguments| {
        let written = readable(host, arguments)?;
        let amount = parse::parse(written);
        Ok(Value::opaque(Quantity(amount.map_err(|reason| error(reason.to_string()))?)))
    });
    library.global("isQuantity", [Type::String], Type::Bool, |host, arguments| {
        Ok(Value::Bool(parse::parse(readable(host, arguments)?).is_ok()))
    });
    library.global("sign", [TYPE], Type::Int, |_, arguments| {
        Ok(Value::Int(amount(arguments, 0)?.sign()))
    });
    library.member("isInteger", [TYPE], Type::Bool, |_, arguments| {
        Ok(Value::Bool(amount(arguments, 0)?.integer().is_some()))
    });
    library.member("asInteger", [TYPE], Type::Int, |_, arguments| {
        let integer = amount(arguments, 0)?.integer();
        integer.map(Value::Int).ok_or_else(|| error("cannot convert value to integer"))
    });
    library.member("asApproximateFloat", [TYPE], Type::Double, |host, arguments| {
        let amount = amount(arguments, 0)?;
        host.meter.scan(amount.size())?;
        Ok(Value::Double(amount.approximate()))
    });
    arithmetic(library);
    comparisons(library);
}

fn arithmetic(library: &mut Library) {
    library.member("add", [TYPE, TYPE], TYPE, |host, arguments| {
        sum(host, amount(arguments, 0)?, amount(arguments, 1)?)
    });
    library.member("add", [TYPE, Type::Int], TYPE, |host, arguments| {
        sum(host, amount(arguments, 0)?, &Amount::from(int(arguments, 1)?))
    });
    library.member("sub", [TYPE, TYPE], TYPE, |host, arguments| {
        sum(host, amount(arguments, 0)?, &amount(arguments, 1)?.negated())
    });
    library.member("sub", [TYPE, Type::Int], TYPE, |host, arguments| {
        sum(host, amount(arguments, 0)?, &Amount::from(int(arguments, 1)?).negated())
    });
}

fn comparisons(library: &mut Library) {
    library.member("isGreaterThan", [TYPE, TYPE], Type::Bool, |host, arguments| {
        Ok(Value::Bool(compare(host, arguments)?.is_gt()))
    });
    library.member("isLessThan", [TYPE, TYPE], Type::Bool, |host, arguments| {
        Ok(Value::Bool(compare(host, arguments)?.is_lt()))
    });
    library.member("compareTo", [TYPE, TYPE], Type::Int, |host, arguments| {
        Ok(Value::Int(compare(host, arguments)? as i64))
    });
}

fn amount<'v>(arguments: &'v [Value<'_>], position: usize) -> Result<&'v Amount, Fault> {
    opaque::<Quantity>(arguments, position).map(|Quantity(amount)| amount)
}

/// The string, paid for: reading digits takes time that grows with the square of their number.
fn readable<'v>(host: &Host<'_>, arguments: &'v [Value<'_>]) -> Result<&'v str, Fault> {
    let written = text(arguments, 0)?;
    host.meter.scan(written.len().saturating_mul(written.len()) / 64)?;
    host.meter.allocate(written.len())?;
    Ok(written)
}

fn sum<'a>(host: &Host<'_>, left: &Amount, right: &Amount) -> Result<Value<'a>, Fault> {
    let size = left.size_of_sum(right);
    host.meter.scan(size)?;
    host.meter.allocate(size)?;
    left.plus(right)
        .map(|sum| Value::opaque(Quantity(sum)))
        .ok_or_else(|| error("the sum of quantities that are so far apart has too many digits"))
}

fn compare(host: &Host<'_>, arguments: &[Value<'_>]) -> Result<Ordering, Fault> {
    let [left, right] = [amount(arguments, 0)?, amount(arguments, 1)?];
    host.meter.scan(left.size_of_sum(right))?;
    Ok(left.compare(right))
}

// === impl Quantity ===

impl Opaque for Quantity {
    fn type_of(&self) -> Type {
        TYPE
    }

    fn equals(&self, other: &dyn Opaque) -> bool {
        let other = other.as_any().downcast_ref::<Self>();
        other.is_some_and(|other| self.0.compare(&other.0).is_eq())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests;
