//! Secrets and ConfigMaps by name: one API watch per object that is wanted, and of each object no
//! more than the keys that are wanted.
//!
//! Enter at [`keep`], which starts and stops watches with the set that is wanted and publishes
//! [`References`], what it has read. A watch selects its object by `metadata.name`, so that a Role
//! may list `resourceNames`. What was read stays while the API server is away; that it refuses, or
//! that the object is gone, is published. Nothing older than what was read is read again, whatever
//! is replayed; see [`crate::list_watch`]. What is to become of a configuration that refers to such
//! an object is decided elsewhere.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use futures::StreamExt;
use futures::future::{AbortHandle, abortable};
use futures::stream::FuturesUnordered;
use kube::Client;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

mod follow;
mod once;

pub use once::read;

/// The kind of an object that keeps data under keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DataKind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

/// A Secret or ConfigMap, by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DataObject {
    /// Which of both.
    pub kind: DataKind,
    /// `metadata.name`.
    pub name: String,
}

/// The objects to watch, with the keys to read of each.
pub type Wanted = BTreeMap<DataObject, BTreeSet<String>>;

/// What was read of the objects that are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References(BTreeMap<DataObject, Reading>);

/// What was read of one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reading {
    /// Nothing yet.
    #[default]
    NotRead,
    /// The API server says that there is no such object.
    Missing,
    /// The API server does not let us read it.
    Forbidden,
    /// It is there.
    Found(Found),
}

/// An object that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its identity: another one after it was deleted and created again.
    pub uid: String,
    /// Its version, which a change of its metadata changes, too.
    pub resource_version: String,
    content_version: String,
    values: BTreeMap<String, Option<Content>>,
}

/// What is under one key of an object that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyReading<'a> {
    /// The key is wanted, and not read yet.
    NotRead,
    /// The object has no such key.
    Missing,
    /// The value.
    Value(&'a Content),
}

/// A value. No log and no debug output shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Content(Arc<[u8]>);

/// Keeps `readings` equal to what the API server holds of what is `wanted`, until nobody can want
/// anything any more.
pub async fn keep(
    client: Client,
    namespace: &str,
    mut wanted: watch::Receiver<Wanted>,
    readings: watch::Sender<References>,
) {
    // Polled here and nowhere else: a watch that was ended cannot publish any more.
    let mut watches = FuturesUnordered::new();
    let mut running: BTreeMap<DataObject, (BTreeSet<String>, AbortHandle)> = BTreeMap::new();
    loop {
        let now = wanted.borrow_and_update().clone();
        running.retain(|object, (keys, handle)| {
            let goes_on = now.get(object) == Some(keys);
            if !goes_on {
                handle.abort();
            }
            goes_on
        });
        // Told again even if nothing changed: who wanted something else for a moment, too short to be
        // seen here, may have forgotten what was read.
        readings.send_modify(|readings| readings.restrict(&now));
        for (object, keys) in now {
            if let Entry::Vacant(vacant) = running.entry(object) {
                let (client, object) = (client.clone(), vacant.key().clone());
                let following = follow::follow(client, namespace, object, keys.clone(), &readings);
                let (watch, handle) = abortable(following);
                watches.push(watch);
                vacant.insert((keys, handle));
            }
        }
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return },
            // One that was ended; none ends by itself.
            Some(_) = watches.next() => {}
        }
    }
}

// === impl DataKind ===

impl DataKind {
    /// The kind's name in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }

    /// The name of its resource, as in a Role.
    pub fn resource(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmaps",
            Self::Secret => "secrets",
        }
    }
}

impl fmt::Display for DataKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

// === impl DataObject ===

impl DataObject {
    /// The Secret of this name.
    pub fn secret(name: impl Into<String>) -> Self {
        Self { kind: DataKind::Secret, name: name.into() }
    }

    /// The ConfigMap of this name.
    pub fn config_map(name: impl Into<String>) -> Self {
        Self { kind: DataKind::ConfigMap, name: name.into() }
    }

    /// The rule that a Role of ours lacks where the object cannot be read.
    pub fn rule(&self) -> String {
        format!(
            "{{apiGroups: [\"\"], resources: [{}], resourceNames: [{:?}], verbs: [list, watch]}}",
            self.kind.resource(),
            self.name
        )
    }
}

impl fmt::Display for DataObject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {:?}", self.kind, self.name)
    }
}

// === impl References ===

impl References {
    /// What was read of an object; of one that is not wanted, nothing.
    pub fn of(&self, object: &DataObject) -> &Reading {
        self.0.get(object).unwrap_or(&Reading::NotRead)
    }

    /// These readings, and for each of `objects` that of `others`.
    #[must_use]
    pub fn with<'a>(
        mut self,
        objects: impl IntoIterator<Item = &'a DataObject>,
        others: &Self,
    ) -> Self {
        for object in objects {
            self.0.insert(object.clone(), others.of(object).clone());
        }
        self
    }

    /// Takes in what was read of an object; whether that is news.
    fn take(&mut self, object: &DataObject, mut reading: Reading) -> bool {
        let entry = self.0.entry(object.clone()).or_default();
        if let (Reading::Found(found), Reading::Found(before)) = (&mut reading, &*entry)
            && (&found.uid, &found.values) == (&before.uid, &before.values)
        {
            found.content_version.clone_from(&before.content_version);
        }
        let changed = *entry != reading;
        *entry = reading;
        changed
    }

    /// Forgets what is not wanted any more, keys included.
    fn restrict(&mut self, wanted: &Wanted) {
        let mut restricted = BTreeMap::new();
        for (object, keys) in wanted {
            let mut reading = self.of(object).clone();
            if let Reading::Found(found) = &mut reading {
                found.values.retain(|key, _| keys.contains(key));
            }
            restricted.insert(object.clone(), reading);
        }
        self.0 = restricted;
    }
}

impl FromIterator<(DataObject, Reading)> for References {
    fn from_iter<I: IntoIterator<Item = (DataObject, Reading)>>(readings: I) -> Self {
        Self(readings.into_iter().collect())
    }
}

// === impl Found ===

impl Found {
    /// An object with these values, of which some may be absent.
    pub fn new(
        uid: impl Into<String>,
        resource_version: impl Into<String>,
        values: impl IntoIterator<Item = (String, Option<Content>)>,
    ) -> Self {
        let resource_version = resource_version.into();
        Self {
            uid: uid.into(),
            content_version: resource_version.clone(),
            resource_version,
            values: values.into_iter().collect(),
        }
    }

    /// The version in which these values were first read: another one tells that they may have
    /// changed, without a look at them. A change of nothing but metadata, or of keys that nobody
    /// wants, leaves it; other wanted keys, a refusal or a restart may move it, and replicas may
    /// have read the same values first in different versions.
    pub fn content_version(&self) -> &str {
        &self.content_version
    }

    /// What is under a key.
    pub fn key(&self, key: &str) -> KeyReading<'_> {
        match self.values.get(key) {
            None => KeyReading::NotRead,
            Some(None) => KeyReading::Missing,
            Some(Some(content)) => KeyReading::Value(content),
        }
    }
}

// === impl Content ===

impl Content {
    /// The bytes, for the one place that makes something of them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl<B: Into<Arc<[u8]>>> From<B> for Content {
    fn from(bytes: B) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests;
