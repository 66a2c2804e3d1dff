//! Rounding to a number of decimal places.

use super::super::Library;
use super::super::arguments::{int, no_such_overload};
use crate::cel::types::Type;
use crate::cel::value::Value;

/// Declares the library.
pub(super) fn declare(library: &mut Library) {
    library.global("math.round", [Type::Double, Type::Int], Type::Double, |_, arguments| {
        let Some(Value::Double(value)) = arguments.first() else { return Err(no_such_overload()) };
        let shift = 10f64.powf(int(arguments, 1)? as f64);
        Ok(Value::Double((value * shift).round() / shift))
    });
}

#[cfg(test)]
mod tests {
    use crate::cel::library::tests::value;
    use crate::cel::value::Value;

    #[test]
    fn a_half_is_rounded_away_from_zero() {
        for (number, places, rounded) in
            [(1.25, 1, 1.3), (-1.25, 1, -1.3), (2.5, 0, 3.0), (1234.5, -2, 1200.0), (0.1, 3, 0.1)]
        {
            let Value::Double(result) =
                value("math.round", &[Value::Double(number), Value::Int(places)])
            else {
                panic!("no double");
            };
            assert_eq!(result, rounded, "{number} {places}");
        }
    }
}
