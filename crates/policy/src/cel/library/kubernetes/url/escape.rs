//! Percent-encoding, as each part of a URL has it.

/// A part of a URL.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Path,
    Host,
    /// What follows `%25` in an IPv6 address.
    Zone,
    /// A user's name, or the password.
    User,
    Query,
    Fragment,
}

/// Why a part is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::cel::library::kubernetes) enum Malformed {
    #[error("invalid URL escape")]
    Escape,
    #[error("invalid character in host name")]
    Host,
}

/// The bytes that a part stands for.
pub(super) fn unescape(text: &str, part: Part) -> Result<Vec<u8>, Malformed> {
    let mut bytes = text.bytes();
    let mut unescaped = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => unescaped.push(escaped(&mut bytes, part)?),
            b'+' if part == Part::Query => unescaped.push(b' '),
            byte if is_of_host(part) && byte.is_ascii() && must_escape(byte, part) => {
                return Err(Malformed::Host);
            }
            byte => unescaped.push(byte),
        }
    }
    Ok(unescaped)
}

/// The byte that two hexadecimal digits stand for.
fn escaped(digits: &mut impl Iterator<Item = u8>, part: Part) -> Result<u8, Malformed> {
    let mut digit = || digits.next().and_then(|digit| char::from(digit).to_digit(16));
    let (Some(high), Some(low)) = (digit(), digit()) else { return Err(Malformed::Escape) };
    let byte = (high * 16 + low) as u8;
    let allowed = match part {
        // Only what is not ASCII, and the percent sign that starts a zone.
        Part::Host => !byte.is_ascii() || byte == b'%',
        Part::Zone => matches!(byte, b'%' | b' ') || !must_escape(byte, Part::Host),
        _ => true,
    };
    if allowed { Ok(byte) } else { Err(Malformed::Escape) }
}

/// A part as it is written.
pub(super) fn escape(bytes: &[u8], part: Part) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut escaped = String::with_capacity(bytes.len());
    for &byte in bytes {
        if must_escape(byte, part) {
            escaped.push('%');
            escaped.push(DIGITS[usize::from(byte >> 4)].into());
            escaped.push(DIGITS[usize::from(byte & 15)].into());
        } else {
            escaped.push(byte.into());
        }
    }
    escaped
}

/// Whether a path or a fragment can stay as it is written.
pub(super) fn is_escaped(text: &str, part: Part) -> bool {
    text.bytes().all(|byte| b"!$&'()*+,;=:@[]%".contains(&byte) || !must_escape(byte, part))
}

fn is_of_host(part: Part) -> bool {
    matches!(part, Part::Host | Part::Zone)
}

fn must_escape(byte: u8, part: Part) -> bool {
    let allowed = match byte {
        b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'_' | b'.' | b'~' => true,
        byte if is_of_host(part) => b"!$&'()*+,;=:[]<>\"".contains(&byte),
        b'$' | b'&' | b'+' | b',' | b'/' | b':' | b';' | b'=' | b'?' | b'@' => match part {
            Part::Path => byte != b'?',
            Part::User => !matches!(byte, b'@' | b'/' | b'?' | b':'),
            Part::Fragment => true,
            Part::Query | Part::Host | Part::Zone => false,
        },
        b'!' | b'(' | b')' | b'*' => part == Part::Fragment,
        _ => false,
    };
    !allowed
}
