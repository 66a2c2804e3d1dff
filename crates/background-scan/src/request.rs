//! The review that an object would come in. Pure.
//!
//! What is in the cluster is judged as if somebody were about to create it, and nobody is known: as
//! Kyverno does, and `pharos test`.

use pharos_policy::{Json, UserRoles};

use crate::target::Target;

/// Nobody has any.
pub(crate) const NO_ROLES: UserRoles<'static> = UserRoles { roles: &[], cluster_roles: &[] };

/// The `request` of the AdmissionReview that would create this object. The object is moved into it.
pub(crate) fn creation<'a>(object: Json<'a>, target: &'a Target) -> Json<'a> {
    let Target { group, version, resource, kind, .. } = target;
    let text = |path| object.pointer(path).and_then(Json::as_str).unwrap_or_default().to_owned();
    let name = text("/metadata/name");
    let is_namespace = group.is_empty() && **resource == *"namespaces";
    // The API server gives a Namespace its own name for a namespace.
    let namespace = if is_namespace { name.clone() } else { text("/metadata/namespace") };
    let of = |what: &'static str, it: &'a str| {
        let fields = [("group", &**group), ("version", &**version), (what, it)];
        fields.into_iter().map(|(field, text)| (field.into(), text.into())).collect::<Json<'a>>()
    };
    let (kind, resource) = (of("kind", kind), of("resource", resource));
    let in_namespace =
        (!namespace.is_empty()).then(|| ("namespace".into(), Json::String(namespace.into())));
    let fields: [(&str, Json<'a>); 11] = [
        ("uid", "00000000-0000-0000-0000-000000000000".into()),
        ("requestKind", kind.clone()),
        ("kind", kind),
        ("requestResource", resource.clone()),
        ("resource", resource),
        ("name", Json::String(name.into())),
        ("operation", "CREATE".into()),
        ("userInfo", Json::empty()),
        ("object", object),
        ("oldObject", Json::Null),
        ("dryRun", Json::Bool(false)),
    ];
    let fields = fields.into_iter().map(|(field, value)| (field.into(), value));
    fields.chain([("options".into(), Json::Null)]).chain(in_namespace).collect()
}

#[cfg(test)]
mod tests {
    use pharos_cluster::discovery::Scope;
    use pharos_policy::{Operation, Request};
    use serde_json::json;

    use super::*;

    fn target(group: &str, resource: &str, kind: &str, scope: Scope) -> Target {
        Target {
            group: group.into(),
            resource: resource.into(),
            version: "v1".into(),
            kind: kind.into(),
            scope,
        }
    }

    #[test]
    fn an_object_is_about_to_be_created_where_it_is() {
        let object = Json::from(json!({"metadata": {"name": "web", "namespace": "shop"}}));
        let target = target("apps", "deployments", "Deployment", Scope::Namespaced);
        let raw = creation(object.clone(), &target);
        let request = Request::parse(&raw).unwrap();
        assert_eq!((request.operation, request.name), (Operation::Create, "web"));
        assert_eq!((request.namespace, request.kind.kind), (Some("shop"), "Deployment"));
        assert_eq!((request.object, request.old_object), (&object, &Json::Null));
        assert!(!request.is_converted());
    }

    #[test]
    fn a_namespace_is_in_itself_and_what_is_in_none_has_none() {
        let object = Json::from(json!({"metadata": {"name": "shop"}}));
        let namespaces = target("", "namespaces", "Namespace", Scope::Cluster);
        let raw = creation(object.clone(), &namespaces);
        assert_eq!(Request::parse(&raw).unwrap().namespace, Some("shop"));
        let nodes = target("", "nodes", "Node", Scope::Cluster);
        let raw = creation(object, &nodes);
        assert_eq!(Request::parse(&raw).unwrap().namespace, None);
    }
}
