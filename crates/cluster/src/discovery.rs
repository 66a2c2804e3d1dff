//! What the API server serves: every resource, in every version, with its kind.
//!
//! [`keep`] asks by aggregated discovery, two requests that every account may make, and asks again
//! and again: a resource whose CustomResourceDefinition comes later is found within [`INTERVAL`].
//! What follows from it is decided elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use kube::core::discovery::v2::{APIGroupDiscovery, APIResourceDiscovery};
use tokio::sync::watch;

use crate::backoff::{RetryDelay, jittered};
use crate::in_time;
use crate::trouble::{Episode, Trouble};

/// How long between two looks.
const INTERVAL: Duration = Duration::from_secs(15);

/// A group and the plural name of one of its resources.
pub type GroupResource = (String, String);

/// Every resource that is served, by group and version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources(BTreeMap<(String, String), BTreeMap<String, Resource>>);

/// One resource in one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// What its objects are.
    pub kind: String,
    /// Where its objects are.
    pub scope: Scope,
    /// Whether its objects can be listed and watched.
    pub can_be_watched: bool,
    /// Its subresources, such as `status`, each with the kind that is written to it.
    pub subresources: BTreeMap<String, String>,
}

/// Where the objects of a resource are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Each in a namespace.
    Namespaced,
    /// In none.
    Cluster,
}

// === impl Resources ===

impl Resources {
    /// Every resource as group, version and plural name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &str, &Resource)> {
        self.0.iter().flat_map(|((group, version), resources)| {
            resources.iter().map(|(name, resource)| (&**group, &**version, &**name, resource))
        })
    }

    /// What the objects of a resource are; none if it is not served.
    pub fn kind(&self, group: &str, version: &str, plural: &str) -> Option<&str> {
        let resources = self.0.get(&(group.to_owned(), version.to_owned()))?;
        resources.get(plural).map(|resource| &*resource.kind)
    }

    /// The resources of which there are several versions, and those.
    pub fn of_several_versions(&self) -> BTreeMap<GroupResource, BTreeSet<String>> {
        let mut versions: BTreeMap<GroupResource, BTreeSet<String>> = BTreeMap::new();
        for (group, version, name, _) in self.iter() {
            let resource = (group.to_owned(), name.to_owned());
            versions.entry(resource).or_default().insert(version.to_owned());
        }
        versions.retain(|_, versions| versions.len() > 1);
        versions
    }
}

impl FromIterator<APIGroupDiscovery> for Resources {
    fn from_iter<I: IntoIterator<Item = APIGroupDiscovery>>(groups: I) -> Self {
        let mut served = BTreeMap::new();
        for group in groups {
            let name = group.metadata.and_then(|metadata| metadata.name).unwrap_or_default();
            for version in group.versions {
                let resources = version.resources.into_iter().filter_map(named).collect();
                served.insert((name.clone(), version.version.unwrap_or_default()), resources);
            }
        }
        Self(served)
    }
}

fn named(resource: APIResourceDiscovery) -> Option<(String, Resource)> {
    let kind = resource.response_kind.and_then(|kind| kind.kind).unwrap_or_default();
    let subresources = resource.subresources.into_iter().filter_map(|subresource| {
        let kind = subresource.response_kind.and_then(|kind| kind.kind).unwrap_or_default();
        Some((subresource.subresource?, kind))
    });
    let subresources = subresources.collect();
    let scope = match resource.scope.as_deref() {
        Some("Cluster") => Scope::Cluster,
        _ => Scope::Namespaced,
    };
    let allows = |verb: &str| resource.verbs.iter().any(|allowed| allowed == verb);
    let can_be_watched = allows("list") && allows("watch");
    Some((resource.resource?, Resource { kind, scope, can_be_watched, subresources }))
}

/// Asks once.
///
/// # Errors
/// As the API server answers.
pub async fn look(client: &Client) -> kube::Result<Resources> {
    let groups = in_time(client.list_api_groups_aggregated()).await?;
    let core = in_time(client.list_core_api_versions_aggregated()).await?;
    Ok(core.items.into_iter().chain(groups.items).collect())
}

/// Keeps `resources` what the API server serves, for as long as it is polled; `None` until it first
/// answered.
pub async fn keep(client: Client, resources: watch::Sender<Option<Arc<Resources>>>) {
    let mut episode = Episode::of("ask which resources are served");
    let mut delay = RetryDelay::default();
    loop {
        match look(&client).await {
            Ok(found) => {
                episode.succeeded();
                delay = RetryDelay::default();
                resources.send_if_modified(|known| {
                    let news = known.as_deref() != Some(&found);
                    if news {
                        *known = Some(Arc::new(found));
                    }
                    news
                });
                tokio::time::sleep(jittered(INTERVAL)).await;
            }
            Err(error) => {
                episode.failed(Trouble::of(&error), &error);
                tokio::time::sleep(delay.after_failure()).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Answer, Asked, client};
    use serde_json::{Value, json};

    fn groups(items: &Value) -> Answer {
        Answer::Object(json!({
            "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2",
            "metadata": {}, "items": items,
        }))
    }

    fn resource(plural: &str, kind: &str) -> Value {
        json!({
            "resource": plural, "responseKind": {"kind": kind}, "scope": "Namespaced",
            "subresources": [{"subresource": "status", "responseKind": {"kind": kind}}],
        })
    }

    async fn answer(asked: Asked) -> Answer {
        let version = |version: &str, resources: &[Value]| json!({"version": version, "resources": resources});
        match &*asked.path {
            "/api" => groups(&json!([{"versions": [version("v1", &[resource("pods", "Pod")])]}])),
            "/apis" => groups(&json!([{
                "metadata": {"name": "example.com"},
                "versions": [
                    version("v1", &[resource("as", "A"), resource("bs", "B")]),
                    version("v1beta1", &[resource("as", "A")]),
                ],
            }])),
            _ => Answer::Refused(404),
        }
    }

    #[tokio::test]
    async fn every_resource_is_told_in_every_version() {
        let found = look(&client(answer)).await.unwrap();
        let names: Vec<_> =
            found.iter().map(|(group, version, name, _)| [group, version, name]).collect();
        assert_eq!(
            names,
            [
                ["", "v1", "pods"],
                ["example.com", "v1", "as"],
                ["example.com", "v1", "bs"],
                ["example.com", "v1beta1", "as"],
            ]
        );
        let (.., pods) = found.iter().next().unwrap();
        assert_eq!((&*pods.kind, &*pods.subresources["status"]), ("Pod", "Pod"));
        let several = found.of_several_versions();
        let versions = ["v1", "v1beta1"].map(str::to_owned).into();
        let expected = BTreeMap::from([(("example.com".to_owned(), "as".to_owned()), versions)]);
        assert_eq!(several, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_resource_that_comes_later_is_found_and_a_failure_forgets_nothing() {
        let (answers, turn) = watch::channel(0);
        let answering = move |asked: Asked| {
            let turn = turn.clone();
            async move {
                let turn = *turn.borrow();
                match (&*asked.path, turn) {
                    ("/api", _) => groups(&json!([])),
                    (_, 0) => groups(&json!([])),
                    (_, 1) => Answer::Refused(500),
                    _ => answer(asked).await,
                }
            }
        };
        let (resources, mut known) = watch::channel(None);
        let keeping = tokio::spawn(keep(client(answering), resources));
        let first = known.wait_for(Option::is_some).await.unwrap().clone();
        assert_eq!(first.unwrap().iter().count(), 0);
        answers.send_replace(1);
        tokio::time::sleep(INTERVAL * 3).await;
        assert!(known.borrow().is_some());
        answers.send_replace(2);
        let more = |known: &Option<Arc<Resources>>| {
            known.as_ref().is_some_and(|it| it.iter().count() == 3)
        };
        known.wait_for(more).await.unwrap();
        keeping.abort();
    }
}
