//! Namespaces as policies see them, for `namespaceSelector` and `namespaceObject`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use kube::core::DeserializeGuard;
use kube::runtime::watcher;
use pharos_cluster::view::{self, Observed, Uid, View};
use pharos_policy::Json;
use tokio::sync::watch;

use crate::judge::Namespaces;

/// Keeps `namespaces` what the API server holds, for as long as it is polled.
pub(crate) async fn keep(
    api: Api<DeserializeGuard<Namespace>>,
    namespaces: watch::Sender<Namespaces>,
) {
    let (sender, mut view) = watch::channel(View::default());
    let watching = view::keep(api, watcher::Config::default(), "Namespaces", sender);
    let rendering = async {
        while view.changed().await.is_ok() {
            if let Some(objects) = view.borrow_and_update().objects.clone() {
                let next = succeed(&namespaces.borrow(), &objects);
                namespaces.send_replace(next);
            }
        }
    };
    tokio::join!(watching, rendering);
}

/// A namespace as expressions see it.
pub(crate) fn rendered(namespace: &Namespace) -> Option<Arc<Json<'static>>> {
    serde_json::to_value(namespace).ok().map(|object| Arc::new(object.into()))
}

/// Renders what changed since `before`, and keeps the rest.
fn succeed(before: &Namespaces, objects: &BTreeMap<Uid, Observed<Namespace>>) -> Namespaces {
    let entry = |observed: &Observed<Namespace>| {
        let name = observed.name().to_owned();
        let version = observed.metadata.resource_version.as_deref();
        let same = before.get(&name).filter(|it| {
            let rendered = it.pointer("/metadata/resourceVersion").and_then(Json::as_str);
            version.is_some() && rendered == version
        });
        let object = match same {
            Some(object) => Arc::clone(object),
            None => rendered(observed.object.as_ref().ok()?)?,
        };
        Some((name, object))
    };
    Arc::new(objects.values().filter_map(entry).collect())
}

/// The namespaces that came, or that say something else than before. What is in one that went goes
/// with it.
pub(crate) fn changed(before: &Namespaces, after: &Namespaces) -> BTreeSet<Arc<str>> {
    const SAID: [&str; 4] =
        ["/metadata/uid", "/metadata/labels", "/metadata/annotations", "/status"];
    let differs = |(name, object): &(&String, &Arc<Json<'_>>)| {
        before.get(*name).is_none_or(|before| {
            SAID.iter().any(|path| before.pointer(path) != object.pointer(path))
        })
    };
    after.iter().filter(differs).map(|(name, _)| name.as_str().into()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn observed(name: &str, version: &str, team: &str) -> (Uid, Observed<Namespace>) {
        let namespace: Namespace = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {
                "name": name, "uid": name, "resourceVersion": version, "labels": {"team": team},
            },
        }))
        .unwrap();
        let metadata = namespace.metadata.clone();
        (name.to_owned(), Observed { metadata, object: Ok(Arc::new(namespace)) })
    }

    #[test]
    fn only_what_changed_is_rendered_again_and_only_what_says_something_else_is_told() {
        let none = Namespaces::default();
        let first = succeed(&none, &[observed("a", "1", "x"), observed("b", "1", "x")].into());
        assert_eq!(changed(&none, &first), ["a".into(), "b".into()].into());
        let next = [observed("a", "1", "x"), observed("b", "2", "x"), observed("c", "1", "x")];
        let second = succeed(&first, &next.into());
        assert!(Arc::ptr_eq(&first["a"], &second["a"]));
        assert_eq!(changed(&first, &second), ["c".into()].into());
        let third = succeed(&second, &[observed("a", "2", "y")].into());
        assert_eq!(changed(&second, &third), ["a".into()].into());
        assert_eq!(third.len(), 1);
    }
}
