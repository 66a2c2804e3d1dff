//! Reading the Prometheus text format 0.0.4.

use std::collections::BTreeMap;

/// One line of an exposition.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The metric name, with `_total`, `_bucket`, `_sum` or `_count` where the line has it.
    pub name: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

/// A line that is not in the format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not a sample, {problem}: {text}")]
pub struct ParseError {
    line: usize,
    problem: &'static str,
    text: String,
}

/// Parses a whole exposition. Comments are skipped; timestamps are read over.
pub fn parse(text: &str) -> Result<Vec<Sample>, ParseError> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(line, text)| {
            sample(text).map_err(|problem| ParseError { line, problem, text: text.to_owned() })
        })
        .collect()
}

/// The sum over all samples with this name that carry at least these labels; zero without any.
#[must_use]
pub fn sum(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> f64 {
    samples
        .iter()
        .filter(|sample| sample.name == name && sample.has(labels))
        .map(|sample| sample.value)
        .sum()
}

// === impl Sample ===

impl Sample {
    /// Whether it carries at least these labels.
    #[must_use]
    pub fn has(&self, labels: &[(&str, &str)]) -> bool {
        labels.iter().all(|(key, value)| self.label(key) == Some(value))
    }

    /// The value of a label.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.get(key).map(String::as_str)
    }
}

fn sample(text: &str) -> Result<Sample, &'static str> {
    let end = text.find(|c: char| c == '{' || c.is_whitespace()).ok_or("it has no value")?;
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return Err("it has no name");
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    let mut fields = rest.split_whitespace();
    let value = fields.next().ok_or("it has no value")?;
    // Rust reads +Inf, -Inf and NaN in any case.
    let value = value.parse().map_err(|_| "its value is not a number")?;
    Ok(Sample { name: name.to_owned(), labels, value })
}

/// Reads labels up to and with the closing brace; gives back what follows.
fn labels(mut rest: &str) -> Result<(BTreeMap<String, String>, &str), &'static str> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if let Some(after) = rest.strip_prefix('}') {
            return Ok((labels, after));
        }
        let (key, after) = rest.split_once('=').ok_or("its labels do not end")?;
        let after = after.trim_start().strip_prefix('"').ok_or("a label value has no quote")?;
        let (value, after) = quoted(after)?;
        labels.insert(key.trim().to_owned(), value);
        rest = after;
    }
}

/// Reads a quoted string whose opening quote is already gone.
fn quoted(rest: &str) -> Result<(String, &str), &'static str> {
    let mut value = String::new();
    let mut characters = rest.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &rest[index + 1..])),
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, escaped)) => value.push(escaped),
                None => break,
            },
            other => value.push(other),
        }
    }
    Err("a label value does not end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_labels_and_values_are_read() {
        let text = "# HELP requests_total How many.\n\
                    # TYPE requests_total counter\n\
                    requests_total{kind=\"Pod\",allowed=\"true\"} 7\n\
                    requests_total{kind=\"Pod\",allowed=\"false\",} 2 1700000000000\n\
                    \n\
                    up 1\n\
                    seconds_bucket{le=\"+Inf\"} 4.5e3\n\
                    nothing{} NaN\n";
        let samples = parse(text).unwrap();
        assert_eq!(samples.len(), 5);
        assert_eq!(sum(&samples, "requests_total", &[("kind", "Pod")]), 9.0);
        assert_eq!(sum(&samples, "requests_total", &[("allowed", "false")]), 2.0);
        assert_eq!(sum(&samples, "up", &[]), 1.0);
        assert_eq!(sum(&samples, "absent", &[]), 0.0);
        assert_eq!(samples[3].label("le"), Some("+Inf"));
        assert_eq!(samples[3].value, 4500.0);
        assert!(samples[4].value.is_nan());
    }

    #[test]
    fn a_label_value_may_hold_anything() {
        let samples = parse(r#"x{a="say \"}\" \\ \n, b=",b="} 3"} +Inf"#).unwrap();
        assert_eq!(samples[0].label("a"), Some("say \"}\" \\ \n, b="));
        assert_eq!(samples[0].label("b"), Some("} 3"));
        assert_eq!(samples[0].value, f64::INFINITY);
    }

    #[test]
    fn a_broken_line_is_named() {
        for (text, problem) in [
            ("ok 1\nlonely", "line 2 is not a sample, it has no value: lonely"),
            ("x{a=\"b\"", "line 1 is not a sample, its labels do not end: x{a=\"b\""),
            ("x{a=\"b 1", "line 1 is not a sample, a label value does not end: x{a=\"b 1"),
            ("x{a=b} 1", "line 1 is not a sample, a label value has no quote: x{a=b} 1"),
            ("x many", "line 1 is not a sample, its value is not a number: x many"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), problem);
        }
    }
}
