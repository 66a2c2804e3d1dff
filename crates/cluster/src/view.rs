//! A watch that outlives broken objects, missing CRDs and absent API servers.
//!
//! [`keep`] folds the events of one watch into a [`View`]: the whole set of objects, published
//! when the first list is complete and after every change, latest wins. An object that cannot be
//! decoded is an entry with an error, never the end of the watch. No object goes back to an older
//! version, and none that was deleted comes back, whatever is replayed; see [`crate::list_watch`]
//! for what that guards and what not. Watches restart every 60 s, so that a half-open connection is
//! noticed; failures are retried after 0.5 to 5 s, and logged when they begin and when they end, not
//! every time.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::DynamicObject;
use kube::core::{DeserializeGuard, PartialObjectMeta};
use kube::runtime::watcher;
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::backoff::RetryDelay;
use crate::list_watch::{Event, ListWatch};
use crate::trouble::{Episode, Trouble};

/// The identity that the API server gave an object, unique over time and names.
pub type Uid = String;

/// One object as the API server holds it.
#[derive(Debug)]
pub struct Observed<K> {
    /// Its metadata, without `managedFields`.
    pub metadata: ObjectMeta,
    /// The object, or why it cannot be decoded.
    pub object: Result<Arc<K>, String>,
}

/// All objects of a watch at one moment.
#[derive(Debug)]
pub struct View<K> {
    /// The objects by uid; `None` until the first list is complete.
    pub objects: Option<Arc<BTreeMap<Uid, Observed<K>>>>,
    /// What broke the watch last, until it is mended. A set once published stays in force meanwhile,
    /// so this explains a missing first list and nothing else.
    pub trouble: Option<Trouble>,
}

// === impl Observed ===

impl<K> Clone for Observed<K> {
    fn clone(&self) -> Self {
        Self { metadata: self.metadata.clone(), object: self.object.clone() }
    }
}

impl<K> Observed<K> {
    /// The object's name; empty only if the API server sent none.
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// The object's uid; empty only if the API server sent none.
    pub fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    /// The generation of the object's spec.
    pub fn generation(&self) -> i64 {
        self.metadata.generation.unwrap_or_default()
    }
}

impl<K: Resource> From<DeserializeGuard<K>> for Observed<K> {
    fn from(DeserializeGuard(decoded): DeserializeGuard<K>) -> Self {
        let mut metadata = match &decoded {
            Ok(object) => object.meta().clone(),
            Err(invalid) => invalid.metadata.clone(),
        };
        metadata.managed_fields = None;
        let object = decoded
            .map(|mut object| {
                object.managed_fields_mut().clear();
                Arc::new(object)
            })
            .map_err(|invalid| invalid.error);
        Self { metadata, object }
    }
}

impl<K: Resource> From<PartialObjectMeta<K>> for Observed<PartialObjectMeta<K>> {
    fn from(mut object: PartialObjectMeta<K>) -> Self {
        object.managed_fields_mut().clear();
        Self { metadata: object.metadata.clone(), object: Ok(Arc::new(object)) }
    }
}

// === impl View ===

impl<K> Default for View<K> {
    fn default() -> Self {
        Self { objects: None, trouble: None }
    }
}

impl<K> Clone for View<K> {
    fn clone(&self) -> Self {
        Self { objects: self.objects.clone(), trouble: self.trouble }
    }
}

// === keep ===

/// Keeps `view` equal to what the API server holds, for as long as it is polled.
///
/// `what` names the kind in logs, in the plural. Ends only when nobody reads `view` any more.
pub async fn keep<K>(
    api: Api<DeserializeGuard<K>>,
    selection: watcher::Config,
    what: &'static str,
    view: watch::Sender<View<K>>,
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    K::DynamicType: Default,
{
    fold(ListWatch::new(api, selection), what, Absence::ATrouble, &view).await;
}

/// As [`keep`], with nothing but metadata asked for and held.
pub async fn keep_metadata<K>(
    api: Api<PartialObjectMeta<K>>,
    selection: watcher::Config,
    what: &'static str,
    view: watch::Sender<View<PartialObjectMeta<K>>>,
) where
    K: Resource + Clone + Debug + Send + Sync + 'static,
    K::DynamicType: Default,
{
    fold(ListWatch::new(api, selection), what, Absence::ATrouble, &view).await;
}

/// As [`keep`], for a kind that is known only while the process runs.
pub(crate) async fn keep_custom(
    api: Api<DeserializeGuard<DynamicObject>>,
    selection: watcher::Config,
    what: &str,
    view: &watch::Sender<View<DynamicObject>>,
) {
    fold(ListWatch::new(api, selection), what, Absence::Expected, view).await;
}

/// What it is if the API server does not know the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Absence {
    ATrouble,
    /// Somebody else asks whether it is served: nothing is logged.
    Expected,
}

async fn fold<G, K>(
    mut events: ListWatch<G>,
    what: &str,
    absence: Absence,
    view: &watch::Sender<View<K>>,
) where
    G: Resource + Clone + Debug + DeserializeOwned + Send + 'static,
    Observed<K>: From<G>,
{
    let mut objects = BTreeMap::new();
    let mut delay = RetryDelay::default();
    let mut episode = Episode::of(format!("watch {what}"));
    while !view.is_closed() {
        match events.next().await {
            Ok(Event::Watching) => {
                episode.succeeded();
                view.send_if_modified(|view| view.trouble.take().is_some());
            }
            Ok(event) => {
                take(&mut objects, event);
                let objects = Arc::new(objects.clone());
                view.send_modify(|view| view.objects = Some(objects));
            }
            Err(failure) => {
                let trouble = failure.trouble();
                if absence == Absence::ATrouble || trouble != Trouble::UnknownKind {
                    episode.failed(trouble, &failure);
                }
                view.send_if_modified(|view| view.trouble.replace(trouble) != Some(trouble));
                tokio::time::sleep(delay.after_failure()).await;
            }
        }
    }
}

/// Takes one event into a set. Pure.
fn take<K>(objects: &mut BTreeMap<Uid, Observed<K>>, event: Event<Observed<K>>) {
    match event {
        Event::Listed(listed) => {
            *objects = listed.into_iter().map(|it| (it.uid().to_owned(), it)).collect();
        }
        Event::Applied(observed) => {
            objects.insert(observed.uid().to_owned(), observed);
        }
        Event::Deleted(observed) => {
            objects.remove(observed.uid());
        }
        Event::Watching => {}
    }
}

#[cfg(test)]
mod tests;
