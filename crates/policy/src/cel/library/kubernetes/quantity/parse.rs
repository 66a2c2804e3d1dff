//! How quantities are written.

use num_bigint::{BigInt, Sign};

use super::amount::Amount;

/// Most digits that are read as one number of 64 bits.
const MAX_DIGITS: usize = 18;
/// Nothing smaller than a nano is known.
const NANO: i32 = -9;

/// Why a string is no quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Invalid {
    #[error(
        "quantities must match the regular expression \
         '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )]
    Format,
    #[error("unable to parse numeric part of quantity")]
    Number,
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

/// What a number is multiplied with.
enum Unit {
    /// A power of ten.
    Decimal(i32),
    /// A power of two.
    Binary(u32),
}

/// A quantity, in its parts.
struct Written<'s> {
    negative: bool,
    /// Without leading zeros.
    integer: &'s str,
    fraction: &'s str,
    suffix: &'s str,
}

/// The amount that a string stands for. What is below a nano is rounded away from zero; what has a
/// binary suffix and exceeds 64 bits is the greatest number of 64 bits.
pub(super) fn parse(text: &str) -> Result<Amount, Invalid> {
    let written = split(text)?;
    let unit = unit(written.suffix).ok_or(Invalid::Suffix)?;
    if let Some(amount) = small(&written, &unit) {
        return Ok(amount);
    }
    let digits = [written.integer, written.fraction].concat();
    let number = &text[..text.len() - written.suffix.len()];
    if !number.contains(|of: char| of.is_ascii_digit()) {
        return Err(Invalid::Number);
    }
    let unscaled =
        BigInt::parse_bytes(if digits.is_empty() { b"0" } else { digits.as_bytes() }, 10);
    let mut unscaled = unscaled.ok_or(Invalid::Number)?;
    let fraction = i32::try_from(written.fraction.len()).map_err(|_| Invalid::Number)?;
    let exponent = match unit {
        Unit::Decimal(exponent) => exponent.saturating_sub(fraction),
        Unit::Binary(exponent) => {
            unscaled <<= exponent;
            -fraction
        }
    };
    let mut amount = Amount::big(unscaled, exponent).rounded_up(NANO);
    if let Unit::Binary(_) = unit {
        amount = amount.at_most(i64::MAX);
    }
    Ok(if written.negative { amount.negated() } else { amount })
}

/// A number of few digits.
fn small(written: &Written<'_>, unit: &Unit) -> Option<Amount> {
    let digits = written.integer.len().max(1) + written.fraction.len();
    let (scale, factor) = match *unit {
        Unit::Decimal(exponent) if digits <= MAX_DIGITS => (exponent, 1),
        Unit::Binary(exponent) if written.fraction.is_empty() => {
            // A power of two of `n` has about `3n/10` digits.
            (digits + (exponent as usize * 3 / 10) < 15).then_some((0, 1 << exponent))?
        }
        _ => return None,
    };
    let scale = scale.checked_sub(i32::try_from(written.fraction.len()).ok()?)?;
    if scale < NANO {
        return None;
    }
    let digits = format!("0{}{}", written.integer, written.fraction);
    let value = digits.parse::<i64>().ok()?.checked_mul(factor)?;
    Some(Amount::Small { value: if written.negative { -value } else { value }, scale })
}

fn split(text: &str) -> Result<Written<'_>, Invalid> {
    if text.is_empty() {
        return Err(Invalid::Format);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (integer, rest) = digits(unsigned.trim_start_matches('0'));
    let (fraction, suffix) = rest.strip_prefix('.').map_or(("", rest), digits);
    let exponent = suffix.trim_start_matches(|of: char| "eEinumkKMGTP".contains(of));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if !exponent.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Invalid::Format);
    }
    Ok(Written { negative: text.starts_with('-'), integer, fraction, suffix })
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()))
}

fn unit(suffix: &str) -> Option<Unit> {
    Some(match suffix {
        "" => Unit::Decimal(0),
        "n" => Unit::Decimal(-9),
        "u" => Unit::Decimal(-6),
        "m" => Unit::Decimal(-3),
        "k" => Unit::Decimal(3),
        "M" => Unit::Decimal(6),
        "G" => Unit::Decimal(9),
        "T" => Unit::Decimal(12),
        "P" => Unit::Decimal(15),
        "E" => Unit::Decimal(18),
        "Ki" => Unit::Binary(10),
        "Mi" => Unit::Binary(20),
        "Gi" => Unit::Binary(30),
        "Ti" => Unit::Binary(40),
        "Pi" => Unit::Binary(50),
        "Ei" => Unit::Binary(60),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?.parse::<i64>().ok()?;
            // There, only the lower half of the number counts.
            Unit::Decimal(exponent as i32)
        }
    })
}

// === impl Amount ===

impl Amount {
    fn at_most(self, greatest: i64) -> Self {
        let cap = Self::big(BigInt::from(greatest), 0);
        if self.compare(&cap).is_gt() { cap } else { self }
    }
}

/// The sign of a big number, as comparison tells it.
pub(super) fn signum(number: &BigInt) -> i64 {
    match number.sign() {
        Sign::Minus => -1,
        Sign::NoSign => 0,
        Sign::Plus => 1,
    }
}
