//! What every replica programmed last, kept in ControllerRevisions for replicas that start onto
//! something that cannot be programmed.
//!
//! The leader [`keep`]s one per object, the newest, owned by the object: garbage collection removes
//! it with its owner. A starting replica reads the [`newest`]. The spec holds references by name
//! only, as the object itself does.

use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use kube::api::{DeleteParams, ListParams, ObjectMeta, PostParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::Value;

use crate::in_time;

/// Names the object that a revision is of, by its uid.
const LABEL: &str = "telemetry.pharos.dev/telemetryconfig-uid";

/// One generation of one object, as it was programmed.
#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    /// `metadata.generation`.
    pub generation: i64,
    /// The spec.
    pub spec: Value,
}

/// The newest revision of the object with this uid.
///
/// # Errors
/// As the API server answers, or if it does not within 5 s; a refusal is no absence.
pub async fn newest(client: Client, namespace: &str, uid: &str) -> kube::Result<Option<Revision>> {
    let revisions = Api::<ControllerRevision>::namespaced(client, namespace);
    let all = in_time(revisions.list(&of(uid))).await?.items;
    let newest = all.into_iter().max_by_key(|revision| revision.revision);
    Ok(newest.and_then(|it| Some(Revision { generation: it.revision, spec: it.data?.0 })))
}

/// Keeps this revision of the object that `owner` refers to, and no older one. Writes nothing if it is
/// kept already, or a newer one is: a leader that wakes late does not bring an old one back.
///
/// # Errors
/// As the API server answers, or if it does not within 5 s. Whatever was done until then is done.
pub async fn keep(
    client: Client,
    namespace: &str,
    owner: OwnerReference,
    revision: Revision,
) -> kube::Result<()> {
    let revisions = Api::<ControllerRevision>::namespaced(client, namespace);
    let (uid, generation) = (owner.uid.clone(), revision.generation);
    let before = in_time(revisions.list(&of(&uid))).await?.items;
    let newest = before.iter().map(|revision| revision.revision).max();
    if newest.is_none_or(|newest| newest < generation) {
        let kept = kept(owner, revision);
        match in_time(revisions.create(&PostParams::default(), &kept)).await {
            // Another leader kept it meanwhile.
            Err(kube::Error::Api(answer)) if answer.code == 409 => {}
            created => drop(created?),
        }
    }
    let newest = newest.unwrap_or_default().max(generation);
    for older in before.iter().filter(|older| older.revision < newest) {
        let (name, parameters) = (older.name_any(), DeleteParams::default());
        match in_time(revisions.delete(&name, &parameters)).await {
            Err(kube::Error::Api(answer)) if answer.code == 404 => {}
            gone => drop(gone?),
        }
    }
    Ok(())
}

fn kept(owner: OwnerReference, revision: Revision) -> ControllerRevision {
    let Revision { generation, spec } = revision;
    ControllerRevision {
        metadata: ObjectMeta {
            name: Some(format!("pharos-telemetry-{}-{generation}", owner.uid)),
            labels: Some([(LABEL.to_owned(), owner.uid.clone())].into()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        data: Some(RawExtension(spec)),
        revision: generation,
    }
}

/// Refers to an object as the owner of its revisions.
pub fn owner<K: Resource<DynamicType = ()>>(name: &str, uid: &str) -> OwnerReference {
    OwnerReference {
        api_version: K::api_version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        name: name.to_owned(),
        uid: uid.to_owned(),
        ..OwnerReference::default()
    }
}

fn of(uid: &str) -> ListParams {
    ListParams::default().labels(&format!("{LABEL}={uid}"))
}

#[cfg(test)]
mod tests;
