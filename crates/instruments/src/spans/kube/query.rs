//! The attributes of `kyverno_client_queries`: a call in the words of Kyverno's clients.
//!
//! Kyverno has a generated client for each API group that it knows, which knows the kinds; its
//! dynamic client knows plural names only. Which of them would have made a call follows from the
//! group. The group of Pharos's own resources is one that Kyverno would call by its dynamic client.

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, Request};
use opentelemetry::KeyValue;

use super::operation::Operation;
use crate::catalogue::key;

/// The kinds that Pharos calls about, by group and plural name, and whose client Kyverno has.
const KINDS: [(&str, &str, &str); 30] = [
    ("", "configmaps", "ConfigMap"),
    ("", "events", "Event"),
    ("", "namespaces", "Namespace"),
    ("", "pods", "Pod"),
    ("", "secrets", "Secret"),
    ("", "services", "Service"),
    (
        "admissionregistration.k8s.io",
        "mutatingwebhookconfigurations",
        "MutatingWebhookConfiguration",
    ),
    (
        "admissionregistration.k8s.io",
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
    ),
    ("apiextensions.k8s.io", "customresourcedefinitions", "CustomResourceDefinition"),
    ("apps", "controllerrevisions", "ControllerRevision"),
    ("apps", "deployments", "Deployment"),
    ("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview"),
    ("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview"),
    ("coordination.k8s.io", "leases", "Lease"),
    ("events.k8s.io", "events", "Event"),
    ("kyverno.io", "clusterpolicies", "ClusterPolicy"),
    ("kyverno.io", "policies", "Policy"),
    ("policies.kyverno.io", "deletingpolicies", "DeletingPolicy"),
    ("policies.kyverno.io", "generatingpolicies", "GeneratingPolicy"),
    ("policies.kyverno.io", "imagevalidatingpolicies", "ImageValidatingPolicy"),
    ("policies.kyverno.io", "mutatingpolicies", "MutatingPolicy"),
    ("policies.kyverno.io", "namespaceddeletingpolicies", "NamespacedDeletingPolicy"),
    ("policies.kyverno.io", "namespacedgeneratingpolicies", "NamespacedGeneratingPolicy"),
    ("policies.kyverno.io", "namespacedimagevalidatingpolicies", "NamespacedImageValidatingPolicy"),
    ("policies.kyverno.io", "namespacedmutatingpolicies", "NamespacedMutatingPolicy"),
    ("policies.kyverno.io", "namespacedvalidatingpolicies", "NamespacedValidatingPolicy"),
    ("policies.kyverno.io", "policyexceptions", "PolicyException"),
    ("policies.kyverno.io", "validatingpolicies", "ValidatingPolicy"),
    ("rbac.authorization.k8s.io", "clusterrolebindings", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io", "rolebindings", "RoleBinding"),
];

/// In the order of their declaration, as recording wants them.
pub(super) fn attributes<B>(request: &Request<B>) -> [KeyValue; 4] {
    let operation = Operation::of(request.method(), request.uri());
    let (client, kind) = client(&operation, request.headers());
    [
        KeyValue::new(key::CLIENT_TYPE, client),
        KeyValue::new(key::OPERATION, method(&operation, request)),
        match kind {
            Some(kind) => KeyValue::new(key::RESOURCE_KIND, kind),
            None => KeyValue::new(key::RESOURCE_KIND, plural(&operation).to_owned()),
        },
        KeyValue::new(key::RESOURCE_NAMESPACE, operation.namespace.to_owned()),
    ]
}

/// Which client, and the kind if that knows it.
fn client(operation: &Operation<'_>, headers: &HeaderMap) -> (&'static str, Option<&'static str>) {
    let Some(resource) = operation.resource else { return ("kubeclient", Some("Discovery")) };
    let has = |name, text: &str| {
        headers.get(name).and_then(|it| it.to_str().ok()).is_some_and(|it| it.contains(text))
    };
    if has(ACCEPT, "as=PartialObjectMetadata") {
        return ("metadata", None);
    }
    let known =
        |(group, plural, _): &&(&str, &str, &str)| (*group, *plural) == (operation.group, resource);
    let Some((group, _, kind)) = KINDS.iter().find(known) else { return ("dynamic", None) };
    let client = match *group {
        "kyverno.io" | "policies.kyverno.io" => "kyverno",
        "apiextensions.k8s.io" => "apiserver",
        _ => "kubeclient",
    };
    (client, Some(kind))
}

fn plural<'a>(operation: &Operation<'a>) -> &'a str {
    operation.resource.unwrap_or_default()
}

/// The method of a client of Go's, in its metrics' spelling.
fn method<B>(operation: &Operation<'_>, request: &Request<B>) -> &'static str {
    let content = request.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let applied = content.is_some_and(|it| it.starts_with("application/apply-patch"));
    let of_status = operation.part == Some("status");
    match operation.verb {
        "update" if of_status => "update_status",
        "patch" if applied && of_status => "apply_status",
        "patch" if applied => "apply",
        "deletecollection" => "delete_collection",
        "other" => discovery(request.uri().path()),
        verb => verb,
    }
}

fn discovery(path: &str) -> &'static str {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    match (segments.next(), segments.next(), segments.next(), segments.next()) {
        (Some("api" | "apis"), None, None, None) => "server_groups",
        (Some("api"), Some(_), None, None) | (Some("apis"), Some(_), Some(_), None) => {
            "server_resources_for_group_version"
        }
        (Some("version"), ..) => "server_version",
        (Some("openapi"), ..) => "open_apiv3",
        _ => "rest_client",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(method: &str, path: &str, header: Option<(&str, &str)>) -> String {
        let mut request = Request::builder().method(method).uri(path);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        let attributes = attributes(&request.body(()).unwrap());
        attributes.map(|attribute| attribute.value.to_string()).join(" ")
    }

    #[test]
    fn a_call_is_told_as_the_client_of_kyverno_would_that_makes_it() {
        let leases = "/apis/coordination.k8s.io/v1/namespaces/kyverno/leases";
        let policy = "/apis/policies.kyverno.io/v1/validatingpolicies";
        let configs = "/apis/telemetry.pharos.dev/v1alpha1/telemetryconfigs";
        let apply = Some(("content-type", "application/apply-patch+yaml"));
        let metadata =
            Some(("accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"));
        let cases = [
            ("GET", format!("{leases}/leader"), None, "kubeclient get Lease kyverno"),
            ("PUT", format!("{leases}/leader"), None, "kubeclient update Lease kyverno"),
            ("GET", format!("{policy}?watch=true"), None, "kyverno watch ValidatingPolicy "),
            ("PUT", format!("{policy}/a/status"), None, "kyverno update_status ValidatingPolicy "),
            (
                "PATCH",
                format!("{policy}/a/status"),
                apply,
                "kyverno apply_status ValidatingPolicy ",
            ),
            (
                "GET",
                "/apis/policies.kyverno.io/v1/mutatingpolicies".to_owned(),
                None,
                "kyverno list MutatingPolicy ",
            ),
            ("GET", configs.to_owned(), None, "dynamic list telemetryconfigs "),
            ("PATCH", format!("{configs}/a"), apply, "dynamic apply telemetryconfigs "),
            ("GET", "/api/v1/secrets".to_owned(), metadata, "metadata list secrets "),
            ("DELETE", "/api/v1/pods".to_owned(), None, "kubeclient delete_collection Pod "),
            ("GET", "/apis".to_owned(), None, "kubeclient server_groups Discovery "),
            (
                "GET",
                "/apis/apps/v1".to_owned(),
                None,
                "kubeclient server_resources_for_group_version Discovery ",
            ),
            ("GET", "/version".to_owned(), None, "kubeclient server_version Discovery "),
        ];
        for (method, path, header, expected) in cases {
            assert_eq!(told(method, &path, header), expected, "{method} {path}");
        }
    }
}
