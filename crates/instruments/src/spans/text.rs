//! Texts that somebody else wrote, cut to what a span should carry.

use opentelemetry::{Array, StringValue, Value};

/// The longest text of an attribute, in bytes; as Kyverno's.
const LONGEST: usize = 256;
/// The most texts of one attribute.
const MOST: usize = 64;
const CUT: &str = "...";

/// The text, or its beginning and three dots.
pub(super) fn clipped(text: &str) -> StringValue {
    if text.is_empty() {
        return StringValue::from("");
    }
    if text.len() <= LONGEST {
        return StringValue::from(text.to_owned());
    }
    let kept = text.floor_char_boundary(LONGEST - CUT.len());
    StringValue::from([&text[..kept], CUT].concat())
}

/// Several of them.
pub(super) fn all<'a>(texts: impl IntoIterator<Item = &'a str>) -> Value {
    Value::Array(Array::String(texts.into_iter().take(MOST).map(clipped).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_two_characters() {
        assert_eq!(clipped(&"x".repeat(256)).as_str(), "x".repeat(256));
        let cut = clipped(&"\u{e4}".repeat(200));
        assert_eq!(cut.as_str(), format!("{}...", "\u{e4}".repeat(126)));
    }

    #[test]
    fn of_many_texts_the_first_ones_are_kept() {
        let Value::Array(Array::String(texts)) = all(std::iter::repeat_n("a", 100)) else {
            panic!("texts are an array of strings");
        };
        assert_eq!(texts.len(), MOST);
    }
}
