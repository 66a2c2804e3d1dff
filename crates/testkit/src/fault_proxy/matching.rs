//! What was asked, and which requests a fault is meant for.

use bytes::Bytes;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

/// A request that arrived at the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxiedRequest {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: String,
    /// The query without its question mark, empty where there is none.
    pub query: String,
    /// The resource in the plural with its subresource, such as `telemetryconfigs/status`. Empty for
    /// a path that names none.
    pub resource: String,
    /// The name of the object. Empty for a collection.
    pub name: String,
    /// The body.
    pub body: Bytes,
    /// The status of the answer, once it began.
    pub status: Option<StatusCode>,
}

/// Selects requests: those that everything said here applies to.
#[derive(Clone, Debug, Default)]
pub struct Matching {
    method: Option<Method>,
    path: String,
    body: String,
    sort: Sort,
    nth: Option<usize>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sort {
    #[default]
    Any,
    Watch,
    Other,
}

// === impl ProxiedRequest ===

impl ProxiedRequest {
    pub(super) fn new(parts: &Parts, body: Bytes) -> Self {
        let path = parts.uri.path().to_owned();
        let (resource, name) = resource(&path).unwrap_or_default();
        Self {
            method: parts.method.clone(),
            resource,
            name,
            path,
            query: parts.uri.query().unwrap_or_default().to_owned(),
            body,
            status: None,
        }
    }

    /// Whether it is a watch.
    #[must_use]
    pub fn is_watch(&self) -> bool {
        self.query.split('&').any(|pair| matches!(pair, "watch=true" | "watch=1"))
    }

    /// Whether it may change something.
    #[must_use]
    pub fn is_write(&self) -> bool {
        self.method != Method::GET
    }

    /// Whether it reads a whole collection: a list, or a watch.
    pub(super) fn reads_collection(&self) -> bool {
        self.method == Method::GET && !self.resource.is_empty() && self.name.is_empty()
    }

    /// The name that a field selector of the query asks for.
    pub(super) fn selected_name(&self) -> Option<&str> {
        let selector =
            self.query.split('&').find_map(|pair| pair.strip_prefix("fieldSelector="))?;
        selector
            .strip_prefix("metadata.name%3D")
            .or_else(|| selector.strip_prefix("metadata.name="))
    }
}

/// The resource that a path of the Kubernetes API names, with its subresource, and the object.
fn resource(path: &str) -> Option<(String, String)> {
    let mut segments = path.trim_start_matches('/').split('/');
    match segments.next()? {
        "api" => segments.next()?,
        "apis" => segments.nth(1)?,
        _ => return None,
    };
    let (mut resource, mut name) = (segments.next()?, segments.next());
    let mut subresource = segments.next();
    if let ("namespaces", Some(_), Some(namespaced)) = (resource, name, subresource) {
        (resource, name, subresource) = (namespaced, segments.next(), segments.next());
    }
    let resource = match subresource {
        Some(subresource) => format!("{resource}/{subresource}"),
        None => resource.to_owned(),
    };
    Some((resource, name.unwrap_or_default().to_owned()))
}

// === impl Matching ===

impl Matching {
    /// Every request.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Requests whose path contains this.
    #[must_use]
    pub fn path(contains: &str) -> Self {
        Self { path: contains.to_owned(), ..Self::default() }
    }

    /// Of these, those with this method.
    #[must_use]
    pub fn method(self, method: Method) -> Self {
        Self { method: Some(method), ..self }
    }

    /// Of these, those whose body contains this.
    #[must_use]
    pub fn body(self, contains: &str) -> Self {
        Self { body: contains.to_owned(), ..self }
    }

    /// Of these, watches.
    #[must_use]
    pub fn watches(self) -> Self {
        Self { sort: Sort::Watch, ..self }
    }

    /// Of these, those that are no watches.
    #[must_use]
    pub fn no_watches(self) -> Self {
        Self { sort: Sort::Other, ..self }
    }

    /// Of these, only the `nth` that arrives while the fault is in force; the first is 1.
    #[must_use]
    pub fn nth(self, nth: usize) -> Self {
        Self { nth: Some(nth), ..self }
    }

    /// Whether everything but `nth` applies.
    pub(super) fn selects(&self, request: &ProxiedRequest) -> bool {
        let sort = match self.sort {
            Sort::Any => true,
            Sort::Watch => request.is_watch(),
            Sort::Other => !request.is_watch(),
        };
        sort && self.method.as_ref().is_none_or(|method| *method == request.method)
            && request.path.contains(&self.path)
            && (self.body.is_empty() || String::from_utf8_lossy(&request.body).contains(&self.body))
    }

    /// Whether the request that came as number `count` is meant.
    pub(super) fn is_turn(&self, count: usize) -> bool {
        self.nth.is_none_or(|nth| nth == count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_resources() {
        for (path, expected) in [
            ("/api/v1/namespaces/pharos/secrets", Some(("secrets", ""))),
            ("/api/v1/secrets", Some(("secrets", ""))),
            ("/api/v1/namespaces", Some(("namespaces", ""))),
            ("/api/v1/namespaces/pharos", Some(("namespaces", "pharos"))),
            ("/apis/coordination.k8s.io/v1/namespaces/n/leases/x", Some(("leases", "x"))),
            (
                "/apis/telemetry.pharos.dev/v1alpha1/namespaces/n/telemetryconfigs/x/status",
                Some(("telemetryconfigs/status", "x")),
            ),
            (
                "/apis/policies.kyverno.io/v1/validatingpolicies/x",
                Some(("validatingpolicies", "x")),
            ),
            ("/readyz", None),
            ("/apis", None),
        ] {
            let expected = expected.map(|(resource, name)| (resource.to_owned(), name.to_owned()));
            assert_eq!(resource(path), expected, "{path}");
        }
    }
}
