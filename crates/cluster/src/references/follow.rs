//! One object followed by one watch, again and again. See [`follow`].
//!
//! An object of which a Role grants the list and not the watch, or the other way round, is refused
//! until both are granted. A whole object is in memory only between its arrival and the taking out
//! of the keys that are wanted.

use std::collections::BTreeSet;
use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::runtime::watcher;
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::{Content, DataKind, DataObject, Found, Reading, References};
use crate::backoff::RetryDelay;
use crate::list_watch::{Event, ListWatch};
use crate::trouble::{Episode, Trouble};

/// A kind that keeps data under keys.
pub(super) trait Keyed:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Send
    + 'static
{
    /// The value of a key, taken out.
    fn take(&mut self, key: &str) -> Option<Content>;
}

/// Publishes what the API server says of one object, for as long as it is polled.
pub(super) async fn follow(
    client: Client,
    namespace: &str,
    object: DataObject,
    keys: BTreeSet<String>,
    readings: &watch::Sender<References>,
) {
    match object.kind {
        DataKind::Secret => {
            let api = Api::<Secret>::namespaced(client, namespace);
            follow_in(api, &object, &keys, readings).await;
        }
        DataKind::ConfigMap => {
            let api = Api::<ConfigMap>::namespaced(client, namespace);
            follow_in(api, &object, &keys, readings).await;
        }
    }
}

async fn follow_in<K: Keyed>(
    api: Api<K>,
    object: &DataObject,
    keys: &BTreeSet<String>,
    readings: &watch::Sender<References>,
) {
    let publish = |reading| {
        readings.send_if_modified(|readings| readings.take(object, reading));
    };
    let named = format!("metadata.name={}", object.name);
    let events = ListWatch::new(api, watcher::Config::default().fields(&named));
    let mut events = match readings.borrow().of(object) {
        Reading::Found(found) => events.not_before(&found.resource_version),
        _ => events,
    };
    let mut delay = RetryDelay::default();
    let mut episode = Episode::of(format!("watch {object}"));
    let mut withheld = None;
    loop {
        match events.next::<K>().await {
            Ok(Event::Listed(found)) => {
                let reading =
                    found.into_iter().next().map_or(Reading::Missing, |it| read(it, keys));
                if *readings.borrow().of(object) == Reading::Forbidden {
                    // May be listed, which says nothing of whether it may be watched.
                    withheld = Some(reading);
                } else {
                    publish(reading);
                }
            }
            Ok(Event::Watching) => {
                episode.succeeded();
                if let Some(reading) = withheld.take() {
                    publish(reading);
                }
            }
            Ok(Event::Applied(found)) => publish(read(found, keys)),
            Ok(Event::Deleted(_)) => publish(Reading::Missing),
            Err(failure) => {
                let trouble = failure.trouble();
                episode.failed(trouble, &failure);
                if trouble == Trouble::Forbidden {
                    publish(Reading::Forbidden);
                }
                tokio::time::sleep(delay.after_failure()).await;
            }
        }
    }
}

/// What of an object is kept: the keys that are wanted.
pub(super) fn read<K: Keyed>(mut object: K, keys: &BTreeSet<String>) -> Reading {
    let values: Vec<_> = keys.iter().map(|key| (key.clone(), object.take(key))).collect();
    let uid = object.uid().unwrap_or_default();
    let resource_version = object.resource_version().unwrap_or_default();
    Reading::Found(Found::new(uid, resource_version, values))
}

// === impl Keyed ===

impl Keyed for Secret {
    fn take(&mut self, key: &str) -> Option<Content> {
        Some(Content::from(self.data.as_mut()?.remove(key)?.0))
    }
}

impl Keyed for ConfigMap {
    fn take(&mut self, key: &str) -> Option<Content> {
        let text = self.data.as_mut().and_then(|data| data.remove(key));
        let binary = || self.binary_data.as_mut()?.remove(key).map(|bytes| bytes.0);
        text.map(String::into_bytes).or_else(binary).map(Content::from)
    }
}
