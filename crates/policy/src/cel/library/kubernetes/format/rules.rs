//! What each format says of a string.

use std::borrow::Cow;
use std::sync::LazyLock;

use jiff::civil::Date;
use regex::Regex;

use super::super::url::Url;

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const LABEL_1035: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const KEY: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const VALUE: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";

/// How long a label, and the name of a label, may be.
const MAX_LABEL: usize = 63;
/// How long a subdomain may be.
const MAX_SUBDOMAIN: usize = 253;

/// A label of RFC 1123, lower-case.
pub(super) fn dns_label(text: &str) -> Vec<String> {
    let mut faults = too_long(text, MAX_LABEL, "characters");
    if !is_label(text) {
        faults.push(if is_subdomain(text) {
            "must not contain dots".to_owned()
        } else {
            let what = "a lowercase RFC 1123 label must consist of lower case alphanumeric \
                        characters or '-', and must start and end with an alphanumeric character";
            mismatch(what, LABEL, &["my-name", "123-abc"])
        });
    }
    faults
}

/// Labels with dots between them.
pub(super) fn dns_subdomain(text: &str) -> Vec<String> {
    subdomain(text, "characters")
}

fn subdomain(text: &str, unit: &str) -> Vec<String> {
    let mut faults = too_long(text, MAX_SUBDOMAIN, unit);
    if !is_subdomain(text) {
        let what = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
                    characters, '-' or '.', and must start and end with an alphanumeric character";
        faults.push(mismatch(what, SUBDOMAIN, &["example.com"]));
    }
    faults
}

/// A label of RFC 1035, which starts with a letter.
pub(super) fn dns1035_label(text: &str) -> Vec<String> {
    let mut faults = too_long(text, MAX_LABEL, "characters");
    if !is_label(text) || !text.starts_with(|first: char| first.is_ascii_lowercase()) {
        let what = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', \
                    start with an alphabetic character, and end with an alphanumeric character";
        faults.push(mismatch(what, LABEL_1035, &["my-name", "abc-123"]));
    }
    faults
}

/// The key of a label: a name, with a subdomain and a slash before it or not.
pub(super) fn qualified_name(text: &str) -> Vec<String> {
    let what = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end \
                with an alphanumeric character";
    let wrong = || mismatch(what, KEY, &["MyName", "my.name", "123-abc"]);
    let mut faults = Vec::new();
    let name = match text.split_once('/') {
        None => text,
        Some((_, name)) if name.contains('/') => {
            let prefixed =
                "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a valid label key {} {prefixed}", wrong())];
        }
        Some(("", name)) => {
            faults.push("prefix part must be non-empty".to_owned());
            name
        }
        Some((prefix, name)) => {
            let of_prefix = subdomain(prefix, "bytes").into_iter();
            faults.extend(of_prefix.map(|fault| format!("prefix part {fault}")));
            name
        }
    };
    if name.is_empty() {
        faults.push("name part must be non-empty".to_owned());
    }
    let of_name = too_long(name, MAX_LABEL, "bytes").into_iter();
    faults.extend(of_name.map(|fault| format!("name part {fault}")));
    if !is_name(name) {
        faults.push(format!("name part {}", wrong()));
    }
    faults
}

/// The value of a label.
pub(super) fn label_value(text: &str) -> Vec<String> {
    let mut faults = too_long(text, MAX_LABEL, "bytes");
    if !text.is_empty() && !is_name(text) {
        let what = "a valid label must be an empty string or consist of alphanumeric characters, \
                    '-', '_' or '.', and must start and end with an alphanumeric character";
        faults.push(mismatch(what, VALUE, &["MyValue", "my_value", "12345"]));
    }
    faults
}

/// A name that something will be appended to: a dash may be its last character.
pub(super) fn as_prefix(text: &str) -> Cow<'_, str> {
    match text.strip_suffix('-') {
        // The API server puts a letter in the place of the last two bytes.
        Some(name) if !name.is_empty() => {
            let kept = name.ceil_char_boundary(name.len() - 1);
            Cow::Owned(format!("{}a", &name[..kept]))
        }
        _ => Cow::Borrowed(text),
    }
}

/// An absolute URI or an absolute path.
pub(super) fn uri(text: &str) -> Vec<String> {
    let refused = Url::check(text).err();
    refused.map(|reason| format!("parse {text:?}: {reason}")).into_iter().collect()
}

/// A UUID, with or without its dashes.
pub(super) fn is_uuid(text: &str) -> bool {
    static PATTERN: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new("^(?i-u)[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$").ok());
    PATTERN.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

/// Padded base64 of one byte or more.
pub(super) fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    !digits.is_empty()
        && padding <= 2
        && text.len().is_multiple_of(4)
        && digits.bytes().all(is_digit)
}

/// A date of RFC 3339.
pub(super) fn is_date(text: &str) -> bool {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = text.as_bytes() else { return false };
    let digits = [y0, y1, y2, y3, m0, m1, d0, d1];
    if !digits.iter().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let number =
        |of: &[&u8]| of.iter().fold(0i16, |sum, digit| sum * 10 + i16::from(**digit - b'0'));
    let [month, day] = [&digits[4..6], &digits[6..]].map(|of| number(of) as i8);
    Date::new(number(&digits[..4]), month, day).is_ok()
}

/// A date and a time of day, as the API server's formats have them: without leap seconds.
pub(super) fn is_datetime(text: &str) -> bool {
    static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new("^([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|[+-][0-9]{2}:[0-9]{2})$").ok()
    });
    let text = text.to_lowercase();
    // What follows another `t` is not looked at there either.
    let mut parts = text.split('t');
    let (Some(date), Some(time)) = (parts.next(), parts.next()) else { return false };
    let of_day = || PATTERN.as_ref().and_then(|pattern| pattern.captures(time));
    is_date(date) && of_day().is_some_and(|of| &of[1] <= "23" && &of[2] <= "59" && &of[3] <= "59")
}

fn is_label(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    is_bounded(text, inside, |byte| inside(byte) || byte == b'-')
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

fn is_name(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric();
    is_bounded(text, inside, |byte| inside(byte) || matches!(byte, b'-' | b'_' | b'.'))
}

/// Whether the first and last byte are of one kind, and all of another.
fn is_bounded(text: &str, end: impl Fn(u8) -> bool, any: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let ends = bytes.first().zip(bytes.last());
    ends.is_some_and(|(first, last)| end(*first) && end(*last))
        && bytes.iter().all(|byte| any(*byte))
}

/// The API server counts bytes, whatever it calls them.
fn too_long(text: &str, max: usize, unit: &str) -> Vec<String> {
    let fault = || format!("must be no more than {max} {unit}");
    (text.len() > max).then(fault).into_iter().collect()
}

fn mismatch(what: &str, pattern: &str, examples: &[&str]) -> String {
    let examples: Vec<_> = examples.iter().map(|example| format!("'{example}', ")).collect();
    format!("{what} (e.g. {}regex used for validation is '{pattern}')", examples.join(" or "))
}
