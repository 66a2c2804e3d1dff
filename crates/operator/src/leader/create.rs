//! Creates the TelemetryConfig that this process was given, where there is none of its name.
//!
//! A release that brings the definition cannot make an object of it: Helm looks the kind up before
//! the API server serves it, and never tries again. So the chart gives the object to the replicas,
//! and the leader creates it as soon as its kind is served.
//!
//! It is created once. A process that saw it, or created it, has nothing to do with it any more,
//! whoever changes or deletes it then: it is somebody's who knows why.

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, PostParams};
use pharos_api::telemetryconfig::TelemetryConfig;
use pharos_cluster::election::Leadership;
use pharos_cluster::trouble::{Episode, Trouble};
use pharos_cluster::view::View;
use pharos_cluster::{RetryDelay, in_time};
use tokio::sync::watch;

use super::announcer::{Announcements, announcer};
use super::step::Subject;
use super::transitions::Announcement;
use crate::manifest::Manifest;

const FIELD_MANAGER: &str = "pharos-telemetry-create";

/// One object to be created, and what has to be known for that.
pub(crate) struct Creation {
    client: Client,
    namespace: String,
    /// This replica's name, for Events.
    replica: String,
    manifest: Manifest,
    objects: watch::Receiver<View<TelemetryConfig>>,
    leadership: watch::Receiver<Leadership>,
}

// === impl Creation ===

impl Creation {
    pub(crate) fn new(
        client: Client,
        namespace: &str,
        replica: &str,
        manifest: Manifest,
        objects: watch::Receiver<View<TelemetryConfig>>,
        leadership: watch::Receiver<Leadership>,
    ) -> Self {
        let (namespace, replica) = (namespace.to_owned(), replica.to_owned());
        Self { client, namespace, replica, manifest, objects, leadership }
    }

    /// Waits until the namespace's TelemetryConfigs are known and this process leads, and creates the
    /// object if it is absent then. Ends when there is nothing to do any more.
    pub(crate) async fn run(mut self) {
        let (announcements, announcer) =
            announcer(self.client.clone(), &self.namespace, &self.replica);
        tokio::join!(self.create(announcements), announcer.run());
    }

    async fn create(&mut self, mut announcements: Announcements) {
        let resource = ApiResource::erase::<TelemetryConfig>(&());
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
        let parameters =
            PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let name = self.manifest.name().to_owned();
        let mut episode = Episode::of(format!("create TelemetryConfig {name:?}"));
        let mut delay = RetryDelay::default();
        while self.is_due().await {
            match in_time(api.create(&parameters, self.manifest.object())).await {
                Ok(_) => {
                    episode.succeeded();
                    tracing::info!(name, "created the TelemetryConfig that was absent");
                    return;
                }
                // Somebody was quicker; what it is now is theirs.
                Err(kube::Error::Api(status)) if status.code == 409 => return,
                Err(error) => {
                    let trouble = Trouble::of(&error);
                    let remedy = remedy(trouble);
                    if episode.failed_for(trouble, &error, remedy) && is_final(trouble) {
                        let subject = Subject { uid: String::new(), name: name.clone() };
                        let note = format!("{remedy}: {error}");
                        announcements.announce(subject, Announcement::not_created(&note));
                    }
                    tokio::time::sleep(delay.after_failure()).await;
                }
            }
        }
    }

    /// Waits until the object is absent and this process leads; `false` if it is there, or nobody
    /// can tell any more.
    async fn is_due(&mut self) -> bool {
        loop {
            let absent = match &self.objects.borrow_and_update().objects {
                Some(objects) if objects.values().any(|it| it.name() == self.manifest.name()) => {
                    return false;
                }
                objects => objects.is_some(),
            };
            if absent && self.leadership.borrow_and_update().holds() {
                return true;
            }
            let changed = tokio::select! {
                changed = self.objects.changed() => changed,
                changed = self.leadership.changed() => changed,
            };
            if changed.is_err() {
                return false;
            }
        }
    }
}

/// Whether it is a trouble that goes away only when somebody does something about it.
fn is_final(trouble: Trouble) -> bool {
    matches!(trouble, Trouble::Forbidden | Trouble::Refused)
}

fn remedy(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::Forbidden => {
            "let the service account create it and get the Secrets that it names \
             (telemetry.secretNames of the chart), or create it yourself"
        }
        Trouble::Refused => {
            "mend its spec (telemetry.config of the chart), or create one of its name yourself"
        }
        other => other.remedy(),
    }
}

#[cfg(test)]
mod tests;
