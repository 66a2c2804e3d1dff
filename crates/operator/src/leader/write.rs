//! The leader's requests to the API server, each within a time and each with its troubles logged
//! when they begin and when they end. Retries are the next step's affair.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{DeleteParams, ObjectMeta, Patch, PatchParams, Preconditions};
use kube::core::DeserializeGuard;
use kube::{Api, Client, Resource};
use pharos_api::telemetryconfig::TelemetryConfig;
use pharos_cluster::revisions::{self, Revision};
use pharos_cluster::trouble::{Episode, Trouble};
use pharos_cluster::view::Uid;
use serde_json::json;

use super::step::{StatusWrite, Subject};
use crate::replicas::OrphanedLease;

/// The owner of every field of status, the same for every leader.
const FIELD_MANAGER: &str = "pharos-telemetry-status";
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends what the leader writes.
pub(super) struct Writer {
    client: Client,
    namespace: String,
    statuses: BTreeMap<Uid, Episode>,
    revisions: BTreeMap<Uid, Episode>,
    burials: Episode,
}

/// What came of a request.
enum Answer<T> {
    Done(T),
    /// The object changed or went meanwhile: the watch brings what it is now.
    Overtaken,
    Failed(Trouble, String),
}

// === impl Writer ===

impl Writer {
    pub(super) fn new(client: Client, namespace: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
            statuses: BTreeMap::new(),
            revisions: BTreeMap::new(),
            burials: Episode::of("delete the Lease of a dead replica"),
        }
    }

    /// Forgets the troubles with objects that are gone.
    pub(super) fn forget_all_but<T>(&mut self, objects: &BTreeMap<Uid, T>) {
        self.statuses.retain(|uid, _| objects.contains_key(uid));
        self.revisions.retain(|uid, _| objects.contains_key(uid));
    }

    /// Writes a status, and returns the metadata that the object has then.
    pub(super) async fn status(&mut self, write: &StatusWrite) -> Option<ObjectMeta> {
        let StatusWrite { subject, over, status, .. } = write;
        // Guarded, because the answer to a write is the object, decodable or not.
        let api: Api<DeserializeGuard<TelemetryConfig>> =
            Api::namespaced(self.client.clone(), &self.namespace);
        let patch = Patch::Apply(json!({
            "apiVersion": TelemetryConfig::api_version(&()),
            "kind": TelemetryConfig::kind(&()),
            "metadata": { "name": subject.name, "resourceVersion": over },
            "status": status,
        }));
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let request = api.patch_status(&subject.name, &parameters, &patch);
        let answer = answer(request).await;
        let episode = self.statuses.entry(subject.uid.clone()).or_insert_with(|| {
            Episode::of(format!("write the status of TelemetryConfig {:?}", subject.name))
        });
        settled(episode, answer).map(|object| object.meta().clone())
    }

    /// Keeps a revision; whether it is kept.
    pub(super) async fn revision(&mut self, subject: &Subject, revision: Revision) -> bool {
        let owner = revisions::owner::<TelemetryConfig>(&subject.name, &subject.uid);
        let request = revisions::keep(self.client.clone(), &self.namespace, owner, revision);
        let answer = answer(request).await;
        let episode = self.revisions.entry(subject.uid.clone()).or_insert_with(|| {
            Episode::of(format!("keep a revision of TelemetryConfig {:?}", subject.name))
        });
        settled(episode, answer).is_some()
    }

    /// Deletes a Lease, unless its replica woke meanwhile.
    pub(super) async fn bury(&mut self, OrphanedLease { name, resource_version }: &OrphanedLease) {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), &self.namespace);
        let resource_version = Some(resource_version.clone());
        let parameters =
            DeleteParams::default().preconditions(Preconditions { resource_version, uid: None });
        settled(&mut self.burials, answer(leases.delete(name, &parameters)).await);
    }
}

async fn answer<T>(request: impl Future<Output = kube::Result<T>>) -> Answer<T> {
    match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(Ok(done)) => Answer::Done(done),
        Ok(Err(kube::Error::Api(answer))) if matches!(answer.code, 404 | 409) => Answer::Overtaken,
        Ok(Err(error)) => Answer::Failed(Trouble::of(&error), error.to_string()),
        Err(_) => Answer::Failed(Trouble::Unreachable, "no answer in time".to_owned()),
    }
}

fn settled<T>(episode: &mut Episode, answer: Answer<T>) -> Option<T> {
    match answer {
        Answer::Done(done) => {
            episode.succeeded();
            Some(done)
        }
        Answer::Overtaken => None,
        Answer::Failed(trouble, error) => {
            episode.failed(trouble, &error);
            None
        }
    }
}
