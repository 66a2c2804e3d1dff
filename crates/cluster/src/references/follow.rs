//! One object followed by one watch, again and again. See [`follow`].

use std::collections::BTreeSet;
use std::fmt::Debug;

use futures::StreamExt;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::{Content, DataKind, DataObject, Found, Reading, References};
use crate::backoff::RetryDelay;
use crate::trouble::Trouble;
use crate::view::WATCH_SECONDS;

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
    let mut trouble = None;
    let mut delay = RetryDelay::default();
    loop {
        let failed = watch_once(api.clone(), object, keys, &mut trouble, &publish).await;
        let Some(error) = failed else { return };
        let now = Trouble::of_watch(&error);
        if trouble.replace(now) != Some(now) {
            tracing::warn!(
                reason = now.reason(),
                %error,
                "cannot watch {object}, retrying; {}",
                now.remedy()
            );
        }
        if now == Trouble::Forbidden {
            publish(Reading::Forbidden);
        }
        // A watch that resumes says nothing until something changes. A list always answers: that a
        // right was granted again is seen at once.
        if let Some(delay) = delay.next() {
            tokio::time::sleep(delay).await;
        }
    }
}

/// Lists and watches until something fails.
async fn watch_once<K: Keyed>(
    api: Api<K>,
    object: &DataObject,
    keys: &BTreeSet<String>,
    trouble: &mut Option<Trouble>,
    publish: &impl Fn(Reading),
) -> Option<watcher::Error> {
    let named = format!("metadata.name={}", object.name);
    let selection = watcher::Config::default().fields(&named).timeout(WATCH_SECONDS);
    let mut events = std::pin::pin!(watcher(api, selection));
    let mut listed = Reading::Missing;
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => listed = Reading::Missing,
            Ok(Event::InitApply(found)) => listed = read(found, keys),
            Ok(Event::InitDone) => {
                publish(std::mem::replace(&mut listed, Reading::Missing));
                if trouble.take().is_some() {
                    tracing::info!("watching {object} again");
                }
            }
            Ok(Event::Apply(found)) => publish(read(found, keys)),
            Ok(Event::Delete(_)) => publish(Reading::Missing),
            Err(error) => return Some(error),
        }
    }
    None
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
