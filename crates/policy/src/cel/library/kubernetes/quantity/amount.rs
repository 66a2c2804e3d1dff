//! Exact decimal numbers.
//!
//! There are two kinds, as in the API server, because expressions see the difference: only a small
//! one can be an integer. Exponents come with the request; nothing here takes time or memory that
//! grows with them.

use std::cmp::Ordering;

use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive, Zero};

use super::parse::signum;

/// How far apart exponents may be for their numbers to be written with one.
const MAX_SHIFT: u32 = 4096;

/// `value * 10^scale`.
#[derive(Clone, Debug)]
pub(super) enum Amount {
    Small { value: i64, scale: i32 },
    Big { unscaled: BigInt, exponent: i32 },
}

// === impl Amount ===

impl From<i64> for Amount {
    fn from(value: i64) -> Self {
        Self::Small { value, scale: 0 }
    }
}

impl Amount {
    pub(super) fn big(unscaled: BigInt, exponent: i32) -> Self {
        Self::Big { unscaled, exponent }
    }

    /// Rounded away from zero to a multiple of `10^exponent`, and written so if that is no great
    /// number of digits.
    pub(super) fn rounded_up(self, to: i32) -> Self {
        let (unscaled, exponent) = self.into_big();
        if unscaled.is_zero() {
            return Self::big(unscaled, exponent);
        }
        let distance = exponent.abs_diff(to);
        if exponent >= to {
            return match power_of_ten(distance) {
                Some(factor) => Self::big(unscaled * factor, to),
                None => Self::big(unscaled, exponent),
            };
        }
        let sign = BigInt::from(signum(&unscaled));
        // A power of ten with more digits than the number has divides it to less than one.
        let digits = unscaled.bits() * 3 / 10 + 2;
        if u64::from(distance) > digits {
            return Self::big(sign, to);
        }
        let divisor = BigInt::from(10).pow(distance);
        let (quotient, remainder) = (&unscaled / &divisor, unscaled % divisor);
        Self::big(if remainder.is_zero() { quotient } else { quotient + sign }, to)
    }

    pub(super) fn sign(&self) -> i64 {
        match self {
            Self::Small { value, .. } => value.signum(),
            Self::Big { unscaled, .. } => signum(unscaled),
        }
    }

    /// The number, if it is small, has no decimal places (not even zeros) and fits.
    pub(super) fn integer(&self) -> Option<i64> {
        match *self {
            Self::Small { value, scale } => scaled(value, u32::try_from(scale).ok()?),
            Self::Big { .. } => None,
        }
    }

    pub(super) fn approximate(&self) -> f64 {
        let (base, exponent) = match self {
            Self::Small { value, scale } => (*value as f64, *scale),
            Self::Big { unscaled, exponent } => {
                (unscaled.to_f64().unwrap_or(f64::INFINITY), *exponent)
            }
        };
        if exponent == 0 { base } else { base * power(exponent) }
    }

    pub(super) fn negated(&self) -> Self {
        match self {
            Self::Small { value, scale } => {
                Self::Small { value: value.wrapping_neg(), scale: *scale }
            }
            Self::Big { unscaled, exponent } => Self::big(-unscaled, *exponent),
        }
    }

    /// The sum; none if its digits would be too many.
    pub(super) fn plus(&self, other: &Self) -> Option<Self> {
        if let (Self::Small { .. }, Self::Small { .. }) = (self, other)
            && let Some(sum) = self.plus_small(other)
        {
            return Some(sum);
        }
        let (left, left_exponent) = self.clone().into_big();
        let (right, right_exponent) = other.clone().into_big();
        let exponent = left_exponent.min(right_exponent);
        let shift = |number: BigInt, from: i32| {
            Some(if from == exponent {
                number
            } else {
                number * power_of_ten(from.abs_diff(exponent))?
            })
        };
        Some(Self::big(shift(left, left_exponent)? + shift(right, right_exponent)?, exponent))
    }

    fn plus_small(&self, other: &Self) -> Option<Self> {
        let (&Self::Small { value: a, scale: s }, &Self::Small { value: b, scale: t }) =
            (self, other)
        else {
            return None;
        };
        if b == 0 {
            return Some(self.clone());
        }
        if a == 0 {
            return Some(other.clone());
        }
        let scale = s.min(t);
        let [a, b] = [scaled(a, s.abs_diff(scale))?, scaled(b, t.abs_diff(scale))?];
        Some(Self::Small { value: a.checked_add(b)?, scale })
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let signs = self.sign().cmp(&other.sign());
        if signs.is_ne() || self.sign() == 0 {
            return signs;
        }
        let (left, left_exponent) = self.clone().into_big();
        let (right, right_exponent) = other.clone().into_big();
        let distance = left_exponent.abs_diff(right_exponent);
        // The one with the greater exponent is written with the other's, unless it is greater
        // anyway: a number of `b` bits is less than `10^(3b/10+2)`.
        let of_smaller = if left_exponent < right_exponent { &left } else { &right };
        let magnitude = if u64::from(distance) > of_smaller.bits() * 3 / 10 + 2 {
            left_exponent.cmp(&right_exponent)
        } else {
            let factor = BigInt::from(10).pow(distance);
            let [left, right] = [left.abs(), right.abs()];
            if left_exponent < right_exponent {
                left.cmp(&(right * factor))
            } else {
                (left * factor).cmp(&right)
            }
        };
        if self.sign() < 0 { magnitude.reverse() } else { magnitude }
    }

    /// How many bytes it takes, about.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Small { .. } => 16,
            Self::Big { unscaled, .. } => {
                16 + usize::try_from(unscaled.bits() / 8).unwrap_or(usize::MAX)
            }
        }
    }

    /// How many bytes a sum with another takes at most, about.
    pub(super) fn size_of_sum(&self, other: &Self) -> usize {
        let exponent = |of: &Self| match of {
            Self::Small { scale, .. } => *scale,
            Self::Big { exponent, .. } => *exponent,
        };
        let shift = exponent(self).abs_diff(exponent(other)).min(MAX_SHIFT) as usize;
        self.size().max(other.size()) + shift
    }

    fn into_big(self) -> (BigInt, i32) {
        match self {
            Self::Small { value, scale } => (BigInt::from(value), scale),
            Self::Big { unscaled, exponent } => (unscaled, exponent),
        }
    }
}

/// `value * 10^scale`, if that fits.
fn scaled(value: i64, scale: u32) -> Option<i64> {
    match value {
        0 => Some(0),
        value => value.checked_mul(10i64.checked_pow(scale)?),
    }
}

fn power_of_ten(exponent: u32) -> Option<BigInt> {
    (exponent <= MAX_SHIFT).then(|| BigInt::from(10).pow(exponent))
}

/// `10^exponent` as the API server's language computes it: the product of two table entries.
fn power(exponent: i32) -> f64 {
    let ten_to = |exponent: i32| format!("1e{exponent}").parse().unwrap_or(f64::NAN);
    match exponent {
        0..=308 => ten_to(exponent / 32 * 32) * ten_to(exponent % 32),
        -323..=-1 => ten_to(exponent / 32 * 32) / ten_to(-exponent % 32),
        309.. => f64::INFINITY,
        _ => 0.0,
    }
}
