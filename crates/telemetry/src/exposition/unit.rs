//! Units as Prometheus spells them.

/// The unit of a family, if its name ends with it: OpenMetrics allows no other.
pub(super) fn suffix<'a>(name: &str, unit: &'a str) -> Option<&'a str> {
    let word = word(unit);
    let rest = name.strip_suffix(word)?;
    (!word.is_empty() && rest.len() > 1 && rest.ends_with('_')).then_some(word)
}

/// The word for a unit of UCUM, or the unit itself where it is one already.
fn word(unit: &str) -> &str {
    match unit {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "kBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "1" => "ratio",
        "%" => "percent",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "V" => "volts",
        "A" => "amperes",
        "W" => "watts",
        "J" => "joules",
        "g" => "grams",
        "m" => "meters",
        word if word.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_') => word,
        // An annotation such as `{request}`, or a compound: neither is the end of a name.
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::suffix;

    #[test]
    fn a_unit_counts_where_the_name_ends_with_it() {
        for (name, unit, suffixed) in [
            ("duration_seconds", "s", Some("seconds")),
            ("duration_seconds", "seconds", Some("seconds")),
            ("duration_seconds", "ms", None),
            ("duration", "s", None),
            ("seconds", "s", None),
            ("_seconds", "s", None),
            ("milliseconds", "s", None),
            ("size_bytes", "By", Some("bytes")),
            ("used_ratio", "1", Some("ratio")),
            ("requests", "{request}", None),
            ("requests_", "", None),
            ("a_b", "b\n# EOF", None),
        ] {
            assert_eq!(suffix(name, unit), suffixed, "{name} {unit}");
        }
    }
}
