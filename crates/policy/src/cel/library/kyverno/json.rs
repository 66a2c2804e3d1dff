//! JSON, read and written.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::super::Library;
use super::super::arguments::{error, text};
use crate::cel::meter::{Fault, Host};
use crate::cel::types::Type;
use crate::cel::value::{Key, MAP_BYTES, Text, Value};

mod write;

/// What a byte of text may become while it is read.
const BYTES_PER_BYTE: usize = 16;

/// Declares the library.
pub(super) fn declare(library: &mut Library) {
    library.global("json.unmarshal", [Type::Dyn], Type::Dyn, |host, arguments| {
        let written = text(arguments, 0)?;
        charge(host, written, '{')?;
        let json = serde_json::from_str(written);
        value_of(host, json.map_err(|reason| error(format!("not JSON: {reason}")))?)
    });
    library.global("json.marshal", [Type::Dyn], Type::String, |host, arguments| {
        let mut written = String::new();
        for argument in arguments {
            write::write(host, argument, &mut written)?;
        }
        Ok(Value::string(written))
    });
}

/// Pays for reading a text in which each of `maps` begins an object, or more than one.
pub(super) fn charge(host: &Host<'_>, written: &str, maps: char) -> Result<(), Fault> {
    host.meter.scan(BYTES_PER_BYTE * written.len())?;
    let maps = written.matches(maps).count();
    host.meter.allocate(BYTES_PER_BYTE * written.len() + MAP_BYTES * maps)
}

/// JSON that was read during an evaluation. All of its numbers are doubles, as in Kyverno; those of
/// the request are not.
pub(super) fn value_of<'a>(host: &Host<'_>, json: Json) -> Result<Value<'a>, Fault> {
    host.meter.step(1)?;
    host.meter.allocate(size_of::<Value<'_>>())?;
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(bool) => Value::Bool(bool),
        Json::Number(number) => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => {
            host.meter.allocate(text.len())?;
            Value::string(text)
        }
        Json::Array(elements) => {
            let values = elements.into_iter().map(|element| value_of(host, element));
            Value::list(values.collect::<Result<_, _>>()?)
        }
        Json::Object(fields) => {
            let mut entries = BTreeMap::new();
            host.meter.allocate(if fields.is_empty() { 0 } else { MAP_BYTES })?;
            for (name, value) in fields {
                host.meter.allocate(name.len() + size_of::<Key<'_>>())?;
                entries.insert(Key::String(Text::Shared(name.into())), value_of(host, value)?);
            }
            Value::map(entries)
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::cel::library::tests::{call, call_within, error_of, text_of, value};
    use crate::cel::meter::{Budget, Fault};
    use crate::cel::value::Value;

    #[test]
    fn what_is_read_is_written_the_same() {
        for text in [
            r#"{"a":[1,-2.5,true,null],"b":{"c":"d"}}"#,
            "[]",
            "{}",
            "\"\\u003c\\n\\u2028é\"",
            "1e+30",
            "1e-7",
            "0",
        ] {
            let read = value("json.unmarshal", &[Value::string(text)]);
            assert_eq!(text_of("json.marshal", &[read]), text);
        }
        let number = value("json.unmarshal", &[Value::string("3")]);
        assert!(matches!(number, Value::Double(3.0)), "{number:?}");
        for text in ["", "{", "{a:1}", "1 2", "1e999", "nul"] {
            error_of("json.unmarshal", &[Value::string(text)]);
        }
        let object = json!({ "b": 1, "a": "<&>", "c": { "d": [1.5] } });
        let written = text_of("json.marshal", &[Value::of_json(&object.into())]);
        assert_eq!(written, r#"{"a":"\u003c\u0026\u003e","b":1,"c":{"d":[1.5]}}"#);
    }

    #[test]
    fn what_json_has_no_word_for_is_refused() {
        error_of("json.marshal", &[Value::Double(f64::NAN)]);
        error_of("json.marshal", &[Value::Type(crate::cel::types::Type::Int)]);
        let bytes = Value::Bytes(crate::cel::value::Octets::Borrowed(b"abc"));
        assert_eq!(text_of("json.marshal", &[bytes]), "\"YWJj\"");
    }

    #[test]
    fn hostile_text_ends_in_an_error_or_in_the_budget() {
        for text in ["[".repeat(100_000), format!("{}1", "[".repeat(1_000))] {
            let budget = Budget { steps: 1 << 30, bytes: 1 << 30 };
            let result = call_within(budget, "json.unmarshal", &[Value::string(text)]);
            assert!(matches!(result, Err(Fault::Error(_))), "{result:?}");
        }
        let zeros = format!("[{}0]", "0,".repeat(300_000));
        let result = call("json.unmarshal", &[Value::string(zeros)]);
        assert!(matches!(result, Err(Fault::Exhausted(_))), "{result:?}");
    }
}
