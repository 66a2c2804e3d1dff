//! Kinds that a CustomResourceDefinition may or may not define: which of them the API server serves,
//! in which version, and a watch of each that outlives both.
//!
//! [`look`] asks by discovery, which every account may. [`keep`] asks again and again and publishes
//! [`Served`]; [`follow`] is a watch of one kind that begins when the kind comes and is empty when
//! it goes. An absent kind is no trouble: nothing is logged, and its set of objects is known.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::Api;
use kube::Client;
use kube::api::{ApiResource, DynamicObject};
use kube::core::DeserializeGuard;
use kube::runtime::watcher;
use tokio::sync::watch;

use crate::backoff::jittered;
use crate::in_time;
use crate::trouble::{Episode, Trouble};
use crate::view::{self, View};

/// How long between two looks: a kind that comes is found within it.
const INTERVAL: Duration = Duration::from_secs(15);
/// As long as there is an answer to wait for, or a kind that went to be asked about again.
const SOON: Duration = Duration::from_secs(2);
/// How often a kind that was served has to be missing before it is gone: its objects count until
/// then. One answer of a server that starts or ends must not take every policy out of force.
const MISSED: u32 = 3;

/// A kind as a CustomResourceDefinition names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomKind {
    /// The API group.
    pub group: &'static str,
    /// The kind.
    pub kind: &'static str,
    /// The resource's name.
    pub plural: &'static str,
    /// The versions that can be read, the preferred one first.
    pub versions: &'static [&'static str],
}

/// The kinds that the API server serves, each in the version to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served(BTreeMap<CustomKind, &'static str>);

/// What is to be believed after several looks.
#[derive(Debug, Default)]
struct Belief {
    served: Served,
    missed: BTreeMap<CustomKind, u32>,
}

// === impl CustomKind ===

impl CustomKind {
    /// The kind in one of its versions, for requests.
    pub fn resource(&self, version: &str) -> ApiResource {
        ApiResource {
            group: self.group.to_owned(),
            version: version.to_owned(),
            api_version: format!("{}/{version}", self.group),
            kind: self.kind.to_owned(),
            plural: self.plural.to_owned(),
        }
    }

    /// All objects of the kind, whichever namespace they are in.
    pub fn api(&self, client: Client, version: &str) -> Api<DeserializeGuard<DynamicObject>> {
        Api::all_with(client, &self.resource(version))
    }
}

// === impl Served ===

impl Served {
    /// The version to read a kind in; `None` if it is not served.
    pub fn version(&self, kind: &CustomKind) -> Option<&'static str> {
        self.0.get(kind).copied()
    }

    fn say(&self) {
        let kinds: Vec<_> =
            self.iter().map(|(kind, version)| format!("{} {version}", kind.kind)).collect();
        let served =
            if kinds.is_empty() { "no kind of policy".to_owned() } else { kinds.join(", ") };
        tracing::info!(served, "asked which policies the API server serves");
    }

    /// The kinds that are served, with their versions.
    pub fn iter(&self) -> impl Iterator<Item = (&CustomKind, &'static str)> {
        self.0.iter().map(|(kind, version)| (kind, *version))
    }
}

impl FromIterator<(CustomKind, &'static str)> for Served {
    fn from_iter<I: IntoIterator<Item = (CustomKind, &'static str)>>(kinds: I) -> Self {
        Self(kinds.into_iter().collect())
    }
}

// === impl Belief ===

impl Belief {
    /// Takes in a look; whether another one should follow soon.
    fn take(&mut self, seen: Served) -> bool {
        let mut believed = seen.clone();
        let before = std::mem::take(&mut self.missed);
        for (kind, version) in self.served.iter() {
            if seen.version(kind).is_none() {
                let missed = before.get(kind).copied().unwrap_or_default() + 1;
                if missed < MISSED {
                    believed.0.insert(*kind, version);
                    self.missed.insert(*kind, missed);
                }
            }
        }
        self.served = believed;
        !self.missed.is_empty()
    }
}

/// Asks which of `kinds` are served.
///
/// # Errors
/// As the API server answers; that a group or version is not there is no error.
pub async fn look(client: &Client, kinds: &[CustomKind]) -> kube::Result<Served> {
    let mut asked: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    let mut served = BTreeMap::new();
    for kind in kinds {
        for version in kind.versions {
            let key = (kind.group, *version);
            if let std::collections::btree_map::Entry::Vacant(vacant) = asked.entry(key) {
                vacant.insert(resources(client, kind.group, version).await?);
            }
            if asked[&key].iter().any(|plural| plural == kind.plural) {
                served.insert(*kind, *version);
                break;
            }
        }
    }
    Ok(Served(served))
}

/// The resources of one version of a group; none if it is not served.
async fn resources(client: &Client, group: &str, version: &str) -> kube::Result<Vec<String>> {
    let version = format!("{group}/{version}");
    match in_time(client.list_api_group_resources(&version)).await {
        Ok(list) => Ok(list.resources.into_iter().map(|resource| resource.name).collect()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Keeps `served` equal to what the API server serves of `kinds`, for as long as it is polled; `None`
/// until the first answer.
pub async fn keep(client: Client, kinds: &[CustomKind], served: watch::Sender<Option<Served>>) {
    let mut belief = Belief::default();
    let mut episode = Episode::of("ask which policies the API server serves");
    while !served.is_closed() {
        let again = match look(&client, kinds).await {
            Ok(seen) => {
                episode.succeeded();
                let soon = belief.take(seen);
                let now = Some(belief.served.clone());
                let news = served.send_if_modified(|served| {
                    let news = *served != now;
                    *served = now;
                    news
                });
                if news {
                    belief.served.say();
                }
                if soon { SOON } else { INTERVAL }
            }
            Err(error) => {
                episode.failed(Trouble::of(&error), &error);
                SOON
            }
        };
        tokio::time::sleep(jittered(again)).await;
    }
}

/// Keeps `view` equal to what the API server holds of `kind`, in the version that it serves, for as
/// long as it is polled. While the kind is absent there are no objects, and that is known.
pub async fn follow(
    client: Client,
    kind: CustomKind,
    mut served: watch::Receiver<Option<Served>>,
    view: watch::Sender<View<DynamicObject>>,
) {
    let version = |served: &Option<Served>| served.as_ref().map(|served| served.version(&kind));
    loop {
        let now = version(&served.borrow_and_update());
        let turned = async { served.wait_for(|served| version(served) != now).await.is_ok() };
        let goes_on = match now {
            None => turned.await,
            Some(None) => {
                view.send_replace(View { objects: Some(Arc::default()), trouble: None });
                turned.await
            }
            Some(Some(version)) => {
                let api = kind.api(client.clone(), version);
                let selection = watcher::Config::default();
                tokio::select! {
                    goes_on = turned => goes_on,
                    () = view::keep_custom(api, selection, kind.kind, &view) => false,
                }
            }
        };
        if !goes_on {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
