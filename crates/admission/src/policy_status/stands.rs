//! Whether a status needs to be written. Pure.

use serde_json::{Map, Value};

/// Whether all of `desired` stands, and nothing that was generated from an earlier policy.
pub(super) fn stands(desired: &Value, current: &Value) -> bool {
    generated(desired) == generated(current) && holds(desired, current)
}

/// What is generated from a policy, by name.
fn generated(status: &Value) -> Vec<&str> {
    let configs = status.pointer("/autogen/configs").and_then(Value::as_object);
    let configs = configs.into_iter().flat_map(Map::keys).map(String::as_str);
    let rules = status.pointer("/autogen/rules").and_then(Value::as_array);
    let rules = rules.into_iter().flatten().filter_map(|rule| rule["name"].as_str());
    configs.chain(rules).collect()
}

/// Whether `desired` is part of `current`: what others and the definition's defaults add is theirs.
fn holds(desired: &Value, current: &Value) -> bool {
    match (desired, current) {
        (Value::Object(desired), Value::Object(current)) => desired
            .iter()
            .all(|(field, value)| current.get(field).is_some_and(|it| holds(value, it))),
        // Conditions, whose order does not count.
        (Value::Array(desired), Value::Array(current)) if desired.iter().all(has_type) => {
            desired.iter().all(|it| current.iter().any(|other| holds(it, other)))
        }
        (Value::Array(desired), Value::Array(current)) => {
            desired.len() == current.len()
                && desired.iter().zip(current).all(|(desired, current)| holds(desired, current))
        }
        _ => desired == current,
    }
}

fn has_type(value: &Value) -> bool {
    value.as_object().is_some_and(|object| object.contains_key("type"))
}
