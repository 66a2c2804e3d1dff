//! What the name of a user says.

use std::collections::BTreeMap;

use super::super::Library;
use super::super::arguments::text;
use crate::cel::meter::{Fault, Host};
use crate::cel::types::{ObjectType, Type};
use crate::cel::value::{Key, Text, Value};

const PREFIX: &str = "system:serviceaccount:";

static SERVICE_ACCOUNT: ObjectType = ObjectType {
    name: "user.ServiceAccount",
    fields: || vec![("Name", Type::String), ("Namespace", Type::String)],
};

/// Declares the library.
pub(super) fn declare(library: &mut Library) {
    for name in ["parseServiceAccount", "user.parseServiceAccount"] {
        library.global(name, [Type::String], Type::Object(&SERVICE_ACCOUNT), service_account);
    }
}

/// The parts of a ServiceAccount's user name; both are empty if it is none.
fn service_account<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let user = text(arguments, 0)?;
    host.meter.scan(user.len())?;
    host.meter.allocate(user.len() + 2 * size_of::<Value<'_>>())?;
    let parts = user.strip_prefix(PREFIX).and_then(|rest| rest.split_once(':'));
    let (namespace, name) = parts.unwrap_or_default();
    let field = |field, of: &str| (Key::String(Text::Borrowed(field)), Value::string(of));
    Ok(Value::map(BTreeMap::from([field("Name", name), field("Namespace", namespace)])))
}

#[cfg(test)]
mod tests {
    use crate::cel::library::tests::value;
    use crate::cel::value::{Key, Text, Value};

    #[test]
    fn a_service_account_is_its_namespace_and_name() {
        let parts = |user: &'static str| {
            let Value::Map(map) = value("parseServiceAccount", &[Value::borrowed(user)]) else {
                panic!("no map");
            };
            ["Namespace", "Name"].map(|field| match map.get(&Key::String(Text::Borrowed(field))) {
                Some(Value::String(text)) => text.to_string(),
                other => panic!("{other:?}"),
            })
        };
        assert_eq!(parts("system:serviceaccount:ns:name"), ["ns", "name"]);
        assert_eq!(parts("system:serviceaccount:ns:a:b"), ["ns", "a:b"]);
        assert_eq!(parts("system:serviceaccount:ns"), ["", ""]);
        assert_eq!(parts("kubernetes-admin"), ["", ""]);
    }
}
