//! Values as JSON, in the notation of Go: keys in order, `<`, `>` and `&` escaped, numbers as
//! JavaScript writes them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::super::arguments::error;
use crate::cel::meter::{Fault, Host};
use crate::cel::value::{Key, Value};

/// Appends a value.
pub(super) fn write(host: &Host<'_>, value: &Value<'_>, to: &mut String) -> Result<(), Fault> {
    host.meter.step(1)?;
    let before = to.len();
    match value {
        Value::Null => to.push_str("null"),
        Value::Bool(bool) => to.push_str(if *bool { "true" } else { "false" }),
        Value::Int(int) => to.push_str(&int.to_string()),
        Value::Uint(uint) => to.push_str(&uint.to_string()),
        Value::Double(double) => to.push_str(&number(*double)?),
        Value::String(text) => {
            host.meter.scan(text.len())?;
            host.meter.allocate(6 * text.len())?;
            quote(text, to);
        }
        Value::Bytes(bytes) => {
            host.meter.scan(bytes.len())?;
            host.meter.allocate(2 * bytes.len())?;
            quote(&STANDARD.encode(&**bytes), to);
        }
        Value::Duration(duration) => to.push_str(&duration.as_nanos().to_string()),
        Value::Timestamp(time) => quote(&time.to_string(), to),
        Value::List(list) => {
            to.push('[');
            for (index, element) in list.iter().enumerate() {
                if index > 0 {
                    to.push(',');
                }
                write(host, &element, to)?;
            }
            to.push(']');
        }
        Value::Map(map) => {
            to.push('{');
            for (index, (key, value)) in map.entries().enumerate() {
                let Key::String(name) = &key else {
                    return Err(error("the keys of a JSON object are strings"));
                };
                if index > 0 {
                    to.push(',');
                }
                quote(name, to);
                to.push(':');
                write(host, &value, to)?;
            }
            to.push('}');
        }
        Value::Optional(_) | Value::Type(_) | Value::Opaque(_) => {
            return Err(error(format!("JSON has no {}", value.type_of())));
        }
    }
    host.meter.allocate(to.len() - before)
}

fn quote(text: &str, to: &mut String) {
    to.push('"');
    for character in text.chars() {
        match character {
            '"' => to.push_str("\\\""),
            '\\' => to.push_str("\\\\"),
            '\u{8}' => to.push_str("\\b"),
            '\u{c}' => to.push_str("\\f"),
            '\n' => to.push_str("\\n"),
            '\r' => to.push_str("\\r"),
            '\t' => to.push_str("\\t"),
            '\0'..' ' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                to.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            character => to.push(character),
        }
    }
    to.push('"');
}

fn number(double: f64) -> Result<String, Fault> {
    if !double.is_finite() {
        return Err(error(format!("JSON has no {double}")));
    }
    let size = double.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let written = format!("{double:e}");
        return Ok(if written.contains("e-") { written } else { written.replace('e', "e+") });
    }
    Ok(double.to_string())
}
