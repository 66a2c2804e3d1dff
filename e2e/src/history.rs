//! Every version of the TelemetryConfig `default`, as a watch shows them.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use futures::StreamExt;
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, WatchEvent, WatchParams};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::stage::{ENGINE, Stage};

/// The versions since it was started.
pub struct History {
    versions: Arc<Mutex<Vec<Value>>>,
    task: JoinHandle<anyhow::Result<()>>,
}

// === impl History ===

impl History {
    /// Starts with the version after the one that there is now.
    pub async fn start(stage: &Stage) -> anyhow::Result<Self> {
        let kind = GroupVersionKind::gvk("telemetry.pharos.dev", "v1alpha1", "TelemetryConfig");
        let resource = ApiResource::from_gvk(&kind);
        let api = Api::<DynamicObject>::namespaced_with(stage.client().await?, ENGINE, &resource);
        let now = stage.telemetryconfig().await?["metadata"]["resourceVersion"].clone();
        let now = now.as_str().context("a resourceVersion")?.to_owned();
        let versions = Arc::<Mutex<Vec<Value>>>::default();
        let seen = Arc::clone(&versions);
        let task = tokio::spawn(async move {
            let selection = WatchParams::default().fields("metadata.name=default").timeout(290);
            let mut events = pin!(api.watch(&selection, &now).await?);
            while let Some(event) = events.next().await {
                if let WatchEvent::Added(object) | WatchEvent::Modified(object) = event? {
                    let object = serde_json::to_value(object)?;
                    seen.lock().unwrap_or_else(PoisonError::into_inner).push(object);
                }
            }
            anyhow::Ok(())
        });
        Ok(Self { versions, task })
    }

    /// The versions so far; an error if the watch ended, for some may be missing.
    pub fn versions(&self) -> anyhow::Result<Vec<Value>> {
        anyhow::ensure!(!self.task.is_finished(), "the watch has ended");
        Ok(self.versions.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The names of the replicas that status has an entry of.
#[must_use]
pub fn replicas(object: &Value) -> BTreeSet<&str> {
    let entries = object["status"]["replicas"].as_array().into_iter().flatten();
    entries.filter_map(|entry| entry["podName"].as_str()).collect()
}
