//! The leader's part: what should stand in the API server is made to stand there.
//!
//! [`step`] says, purely, what to do about what stands; [`keep`] does it. Written only when it
//! differs, so that what somebody edits or deletes is repaired and nothing else is written: as a
//! whole, because a server-side apply leaves standing what others have added, and a condition that
//! somebody adds can keep a webhook from ever being called. Only a configuration that is not there is
//! applied, since the right to create can be limited to a name for that alone.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::rbac::v1::ClusterRole;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Resource};
use pharos_cluster::discovery::Resources;
use pharos_cluster::election::Leadership;
use pharos_cluster::in_time;
use pharos_cluster::trouble::{Episode, Trouble};
use pharos_cluster::view::{Observed, View};
use tokio::sync::watch;

use super::conditions::{DryRun, Places, Trials};
use super::exempt::OwnUser;
use super::{MANAGED_BY, Registration};
use crate::certificate::Material;
use crate::plan::Plan;
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
    pub(crate) resources: watch::Receiver<Option<Arc<Resources>>>,
    /// What the Secret holds: its bundle is what is published.
    pub(crate) newest: watch::Receiver<Option<Arc<Material>>>,
    /// What this process serves: nothing is registered before it serves.
    pub(crate) served: watch::Receiver<Option<Arc<Material>>>,
    pub(crate) view: watch::Receiver<View<ValidatingWebhookConfiguration>>,
}

/// What the leader does next.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    Rest,
    /// There is none.
    Apply(Box<ValidatingWebhookConfiguration>),
    /// In place of exactly the version that was seen.
    Replace(Box<ValidatingWebhookConfiguration>),
}

/// What the leader knows and goes by.
struct Leader {
    api: Api<ValidatingWebhookConfiguration>,
    registration: Registration,
    sources: Sources,
    places: watch::Sender<Places>,
    /// Who we are, once it was asked.
    own_user: Option<Option<OwnUser>>,
    trials: Trials,
    /// What was done last, about which version of what stands. A watch that lags shows what stood
    /// before: the same again would be written in vain.
    last: (Step, Option<String>),
}

/// When to look again, though nothing is known to have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    Never,
    After(Duration),
}

// === impl Sources ===

impl Sources {
    async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        tokio::select! {
            changed = self.leadership.changed() => changed,
            changed = self.policies.changed() => changed,
            changed = self.resources.changed() => changed,
            changed = self.newest.changed() => changed,
            changed = self.served.changed() => changed,
            changed = self.view.changed() => changed,
        }
    }
}

// === impl Leader ===

impl Leader {
    /// Looks at everything, and does what follows.
    async fn round(&mut self) -> kube::Result<Again> {
        if !self.sources.leadership.borrow_and_update().holds() {
            self.last = (Step::Rest, None);
            return Ok(Again::Never);
        }
        let policies = self.sources.policies.borrow_and_update().clone();
        let resources = self.sources.resources.borrow_and_update().clone();
        let newest = self.sources.newest.borrow_and_update().clone();
        let serving = self.sources.served.borrow_and_update().is_some();
        let objects = self.sources.view.borrow_and_update().objects.clone();
        let (Some(policies), Some(resources), Some(newest), Some(objects), true) =
            (policies, resources, newest, objects, serving)
        else {
            return Ok(Again::Never);
        };
        if self.own_user.is_none() {
            self.own_user = Some(in_time(who_we_are(&self.api)).await?);
        }
        let own_user = self.own_user.as_ref().and_then(Option::as_ref);
        let (registration, bundle) = (&self.registration, newest.bundle());
        let dry_run =
            DryRun { api: &self.api, registration, resources: &resources, bundle, own_user };
        let complete = self.trials.run(&policies, &dry_run).await;
        self.tell_places();
        let plan = Plan::of(&policies, &resources, &|policy| self.trials.is_apart(policy.key()));
        let desired = self.registration.desired(&plan, bundle, own_user);
        let found = objects.values().next();
        let version = found.and_then(|found| found.metadata.resource_version.clone());
        let next = (step(desired, found, self.registration.owner.as_deref()), version);
        if next != self.last {
            self.write(&next.0).await?;
            self.last = next;
        }
        Ok(match (&self.last.0, complete) {
            (_, false) => Again::After(RETRY_AFTER),
            (Step::Rest, true) => Again::Never,
            (_, true) => Again::After(SHOWN_AFTER),
        })
    }

    async fn write(&mut self, step: &Step) -> kube::Result<()> {
        let written = in_time(write(&self.api, &self.registration, step)).await;
        if let Err(kube::Error::Api(status)) = &written
            && matches!(status.code, 400 | 413 | 422)
        {
            self.trials.distrust(&status.message);
        }
        written
    }

    fn tell_places(&self) {
        let places = self.trials.places();
        self.places.send_if_modified(|told| {
            let news = *told != *places;
            *told = places.clone();
            news
        });
    }
}

// === step, keep ===

pub(super) fn step(
    desired: ValidatingWebhookConfiguration,
    found: Option<&Observed<ValidatingWebhookConfiguration>>,
    owner: Option<&str>,
) -> Step {
    let Some(found) = found else {
        return Step::Apply(Box::new(desired));
    };
    if stands(&desired, found) && is_owned(owner, found) {
        return Step::Rest;
    }
    let mut metadata = found.metadata.clone();
    metadata.labels.get_or_insert_default().extend(desired.metadata.labels.unwrap_or_default());
    Step::Replace(Box::new(ValidatingWebhookConfiguration { metadata, ..desired }))
}

/// Whether it belongs to the ClusterRole that it is to go with, if there is one.
fn is_owned(owner: Option<&str>, found: &Observed<ValidatingWebhookConfiguration>) -> bool {
    let kind = ClusterRole::kind(&());
    let mut owners = found.metadata.owner_references.iter().flatten();
    owner.is_none_or(|name| owners.any(|it| it.kind == kind && it.name == name))
}

/// Whether what stands there is ours and nothing else. Only labels that others add are theirs.
fn stands(
    desired: &ValidatingWebhookConfiguration,
    found: &Observed<ValidatingWebhookConfiguration>,
) -> bool {
    let Ok(object) = &found.object else {
        return false;
    };
    let labelled = found.metadata.labels.as_ref().and_then(|labels| labels.get(MANAGED_BY.0));
    labelled.is_some_and(|by| by == MANAGED_BY.1) && object.webhooks == desired.webhooks
}

/// Keeps what stands in the API server equal to what should, while this process leads, and `places`
/// what was made of match conditions.
pub(crate) async fn keep(
    api: Api<ValidatingWebhookConfiguration>,
    registration: Registration,
    sources: Sources,
    places: watch::Sender<Places>,
) {
    let what = format!("write the ValidatingWebhookConfiguration {}", registration.name());
    let mut episode = Episode::of(what);
    let (trials, last) = (Trials::default(), (Step::Rest, None));
    let mut leader = Leader { api, registration, sources, places, own_user: None, trials, last };
    loop {
        let again = match leader.round().await {
            Ok(again) => {
                episode.succeeded();
                again
            }
            Err(error) => {
                episode.failed(Trouble::of(&error), &error);
                leader.last = (Step::Rest, None);
                tokio::time::sleep(RETRY_AFTER).await;
                continue;
            }
        };
        let changed = tokio::select! {
            changed = leader.sources.changed() => changed,
            // The watch is to show by now what was written. If somebody undid it before the watch saw
            // it, the watch shows nothing new, ever.
            () = elapsed(again) => {
                leader.last = (Step::Rest, None);
                Ok(())
            }
        };
        if changed.is_err() {
            return;
        }
    }
}

async fn elapsed(again: Again) {
    match again {
        Again::Never => std::future::pending().await,
        Again::After(duration) => tokio::time::sleep(duration).await,
    }
}

async fn write(
    api: &Api<ValidatingWebhookConfiguration>,
    registration: &Registration,
    step: &Step,
) -> Result<(), kube::Error> {
    let (Step::Apply(desired) | Step::Replace(desired)) = step else {
        return Ok(());
    };
    let name = registration.name();
    let mut desired = desired.clone();
    if let Some(owner) = &registration.owner {
        desired.metadata.owner_references = Some(vec![owned_by(api, owner).await?]);
    }
    let written = match step {
        Step::Replace(_) => api.replace(&name, &PostParams::default(), &desired).await,
        _ => {
            let params = PatchParams::apply(FIELD_MANAGER).force();
            api.patch(&name, &params, &Patch::Apply(desired)).await
        }
    };
    match written {
        Ok(_) => tracing::info!(name, "registered the webhooks"),
        // Another version by now, or gone: the watch brings the news.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// The ServiceAccount that this process is, if it is one. An API server that does not say is no
/// reason to register nothing.
async fn who_we_are(api: &Api<ValidatingWebhookConfiguration>) -> kube::Result<Option<OwnUser>> {
    let reviews = Api::<SelfSubjectReview>::all(api.clone().into_client());
    let review = match reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await {
        Ok(review) => review,
        Err(kube::Error::Api(status)) if matches!(status.code, 403..=405) => {
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
