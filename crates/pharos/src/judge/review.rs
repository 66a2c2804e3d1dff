//! The request that an API server would send about an object.

use pharos_policy::{Json, Operation, UserRoles};
use serde_json::{Value, json};

use super::object::{Object, group, version};
use super::{Circumstances, UserInfo};

/// A request, and what is known about it beside.
#[derive(Debug)]
pub(crate) struct Review<'a> {
    /// The `request` of an AdmissionReview.
    pub(super) request: Json<'static>,
    /// The Namespace that it is in.
    pub(super) namespace: Option<Json<'static>>,
    /// The roles of whoever asks.
    pub(super) user_roles: UserRoles<'a>,
}

/// The label that every Namespace has: its name.
const OWN_LABEL: &str = "kubernetes.io/metadata.name";

/// A Namespace of which nothing is known but its name, with the label that every one has.
pub(super) fn minimal_namespace(name: &str) -> Value {
    let labels = json!({OWN_LABEL: name});
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

/// A Namespace from a manifest as the API server holds it.
pub(super) fn with_its_own_label(mut namespace: Value) -> Value {
    let name = namespace["metadata"]["name"].clone();
    if let Some(metadata) = namespace.get_mut("metadata").and_then(Value::as_object_mut) {
        let labels = metadata.entry("labels").or_insert_with(|| json!({}));
        if let Some(labels) = labels.as_object_mut() {
            labels.insert(OWN_LABEL.to_owned(), name);
        }
    }
    namespace
}

// === impl Review ===

impl<'a> Review<'a> {
    /// The request that does this to the object.
    pub(super) fn of(object: &Object, operation: Operation, known: &'a Circumstances) -> Self {
        let id = &object.id;
        let (group, version) = (group(&id.api_version), version(&id.api_version));
        let (resource, sub_resource) = match known.values.parent(group, version, &id.kind) {
            Some(parent) => (
                json!({"group": parent.group, "version": parent.version, "resource": parent.resource}),
                parent.sub_resource,
            ),
            None => {
                let resource = &object.served.resource;
                (json!({"group": group, "version": version, "resource": resource}), String::new())
            }
        };
        let kind = json!({"group": group, "version": version, "kind": id.kind});
        let is_namespace = group.is_empty() && id.kind == "Namespace";
        // The API server gives a Namespace its own name for a namespace.
        let namespace = if is_namespace { &id.name } else { &id.namespace };
        let (after, before) = match operation {
            Operation::Create | Operation::Connect => (&object.value, &Value::Null),
            Operation::Update => (&object.value, &object.value),
            Operation::Delete => (&Value::Null, &object.value),
        };
        let mut request = json!({
            "uid": "00000000-0000-0000-0000-000000000000",
            "kind": kind,
            "resource": resource,
            "requestKind": kind,
            "requestResource": resource,
            "name": id.name,
            "operation": operation.as_str(),
            "userInfo": known.user.user_info,
            "object": after,
            "oldObject": before,
            "dryRun": false,
            "options": null,
        });
        if !namespace.is_empty() {
            request["namespace"] = json!(namespace);
        }
        if !sub_resource.is_empty() {
            request["subResource"] = json!(sub_resource);
            request["requestSubResource"] = json!(sub_resource);
        }
        let in_one = !is_namespace && !namespace.is_empty();
        let UserInfo { roles, cluster_roles, .. } = &known.user;
        Self {
            request: request.into(),
            namespace: in_one.then(|| known.namespace(namespace).into()),
            user_roles: UserRoles { roles, cluster_roles },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::Document;
    use crate::judge::Kinds;

    fn object(value: Value) -> Object {
        Object::of(Document { file: "f".to_owned(), value }, &Kinds::default()).unwrap()
    }

    fn pod() -> Object {
        object(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}))
    }

    #[test]
    fn object_and_old_object_are_those_of_the_operation() {
        let known = Circumstances::default();
        for (operation, has_object, has_old_object) in [
            (Operation::Create, true, false),
            (Operation::Update, true, true),
            (Operation::Delete, false, true),
        ] {
            let request = Review::of(&pod(), operation, &known).request;
            let has = |state: &str| request.get(state).is_some_and(Json::is_object);
            let has = (has("object"), has("oldObject"));
            assert_eq!(has, (has_object, has_old_object), "{operation}");
            assert_eq!(request.get("operation"), Some(&operation.as_str().into()));
        }
    }

    #[test]
    fn the_namespace_is_that_of_the_values_or_has_but_its_name() {
        let mut known = Circumstances::default();
        let label = |known: &Circumstances, key: &str| {
            let namespace = Review::of(&pod(), Operation::Create, known).namespace.unwrap();
            let label = namespace.pointer("/metadata/labels").and_then(|labels| labels.get(key));
            label.and_then(Json::as_str).unwrap().to_owned()
        };
        assert_eq!(label(&known, "kubernetes.io/metadata.name"), "default");
        known.namespaces =
            vec![json!({"metadata": {"name": "default", "labels": {"a": "object"}}})];
        assert_eq!(label(&known, "a"), "object");
        assert_eq!(label(&known, "kubernetes.io/metadata.name"), "default");
        let values = json!({"namespaceSelector": [{"name": "default", "labels": {"a": "value"}}]});
        known.values = super::super::Values::parse(values).unwrap();
        assert_eq!(label(&known, "a"), "value");
    }

    #[test]
    fn a_namespace_is_in_itself_and_what_is_in_none_has_none() {
        let known = Circumstances::default();
        let namespace =
            object(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}));
        let node = object(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}));
        let of_namespace = Review::of(&namespace, Operation::Create, &known);
        let of_node = Review::of(&node, Operation::Create, &known);
        assert_eq!(of_namespace.request.get("namespace"), Some(&"n".into()));
        assert_eq!(of_node.request.get("namespace"), None);
        assert!(of_namespace.namespace.is_none() && of_node.namespace.is_none());
    }
}
