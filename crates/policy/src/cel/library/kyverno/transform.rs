//! Lists of objects as a map.

use std::collections::BTreeMap;

use super::super::Library;
use super::super::arguments::{error, list, text};
use crate::cel::meter::{Fault, Host};
use crate::cel::types::Type;
use crate::cel::value::{Key, Map, Text, Value};

/// Declares the library.
pub(super) fn declare(library: &mut Library) {
    let objects = || Type::list(Type::Dyn);
    let map = || Type::map(Type::Dyn, Type::Dyn);
    for name in ["listObjToMap", "transform.listObjToMap"] {
        let parameters = [objects(), objects(), Type::String, Type::String];
        library.global(name, parameters, map(), list_to_map);
    }
}

/// A field of each object of one list, with a field of the object at the same place of the other.
fn list_to_map<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let (keys, values) = (list(arguments, 0)?, list(arguments, 1)?);
    let (key_field, value_field) = (field(arguments, 2)?, field(arguments, 3)?);
    if keys.len() != values.len() {
        let (keys, values) = (keys.len(), values.len());
        return Err(error(format!("the lists have different lengths: {keys} and {values}")));
    }
    let mut entries = BTreeMap::new();
    for (key, value) in keys.iter().zip(values.iter()) {
        host.meter.step(1)?;
        host.meter.allocate(2 * size_of::<Value<'_>>())?;
        let Some(Value::String(key)) = object(&key)?.get(&key_field) else {
            return Err(error("the key of an object is no string"));
        };
        let value = object(&value)?.get(&value_field).unwrap_or(Value::Null);
        entries.insert(Key::String(key), value);
    }
    Ok(Value::map(entries))
}

fn field<'v>(arguments: &'v [Value<'_>], position: usize) -> Result<Key<'v>, Fault> {
    text(arguments, position).map(|name| Key::String(Text::Borrowed(name)))
}

fn object<'v, 'a>(value: &'v Value<'a>) -> Result<&'v Map<'a>, Fault> {
    match value {
        Value::Map(map) => Ok(map),
        _ => Err(error("an element of the lists is no object")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::cel::library::tests::{error_of, value};
    use crate::cel::value::{Key, Text, Value};
    use crate::json::Json;

    #[test]
    fn two_lists_of_objects_become_a_map() {
        let keys = Json::from(json!([{ "name": "a", "x": 1 }, { "name": "b" }]));
        let values = Json::from(json!([{ "value": 1 }, {}]));
        let fields = [Value::borrowed("name"), Value::borrowed("value")];
        let call = |keys, values| {
            let lists = [Value::of_json(keys), Value::of_json(values)];
            lists.into_iter().chain(fields.clone()).collect::<Vec<_>>()
        };
        let Value::Map(map) = value("listObjToMap", &call(&keys, &values)) else {
            panic!("no map")
        };
        let of = |name| map.get(&Key::String(Text::Borrowed(name)));
        assert!(matches!(of("a"), Some(Value::Int(1))));
        assert!(matches!(of("b"), Some(Value::Null)));
        assert_eq!(map.len(), 2);

        let (none, numbers) = (Json::from(json!([])), Json::from(json!([1, 2])));
        error_of("listObjToMap", &call(&keys, &none));
        error_of("transform.listObjToMap", &call(&values, &values));
        error_of("listObjToMap", &call(&numbers, &values));
    }
}
