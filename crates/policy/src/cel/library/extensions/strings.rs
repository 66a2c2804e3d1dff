//! Strings, by characters: their parts, and what is made of them.

use std::ops::Range;

use crate::cel::library::Library;
use crate::cel::library::standard::{error, mismatch};
use crate::cel::meter::{Fault, Host, Meter};
use crate::cel::types::Type;
use crate::cel::value::{Text, Value};

pub(super) fn declare(library: &mut Library) {
    let (text, int, texts) = (|| Type::String, || Type::Int, || Type::list(Type::String));
    library.member("charAt", [text(), int()], text(), char_at);
    library.member("indexOf", [text(), text()], int(), index_of);
    library.member("indexOf", [text(), text(), int()], int(), index_of);
    library.member("lastIndexOf", [text(), text()], int(), last_index_of);
    library.member("lastIndexOf", [text(), text(), int()], int(), last_index_of);
    library.member("join", [texts()], text(), join);
    library.member("join", [texts(), text()], text(), join);
    library.member("lowerAscii", [text()], text(), |host, arguments| {
        made(host, arguments, str::to_ascii_lowercase)
    });
    library.member("upperAscii", [text()], text(), |host, arguments| {
        made(host, arguments, str::to_ascii_uppercase)
    });
    library.member("replace", [text(), text(), text()], text(), replace);
    library.member("replace", [text(), text(), text(), int()], text(), replace);
    library.member("split", [text(), text()], texts(), split);
    library.member("split", [text(), text(), int()], texts(), split);
    library.member("substring", [text(), int()], text(), substring);
    library.member("substring", [text(), int(), int()], text(), substring);
    library.member("trim", [text()], text(), trim);
    library
        .global("strings.quote", [text()], text(), |host, arguments| made(host, arguments, quote));
}

// === impl Text ===

impl<'a> Text<'a> {
    /// A part of the text: borrowed if the text is, else copied and charged for.
    pub(super) fn part(&self, meter: &Meter, range: Range<usize>) -> Result<Value<'a>, Fault> {
        match self {
            Self::Borrowed(text) => Ok(Value::borrowed(&text[range])),
            Self::Shared(text) => {
                meter.allocate(range.len())?;
                Ok(Value::string(&text[range]))
            }
        }
    }
}

/// Where the character at that position starts; the position after the last one is the end.
fn offset(text: &str, position: i64) -> Option<usize> {
    let position = usize::try_from(position).ok()?;
    if text.is_ascii() {
        return (position <= text.len()).then_some(position);
    }
    text.char_indices().map(|(offset, _)| offset).chain([text.len()]).nth(position)
}

fn position(text: &str, offset: usize) -> Value<'static> {
    let position = text[..offset].chars().count();
    Value::Int(i64::try_from(position).unwrap_or(i64::MAX))
}

fn out_of_range(position: i64) -> Fault {
    error(format!("index out of range: {position}"))
}

fn char_at<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let [Value::String(text), Value::Int(position)] = arguments else {
        return Err(mismatch());
    };
    host.meter.scan(text.len())?;
    let start = offset(text, *position).ok_or_else(|| out_of_range(*position))?;
    let length = text[start..].chars().next().map_or(0, char::len_utf8);
    text.part(host.meter, start..start + length)
}

fn index_of<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let (text, sub, from) = match arguments {
        [Value::String(text), Value::String(sub)] => (text, sub, 0),
        [Value::String(text), Value::String(sub), Value::Int(from)] => (text, sub, *from),
        _ => return Err(mismatch()),
    };
    host.meter.scan(3 * text.len())?;
    if sub.is_empty() {
        return Ok(Value::Int(from));
    }
    if from < 0 {
        return Err(out_of_range(from));
    }
    let Some(start) = offset(text, from) else {
        return Ok(Value::Int(-1));
    };
    Ok(match text[start..].find(&**sub) {
        Some(found) => position(text, start + found),
        None => Value::Int(-1),
    })
}

fn last_index_of<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let (text, sub, from) = match arguments {
        [Value::String(text), Value::String(sub)] => (text, sub, None),
        [Value::String(text), Value::String(sub), Value::Int(from)] => (text, sub, Some(*from)),
        _ => return Err(mismatch()),
    };
    host.meter.scan(3 * text.len())?;
    if sub.is_empty() {
        return Ok(from.map_or_else(|| position(text, text.len()), Value::Int));
    }
    // What is found may start at that position at the latest.
    let end = match from {
        None => text.len(),
        Some(from) if from < 0 => return Err(out_of_range(from)),
        Some(from) => match offset(text, from) {
            Some(start) if start < text.len() => {
                let end = (start + sub.len()).min(text.len());
                text.floor_char_boundary(end)
            }
            _ => return Ok(Value::Int(-1)),
        },
    };
    Ok(match text[..end].rfind(&**sub) {
        Some(found) => position(text, found),
        None => Value::Int(-1),
    })
}

fn join<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let (list, separator) = match arguments {
        [Value::List(list)] => (list, ""),
        [Value::List(list), Value::String(separator)] => (list, &**separator),
        _ => return Err(mismatch()),
    };
    let mut joined = String::new();
    for (index, element) in list.iter().enumerate() {
        let Value::String(element) = element else {
            return Err(mismatch());
        };
        let bytes = element.len() + separator.len();
        host.meter.scan(bytes)?;
        // Twice, because the text grows by doubling and is then copied.
        host.meter.allocate(2 * bytes)?;
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(&element);
    }
    Ok(Value::string(joined))
}

/// A text that is made of another and is about as long.
fn made<'a>(
    host: &Host<'_>,
    arguments: &[Value<'a>],
    make: fn(&str) -> String,
) -> Result<Value<'a>, Fault> {
    let [Value::String(text)] = arguments else {
        return Err(mismatch());
    };
    host.meter.scan(text.len())?;
    host.meter.allocate(2 * text.len() + 2)?;
    Ok(Value::string(make(text)))
}

fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars() {
        match char {
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            '\\' | '"' => quoted.extend(['\\', char]),
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

fn replace<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let (text, from, to, limit) = match arguments {
        [Value::String(text), Value::String(from), Value::String(to)] => (text, from, to, -1),
        [Value::String(text), Value::String(from), Value::String(to), Value::Int(limit)] => {
            (text, from, to, *limit)
        }
        _ => return Err(mismatch()),
    };
    // A negative limit is none.
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    host.meter.scan(text.len())?;
    let count = text.matches(&**from).take(limit).count();
    let bytes = count.saturating_mul(to.len()).saturating_add(text.len());
    host.meter.step(count as u64)?;
    host.meter.scan(bytes)?;
    host.meter.allocate(bytes.saturating_mul(2))?;
    Ok(Value::string(text.replacen(&**from, to, limit)))
}

fn split<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let (text, separator, limit) = match arguments {
        [Value::String(text), Value::String(separator)] => (text, separator, -1),
        [Value::String(text), Value::String(separator), Value::Int(limit)] => {
            (text, separator, *limit)
        }
        _ => return Err(mismatch()),
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    host.meter.scan(text.len())?;
    let mut parts = Vec::new();
    let mut start = 0;
    let mut add = |range: Range<usize>| {
        host.meter.step(1)?;
        host.meter.allocate(2 * size_of::<Value<'_>>())?;
        parts.push(text.part(host.meter, range)?);
        Ok::<_, Fault>(parts.len())
    };
    if limit == 0 {
        return Ok(Value::list(Vec::new()));
    }
    let mut count = 1;
    while count < limit {
        let rest = &text[start..];
        // An empty separator is between any two characters.
        let found = match separator.is_empty() {
            true => rest.chars().next().map(char::len_utf8).filter(|first| *first < rest.len()),
            false => rest.find(&**separator),
        };
        let Some(found) = found else {
            break;
        };
        count = 1 + add(start..start + found)?;
        start += found + separator.len();
    }
    if !(separator.is_empty() && text.is_empty()) {
        add(start..text.len())?;
    }
    Ok(Value::list(parts))
}

fn substring<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let (text, start, end) = match arguments {
        [Value::String(text), Value::Int(start)] => (text, *start, None),
        [Value::String(text), Value::Int(start), Value::Int(end)] => (text, *start, Some(*end)),
        _ => return Err(mismatch()),
    };
    host.meter.scan(2 * text.len())?;
    if let Some(end) = end.filter(|end| start > *end) {
        return Err(error(format!("invalid substring range. start: {start}, end: {end}")));
    }
    let from = offset(text, start).ok_or_else(|| out_of_range(start))?;
    let to = match end {
        Some(end) => offset(text, end).ok_or_else(|| out_of_range(end))?,
        None => text.len(),
    };
    text.part(host.meter, from..to)
}

fn trim<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let [Value::String(text)] = arguments else {
        return Err(mismatch());
    };
    host.meter.scan(text.len())?;
    let start = text.len() - text.trim_start().len();
    let length = text.trim().len();
    text.part(host.meter, start..start + length)
}
