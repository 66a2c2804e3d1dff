//! Metadata of objects and of reports, as it is watched, cut down to what is kept of it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Client;
use kube::api::{ApiResource, DynamicObject};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher;
use pharos_api::report::ReportKind;
use pharos_cluster::metadata::{Told, tell};
use pharos_reports::{KYVERNO, MANAGED_BY};
use tokio::sync::mpsc;

use crate::known::{KindInGroup, Stamp, TargetId, Uid, Version};
use crate::scan::{Seen, SeenReport};
use crate::target::Target;

/// What a watch told.
#[derive(Debug)]
pub(crate) enum Heard {
    Objects(TargetId, Told<Glimpse>),
    Reports(ReportKind, Told<ReportGlimpse>),
}

/// An object, unless it has no uid of the usual form.
#[derive(Debug)]
pub(crate) struct Glimpse(pub(crate) Option<Seen>);

/// A report, unless it is not named after a resource.
#[derive(Debug)]
pub(crate) struct ReportGlimpse(pub(crate) Option<SeenReport>);

// === impl Glimpse ===

impl From<PartialObjectMeta<DynamicObject>> for Glimpse {
    fn from(object: PartialObjectMeta<DynamicObject>) -> Self {
        let metadata = object.metadata;
        let seen = || {
            Some(Seen {
                uid: Uid::parse(metadata.uid.as_deref()?)?,
                namespace: metadata.namespace.clone().unwrap_or_default(),
                name: metadata.name.clone()?,
                version: Version::parse(metadata.resource_version.as_deref()?),
            })
        };
        Self(seen())
    }
}

// === impl ReportGlimpse ===

impl From<PartialObjectMeta<DynamicObject>> for ReportGlimpse {
    fn from(object: PartialObjectMeta<DynamicObject>) -> Self {
        let metadata = object.metadata;
        let seen = || {
            Some(SeenReport {
                uid: Uid::parse(metadata.name.as_deref()?)?,
                namespace: metadata.namespace.clone().unwrap_or_default(),
                version: Version::parse(metadata.resource_version.as_deref()?),
                owner: metadata.owner_references.iter().flatten().next().map(kind_of_owner),
                stamp: Stamp::of(metadata.annotations.as_ref()),
            })
        };
        Self(seen())
    }
}

fn kind_of_owner(owner: &OwnerReference) -> KindInGroup {
    let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
    KindInGroup::of(&owner.kind, group)
}

/// Tells of the objects of a target, for as long as it is polled.
pub(crate) async fn watch_objects(
    client: Client,
    id: TargetId,
    target: &Target,
    heard: mpsc::Sender<Heard>,
) {
    let resource = ApiResource {
        group: target.group.to_string(),
        version: target.version.to_string(),
        api_version: target.api_version(),
        kind: target.kind.to_string(),
        plural: target.resource.to_string(),
    };
    let selection = watcher::Config::default();
    tell(client, &resource, selection, heard, |told| Heard::Objects(id, told)).await;
}

/// Tells of the reports of a kind that are ours, or that Kyverno left, for as long as it is polled.
pub(crate) async fn watch_reports(client: Client, kind: ReportKind, heard: mpsc::Sender<Heard>) {
    let types = kind.types();
    let api = kind.api();
    let resource = ApiResource {
        group: api.group().to_owned(),
        version: api.version().to_owned(),
        api_version: types.api_version,
        kind: types.kind,
        plural: kind.plural().to_owned(),
    };
    let (label, pharos) = MANAGED_BY;
    let selection = watcher::Config::default().labels(&format!("{label} in ({pharos},{KYVERNO})"));
    tell(client, &resource, selection, heard, |told| Heard::Reports(kind, told)).await;
}
