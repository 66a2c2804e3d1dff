//! `format`, the formatting of values into a text.

use std::fmt::Write;
use std::iter::Peekable;
use std::str::Chars;

use crate::cel::library::Library;
use crate::cel::library::standard::{double_text, duration_text, error, mismatch};
use crate::cel::meter::{Fault, Host, Meter};
use crate::cel::types::Type;
use crate::cel::value::{Key, List, Map, Value};

/// The most digits after the point.
const MAX_PRECISION: usize = 1000;
const DEFAULT_PRECISION: usize = 6;

pub(super) fn declare(library: &mut Library) {
    library.member("format", [Type::String, Type::list(Type::Dyn)], Type::String, format);
}

/// A text that is being made, charged for as it grows.
struct Output<'m> {
    meter: &'m Meter,
    text: String,
}

fn format<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let [Value::String(pattern), Value::List(values)] = arguments else {
        return Err(mismatch());
    };
    host.meter.scan(pattern.len())?;
    let mut output = Output { meter: host.meter, text: String::new() };
    let mut values = values.iter().enumerate();
    let mut rest = pattern.chars().peekable();
    while let Some(char) = rest.next() {
        if char != '%' {
            output.push(char)?;
            continue;
        }
        if rest.next_if_eq(&'%').is_some() {
            output.push('%')?;
            continue;
        }
        let precision = precision(&mut rest)?;
        let verb = rest.next().ok_or_else(|| error("unexpected end of string"))?;
        let (_, value) = values
            .next()
            .ok_or_else(|| error("the list of values is shorter than what is to be formatted"))?;
        output.verb(verb, precision, &value)?;
    }
    Ok(Value::string(output.text))
}

/// The number after a point, if there is one.
fn precision(rest: &mut Peekable<Chars<'_>>) -> Result<usize, Fault> {
    if rest.next_if_eq(&'.').is_none() {
        return Ok(DEFAULT_PRECISION);
    }
    let mut precision = 0;
    while let Some(digit) = rest.next_if(char::is_ascii_digit) {
        precision = precision * 10 + digit.to_digit(10).unwrap_or_default() as usize;
        if precision > MAX_PRECISION {
            return Err(error(format!("a precision of more than {MAX_PRECISION}")));
        }
    }
    Ok(precision)
}

// === impl Output ===

impl Output<'_> {
    fn push(&mut self, char: char) -> Result<(), Fault> {
        self.meter.allocate(2 * char.len_utf8())?;
        self.text.push(char);
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), Fault> {
        self.meter.scan(text.len())?;
        self.meter.allocate(2 * text.len())?;
        self.text.push_str(text);
        Ok(())
    }

    fn verb(&mut self, verb: char, precision: usize, value: &Value<'_>) -> Result<(), Fault> {
        let unfit =
            |what: &str| error(format!("{what} clause cannot be used on a {}", value.type_name()));
        match (verb, value) {
            ('s', value) => self.value(value),
            ('d', Value::Int(int)) => self.text(&int.to_string()),
            ('d', Value::Uint(uint)) => self.text(&uint.to_string()),
            ('d', _) => Err(unfit("decimal")),
            ('f', Value::Double(double)) if double.is_finite() => {
                self.text(&format!("{double:.precision$}"))
            }
            ('e', Value::Double(double)) if double.is_finite() => {
                self.text(&scientific(*double, precision))
            }
            ('f' | 'e', Value::Double(double)) => self.text(&double_text(*double)),
            ('f', _) => Err(unfit("fixed-point")),
            ('e', _) => Err(unfit("scientific")),
            ('b', Value::Bool(bool)) => self.text(if *bool { "1" } else { "0" }),
            ('b', Value::Int(int)) => self.signed(*int, |int| format!("{int:b}")),
            ('b', Value::Uint(uint)) => self.text(&format!("{uint:b}")),
            ('b', _) => Err(unfit("binary")),
            ('o', Value::Int(int)) => self.signed(*int, |int| format!("{int:o}")),
            ('o', Value::Uint(uint)) => self.text(&format!("{uint:o}")),
            ('o', _) => Err(unfit("octal")),
            ('x', Value::Int(int)) => self.signed(*int, |int| format!("{int:x}")),
            ('X', Value::Int(int)) => self.signed(*int, |int| format!("{int:X}")),
            ('x', Value::Uint(uint)) => self.text(&format!("{uint:x}")),
            ('X', Value::Uint(uint)) => self.text(&format!("{uint:X}")),
            ('x' | 'X', Value::String(text)) => self.hex(text.as_bytes(), verb),
            ('x' | 'X', Value::Bytes(bytes)) => self.hex(bytes, verb),
            ('x' | 'X', _) => Err(unfit("hex")),
            (other, _) => Err(error(format!("unrecognized formatting clause \"{other}\""))),
        }
    }

    fn signed(&mut self, int: i64, digits: fn(u64) -> String) -> Result<(), Fault> {
        let sign = if int < 0 { "-" } else { "" };
        self.text(sign)?;
        self.text(&digits(int.unsigned_abs()))
    }

    fn hex(&mut self, bytes: &[u8], verb: char) -> Result<(), Fault> {
        self.meter.scan(2 * bytes.len())?;
        self.meter.allocate(4 * bytes.len())?;
        for byte in bytes {
            let written = match verb {
                'X' => write!(self.text, "{byte:02X}"),
                _ => write!(self.text, "{byte:02x}"),
            };
            written.map_err(|_| mismatch())?;
        }
        Ok(())
    }

    /// A value as `string()` writes it, lists and maps as CEL writes them.
    fn value(&mut self, value: &Value<'_>) -> Result<(), Fault> {
        match value {
            Value::Null => self.text("null"),
            Value::Bool(bool) => self.text(if *bool { "true" } else { "false" }),
            Value::Int(int) => self.text(&int.to_string()),
            Value::Uint(uint) => self.text(&uint.to_string()),
            Value::Double(double) => self.text(&double_text(*double)),
            Value::String(text) => self.text(text),
            Value::Bytes(bytes) => self.text(&String::from_utf8_lossy(bytes)),
            Value::Duration(duration) => self.text(&duration_text(*duration)),
            Value::Timestamp(timestamp) => self.text(&timestamp.to_string()),
            Value::Type(_) => match value {
                Value::Type(type_) => self.text(&type_.to_string()),
                _ => Ok(()),
            },
            Value::List(list) => self.list(list),
            Value::Map(map) => self.map(map),
            Value::Optional(_) | Value::Opaque(_) => {
                Err(error(format!("string clause cannot be used on a {}", value.type_name())))
            }
        }
    }

    /// A value within a list or a map, as CEL's literals are.
    fn literal(&mut self, value: &Value<'_>) -> Result<(), Fault> {
        self.meter.step(1)?;
        match value {
            Value::String(text) => self.quoted("", text),
            Value::Bytes(bytes) => self.quoted("b", &String::from_utf8_lossy(bytes)),
            Value::Double(double) if double.is_finite() => {
                self.text(&format!("{double:.DEFAULT_PRECISION$}"))
            }
            Value::Double(double) => self.quoted("", &double_text(*double)),
            Value::Duration(duration) => {
                self.text("duration(")?;
                self.quoted("", &duration_text(*duration))?;
                self.push(')')
            }
            Value::Timestamp(timestamp) => {
                self.text("timestamp(")?;
                self.quoted("", &timestamp.to_string())?;
                self.push(')')
            }
            other => self.value(other),
        }
    }

    fn quoted(&mut self, prefix: &str, text: &str) -> Result<(), Fault> {
        self.text(prefix)?;
        self.meter.allocate(text.len())?;
        self.text(&format!("{text:?}"))
    }

    fn list(&mut self, list: &List<'_>) -> Result<(), Fault> {
        self.push('[')?;
        for (index, element) in list.iter().enumerate() {
            if index > 0 {
                self.text(", ")?;
            }
            self.literal(&element)?;
        }
        self.push(']')
    }

    fn map(&mut self, map: &Map<'_>) -> Result<(), Fault> {
        self.meter.step(map.len() as u64)?;
        self.push('{')?;
        for (index, (key, value)) in map.entries().enumerate() {
            if index > 0 {
                self.text(", ")?;
            }
            match key {
                Key::String(text) => self.quoted("", &text)?,
                key => self.value(&key.into_value())?,
            }
            self.text(": ")?;
            self.literal(&value)?;
        }
        self.push('}')
    }
}

/// A double with an exponent of at least two digits.
fn scientific(double: f64, precision: usize) -> String {
    let text = format!("{double:.precision$e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = match exponent.strip_prefix('-') {
                Some(exponent) => ('-', exponent),
                None => ('+', exponent),
            };
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}
