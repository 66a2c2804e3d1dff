//! What a call to the Kubernetes API does, by its method and path, without the object's name.

use std::borrow::Cow;

use http::{Method, Uri};

/// What is done to which resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operation<'a> {
    pub(super) verb: &'static str,
    pub(super) group: &'a str,
    /// Empty where the call is about none, or about all of them.
    pub(super) namespace: &'a str,
    /// The plural name; none for what is no resource, such as `/version`.
    pub(super) resource: Option<&'a str>,
    pub(super) part: Option<&'a str>,
}

// === impl Operation ===

impl<'a> Operation<'a> {
    pub(super) fn of(method: &Method, uri: &'a Uri) -> Self {
        let segments: Vec<_> = uri.path().split('/').filter(|it| !it.is_empty()).collect();
        let (group, rest) = match segments.as_slice() {
            ["api", _version, rest @ ..] => ("", rest),
            ["apis", group, _version, rest @ ..] => (*group, rest),
            _ => ("", &[][..]),
        };
        let (namespace, rest) = match rest {
            // The parts that a Namespace has; anything else below one is a resource in it.
            ["namespaces", _, "status" | "finalize"] => ("", rest),
            ["namespaces", namespace, inside @ ..] if !inside.is_empty() => (*namespace, inside),
            _ => ("", rest),
        };
        let watched = uri.query().is_some_and(|query| {
            query.split('&').any(|pair| matches!(pair, "watch" | "watch=true" | "watch=1"))
        });
        let verb = verb(method, watched, rest.len() > 1);
        let (resource, part) = (rest.first().copied(), rest.get(2).copied());
        let verb = if resource.is_some() { verb } else { "other" };
        Self { verb, group, namespace, resource, part }
    }

    pub(super) fn span_name(&self) -> String {
        let Self { verb, group, .. } = self;
        let resource = self.resource_and_part().unwrap_or_default();
        let dot = if group.is_empty() { "" } else { "." };
        format!("KUBE {resource}{dot}{group}/{verb}")
    }

    pub(super) fn resource_and_part(&self) -> Option<Cow<'a, str>> {
        match (self.resource?, self.part) {
            (resource, None) => Some(resource.into()),
            (resource, Some(part)) => Some(format!("{resource}/{part}").into()),
        }
    }
}

fn verb(method: &Method, watched: bool, named: bool) -> &'static str {
    match (method.as_str(), named) {
        ("GET", _) if watched => "watch",
        ("GET", true) => "get",
        ("GET", false) => "list",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", true) => "delete",
        ("DELETE", false) => "deletecollection",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_told_without_the_name_of_its_object() {
        let cases = [
            ("GET", "/api/v1/namespaces/shop", "KUBE namespaces/get"),
            ("GET", "/api/v1/namespaces?limit=500", "KUBE namespaces/list"),
            ("PUT", "/api/v1/namespaces/shop/finalize", "KUBE namespaces/finalize/update"),
            ("GET", "/api/v1/namespaces/shop/pods/web/log", "KUBE pods/log/get"),
            ("GET", "/api/v1/pods?watch=true&timeoutSeconds=60", "KUBE pods/watch"),
            (
                "PATCH",
                "/apis/telemetry.pharos.dev/v1alpha1/telemetryconfigs/default/status?force=true",
                "KUBE telemetryconfigs/status.telemetry.pharos.dev/patch",
            ),
            (
                "PUT",
                "/apis/coordination.k8s.io/v1/namespaces/pharos/leases/leader",
                "KUBE leases.coordination.k8s.io/update",
            ),
            ("POST", "/api/v1/namespaces/pharos/secrets", "KUBE secrets/create"),
            ("DELETE", "/api/v1/namespaces/pharos/secrets", "KUBE secrets/deletecollection"),
            ("DELETE", "/api/v1/namespaces/pharos/secrets/s", "KUBE secrets/delete"),
            ("GET", "/version", "KUBE /other"),
            ("GET", "/apis/apps/v1", "KUBE .apps/other"),
        ];
        for (method, path, name) in cases {
            let uri: Uri = path.parse().unwrap();
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(Operation::of(&method, &uri).span_name(), name);
        }
    }
}
