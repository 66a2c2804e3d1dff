//! The JSON encoding of OTLP, as far as the tests look into it.
//!
//! Owns turning a line of the file exporter, which is one request, into what it carries: a function
//! for each signal. Fields of default value are absent, and 64-bit integers are strings.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

mod logs;
mod metrics;
mod traces;

pub(super) use logs::logs;
pub(super) use metrics::metrics;
pub(super) use traces::traces;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Attributed {
    attributes: Vec<KeyValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Scope {
    name: String,
}

#[derive(Deserialize)]
struct KeyValue {
    key: String,
    #[serde(default)]
    value: AnyValue,
}

/// `{"stringValue": ..}`, `{"boolValue": ..}`, `{"intValue": ".."}` and their like; empty for no
/// value.
type AnyValue = serde_json::Map<String, serde_json::Value>;

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|pair| (pair.key, text(pair.value))).collect()
}

/// The value as text; lists and maps are JSON.
fn text(value: AnyValue) -> String {
    match value.into_iter().next() {
        Some((_, serde_json::Value::String(text))) => text,
        Some((_, other)) => other.to_string(),
        None => String::new(),
    }
}

/// An id in hexadecimal; the absent one is empty.
fn id(id: String) -> Option<String> {
    (!id.is_empty()).then_some(id)
}

fn integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

fn some_integer<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests;
