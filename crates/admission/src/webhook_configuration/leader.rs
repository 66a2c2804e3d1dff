//! The leader's part: what should stand in the API server is made to stand there.
//!
//! [`step`] says, purely, what to do about what stands; [`keep`] does it. Written by server-side
//! apply and only when it differs, so that what somebody edits or deletes is repaired and nothing
//! else is written.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::rbac::v1::ClusterRole;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Resource};
use pharos_cluster::election::Leadership;
use pharos_cluster::in_time;
use pharos_cluster::trouble::{Episode, Trouble};
use pharos_cluster::view::{Observed, View};
use tokio::sync::watch;

use super::exempt::OwnUser;
use super::{MANAGED_BY, Registration, ours};
use crate::certificate::Material;
use crate::policies::Policies;

/// The owner of the fields that we apply, the same for every leader.
const FIELD_MANAGER: &str = "pharos-admission";
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// How long the watch may take to show what was written.
const SHOWN_AFTER: Duration = Duration::from_secs(5);

/// What [`keep`] derives the configuration from.
#[derive(Clone)]
pub(crate) struct Sources {
    pub(crate) leadership: watch::Receiver<Leadership>,
    pub(crate) policies: watch::Receiver<Option<Arc<Policies>>>,
    /// What the Secret holds: its bundle is what is published.
    pub(crate) newest: watch::Receiver<Option<Arc<Material>>>,
    /// What this process serves: nothing is registered before it serves.
    pub(crate) served: watch::Receiver<Option<Arc<Material>>>,
    pub(crate) view: watch::Receiver<View<ValidatingWebhookConfiguration>>,
}

/// What the leader does next.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    Rest,
    Apply(Box<ValidatingWebhookConfiguration>),
    Delete { uid: String },
}

// === impl Sources ===

impl Sources {
    /// What to do, and about which version of what stands.
    fn step(
        &mut self,
        registration: &Registration,
        own_user: Option<&OwnUser>,
    ) -> (Step, Option<String>) {
        if !self.leadership.borrow_and_update().holds() {
            return (Step::Rest, None);
        }
        let policies = self.policies.borrow_and_update().clone();
        let newest = self.newest.borrow_and_update().clone();
        let serving = self.served.borrow_and_update().is_some();
        let objects = self.view.borrow_and_update().objects.clone();
        match (policies, newest, objects) {
            (Some(policies), Some(newest), Some(objects)) if serving => {
                let desired = registration.desired(&policies, newest.bundle(), own_user);
                let found = objects.values().next();
                let version = found.and_then(|found| found.metadata.resource_version.clone());
                (step(desired, found, registration.owner.as_deref()), version)
            }
            _ => (Step::Rest, None),
        }
    }

    async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        tokio::select! {
            changed = self.leadership.changed() => changed,
            changed = self.policies.changed() => changed,
            changed = self.newest.changed() => changed,
            changed = self.served.changed() => changed,
            changed = self.view.changed() => changed,
        }
    }
}

// === step, keep ===

pub(super) fn step(
    desired: Option<ValidatingWebhookConfiguration>,
    found: Option<&Observed<ValidatingWebhookConfiguration>>,
    owner: Option<&str>,
) -> Step {
    match (desired, found) {
        (None, None) => Step::Rest,
        (None, Some(found)) => Step::Delete { uid: found.uid().to_owned() },
        (Some(desired), Some(found)) if stands(&desired, found) && is_owned(owner, found) => {
            Step::Rest
        }
        (Some(desired), _) => Step::Apply(Box::new(desired)),
    }
}

/// Whether it belongs to the ClusterRole that it is to go with, if there is one.
fn is_owned(owner: Option<&str>, found: &Observed<ValidatingWebhookConfiguration>) -> bool {
    let kind = ClusterRole::kind(&());
    let mut owners = found.metadata.owner_references.iter().flatten();
    owner.is_none_or(|name| owners.any(|it| it.kind == kind && it.name == name))
}

/// Whether all that we would apply stands there. Labels that others add are theirs; webhooks that
/// others add are not, but apply cannot remove them.
fn stands(
    desired: &ValidatingWebhookConfiguration,
    found: &Observed<ValidatingWebhookConfiguration>,
) -> bool {
    let Ok(object) = &found.object else {
        return false;
    };
    let labelled = found.metadata.labels.as_ref().and_then(|labels| labels.get(MANAGED_BY.0));
    labelled.is_some_and(|by| by == MANAGED_BY.1)
        && ours(object).eq(desired.webhooks.iter().flatten())
}

/// Keeps what stands in the API server equal to what should, while this process leads.
pub(crate) async fn keep(
    api: Api<ValidatingWebhookConfiguration>,
    registration: Registration,
    mut sources: Sources,
) {
    let what = format!("write the ValidatingWebhookConfiguration {}", registration.name());
    let mut episode = Episode::of(what);
    let mut own_user = None;
    // A watch that lags shows what stood before: the same again would be written in vain.
    let mut last = (Step::Rest, None);
    loop {
        let outcome = async {
            if own_user.is_none() {
                own_user = Some(in_time(who_we_are(&api)).await?);
            }
            let next = sources.step(&registration, own_user.as_ref().and_then(Option::as_ref));
            if next != last {
                in_time(write(&api, &registration, &next.0)).await?;
            }
            Ok(next)
        };
        match outcome.await {
            Ok(next) => {
                episode.succeeded();
                last = next;
            }
            Err(error) => {
                episode.failed(Trouble::of(&error), &error);
                last = (Step::Rest, None);
                tokio::time::sleep(RETRY_AFTER).await;
                continue;
            }
        }
        let changed = tokio::select! {
            changed = sources.changed() => changed,
            // The watch is to show by now what was written. If somebody undid it before the watch saw
            // it, the watch shows nothing new, ever.
            () = tokio::time::sleep(SHOWN_AFTER), if last.0 != Step::Rest => {
                last = (Step::Rest, None);
                Ok(())
            }
        };
        if changed.is_err() {
            return;
        }
    }
}

async fn write(
    api: &Api<ValidatingWebhookConfiguration>,
    registration: &Registration,
    step: &Step,
) -> Result<(), kube::Error> {
    let name = registration.name();
    match step {
        Step::Rest => Ok(()),
        Step::Apply(desired) => {
            let params = PatchParams::apply(FIELD_MANAGER).force();
            let mut desired = desired.clone();
            desired.metadata.owner_references = match &registration.owner {
                Some(owner) => Some(vec![owned_by(api, owner).await?]),
                None => None,
            };
            api.patch(&name, &params, &Patch::Apply(desired)).await?;
            tracing::info!(name, "registered the webhook");
            Ok(())
        }
        Step::Delete { uid } => {
            let preconditions = Preconditions { uid: Some(uid.clone()), resource_version: None };
            let params = DeleteParams::default().preconditions(preconditions);
            match api.delete(&name, &params).await {
                Ok(_) => tracing::info!(name, "no policy is in force: unregistered the webhook"),
                // Gone, or another object by now: the watch brings the news.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
                Err(error) => return Err(error),
            }
            Ok(())
        }
    }
}

/// The ServiceAccount that this process is, if it is one. An API server that does not say is no
/// reason to register nothing.
async fn who_we_are(api: &Api<ValidatingWebhookConfiguration>) -> kube::Result<Option<OwnUser>> {
    let reviews = Api::<SelfSubjectReview>::all(api.clone().into_client());
    let review = match reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await {
        Ok(review) => review,
        Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404 | 405) => {
            tracing::warn!(%status, "cannot ask who we are: policies see our own requests");
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let user = review.status.and_then(|status| status.user_info);
    Ok(user.and_then(|user| user.username).as_deref().and_then(OwnUser::parse))
}

/// Refers to the ClusterRole of this name. Without it nothing is registered: Pharos is being
/// uninstalled, and nobody would take the registration away again.
async fn owned_by(
    api: &Api<ValidatingWebhookConfiguration>,
    name: &str,
) -> kube::Result<OwnerReference> {
    let roles = Api::<ClusterRole>::all(api.clone().into_client());
    let found = roles.get_metadata(name).await?;
    Ok(OwnerReference {
        api_version: ClusterRole::api_version(&()).into_owned(),
        kind: ClusterRole::kind(&()).into_owned(),
        name: name.to_owned(),
        uid: found.metadata.uid.unwrap_or_default(),
        ..OwnerReference::default()
    })
}
