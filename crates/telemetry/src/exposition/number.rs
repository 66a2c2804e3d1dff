//! Floating-point numbers as Go's Prometheus client writes them.
//!
//! A bucket's bound is part of the identity of its series, so `1e+06` must not become `1000000`
//! for people who come from Kyverno.

/// The shortest text that reads back as `value`, with an exponent where Go has one.
pub(super) fn float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').expect("`e` is what the format asks for");
    let exponent: i32 = exponent.parse().expect("an exponent of a float is a small integer");
    if (-4..6).contains(&exponent) {
        return value.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::float;

    #[test]
    fn numbers_read_as_go_writes_them() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.005, "0.005"),
            (2.5, "2.5"),
            (100_000.0, "100000"),
            (1_000_000.0, "1e+06"),
            (3_842_300.0, "3.8423e+06"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (1.5e300, "1.5e+300"),
            (3.451_320_573_000_000_7, "3.4513205730000007"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn nothing_is_lost_on_the_way() {
        for value in [f64::MIN_POSITIVE, f64::MAX, 0.1 + 0.2, 1.0 / 3.0, 42_667.123, 1_234_567.0] {
            assert_eq!(float(value).parse::<f64>(), Ok(value));
        }
    }
}
