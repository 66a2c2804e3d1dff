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

/// A bucket's bound as OpenMetrics writes it: it cannot be taken for an integer.
pub(super) fn canonical(value: f64) -> String {
    let mut text = float(value);
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
        text.push_str(".0");
    }
    text
}

/// A moment in seconds since 1970.
pub(super) fn seconds(nanoseconds: u64) -> String {
    let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
    if rest == 0 {
        return seconds.to_string();
    }
    let text = format!("{seconds}.{rest:09}");
    text.trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::{canonical, float, seconds};

    #[test]
    fn a_bound_of_openmetrics_is_no_integer() {
        for (value, text) in [
            (0.0, "0.0"),
            (-5.0, "-5.0"),
            (10.0, "10.0"),
            (0.5, "0.5"),
            (1e6, "1e+06"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(canonical(value), text);
        }
    }

    #[test]
    fn a_moment_keeps_its_nanoseconds() {
        for (nanoseconds, text) in [
            (0, "0"),
            (1_700_000_000_000_000_000, "1700000000"),
            (1_700_000_000_500_000_000, "1700000000.5"),
            (1_700_000_000_000_000_001, "1700000000.000000001"),
        ] {
            assert_eq!(seconds(nanoseconds), text);
        }
    }

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
