//! Namespaces as policies see them, for `namespaceSelector` and `namespaceObject`.
//!
//! [`keep`] holds them as JSON, from the moment that a policy needs them. [`Namespaces::find`] asks
//! the API server itself for one that is not there: a Pod may come a moment after its namespace,
//! before the watch has told of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::api::GetParams;
use kube::core::DeserializeGuard;
use kube::runtime::watcher;
use pharos_cluster::view::{self, Observed, Uid, View};
use pharos_policy::Json;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

/// How long a review waits for a namespace that the watch has not told of.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// Namespaces by name.
pub(crate) type Known = Arc<BTreeMap<String, Entry>>;

/// One namespace, and the version that it was rendered from.
#[derive(Clone)]
pub(crate) struct Entry {
    resource_version: Option<String>,
    object: Arc<Json<'static>>,
}

/// Finds namespaces.
pub(crate) struct Namespaces {
    api: Api<Namespace>,
    known: watch::Receiver<Known>,
    /// Where the client's connections live: not with the thread that serves a review.
    runtime: Handle,
}

// === impl Namespaces ===

impl Namespaces {
    /// To be called on the runtime of the client.
    pub(crate) fn new(api: Api<Namespace>, known: watch::Receiver<Known>) -> Self {
        Self { api, known, runtime: Handle::current() }
    }

    /// The namespace of that name, if there is one and the API server can be asked.
    pub(crate) async fn find(&self, name: &str) -> Option<Arc<Json<'static>>> {
        if let Some(entry) = self.known.borrow().get(name) {
            return Some(entry.object.clone());
        }
        match timeout(LOOKUP_TIMEOUT, self.ask(name)).await {
            Ok(Ok(found)) => rendered(&found),
            Ok(Err(kube::Error::Api(status))) if status.is_not_found() => None,
            Ok(Err(error)) => {
                tracing::debug!(namespace = name, %error, "cannot read a namespace");
                None
            }
            Err(_) => None,
        }
    }

    /// As a part of the trace that the review is part of.
    async fn ask(&self, name: &str) -> kube::Result<Namespace> {
        let request = kube::core::Request::new(self.api.resource_url());
        let mut request =
            request.get(name, &GetParams::default()).map_err(kube::Error::BuildRequest)?;
        pharos_instruments::carry_trace(&mut request);
        let client = self.api.clone().into_client();
        let asking = self.runtime.spawn(async move { client.request(request).await });
        AbortOnDropHandle::new(asking).await.map_err(|error| kube::Error::Service(error.into()))?
    }
}

/// Keeps `known` what the API server holds, once somebody `needs` it, for as long as it is polled.
pub(crate) async fn keep(
    api: Api<DeserializeGuard<Namespace>>,
    needs: impl Future<Output = ()>,
    known: watch::Sender<Known>,
) {
    needs.await;
    let (sender, mut view) = watch::channel(View::default());
    let watching = view::keep(api, watcher::Config::default(), "Namespaces", sender);
    let indexing = async {
        while view.changed().await.is_ok() {
            if let Some(objects) = view.borrow_and_update().objects.clone() {
                let next = index(&known.borrow(), &objects);
                known.send_replace(Arc::new(next));
            }
        }
    };
    tokio::join!(watching, indexing);
}

/// Renders what changed since `before`, and keeps the rest.
fn index(
    before: &BTreeMap<String, Entry>,
    objects: &BTreeMap<Uid, Observed<Namespace>>,
) -> BTreeMap<String, Entry> {
    let entry = |observed: &Observed<Namespace>| {
        let name = observed.name();
        let resource_version = observed.metadata.resource_version.clone();
        let same = before
            .get(name)
            .filter(|entry| entry.resource_version.is_some())
            .filter(|entry| entry.resource_version == resource_version);
        let entry = match same {
            Some(entry) => entry.clone(),
            None => Entry { resource_version, object: rendered(observed.object.as_ref().ok()?)? },
        };
        Some((name.to_owned(), entry))
    };
    objects.values().filter_map(entry).collect()
}

fn rendered(namespace: &Namespace) -> Option<Arc<Json<'static>>> {
    serde_json::to_value(namespace).ok().map(|object| Arc::new(object.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn observed(name: &str, version: &str) -> (Uid, Observed<Namespace>) {
        let namespace: Namespace = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "uid": name, "resourceVersion": version, "labels": {"a": version}},
        }))
        .unwrap();
        let metadata = namespace.metadata.clone();
        (name.to_owned(), Observed { metadata, object: Ok(Arc::new(namespace)) })
    }

    #[test]
    fn only_what_changed_is_rendered_again() {
        let first = index(&BTreeMap::new(), &[observed("a", "1"), observed("b", "1")].into());
        let second = index(&first, &[observed("a", "1"), observed("b", "2")].into());
        assert!(Arc::ptr_eq(&first["a"].object, &second["a"].object));
        let label = |of: &BTreeMap<String, Entry>| {
            of["b"].object.pointer("/metadata/labels/a").and_then(Json::as_str).map(str::to_owned)
        };
        assert_eq!(label(&first).as_deref(), Some("1"));
        assert_eq!(label(&second).as_deref(), Some("2"));
        assert!(!index(&second, &[observed("a", "1")].into()).contains_key("b"));
    }
}
