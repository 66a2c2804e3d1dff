//! What there is to see, as values: who leads, what each TelemetryConfig comes to, and what each
//! replica runs and exports. Pure. This is also what `-o json` prints.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use pharos_api::telemetryconfig::{ComponentStatus, TelemetryConfig, TelemetryConfigStatus};
use pharos_cluster::view::Observed;
use serde::Serialize;

use super::gather::Gathered;

mod replica;

pub(super) use replica::{Exporter, Replica, ReplicaState};

/// All of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Picture {
    /// The engine's namespace.
    pub(super) namespace: String,
    /// Who writes status.
    pub(super) leader: Option<Leader>,
    /// The TelemetryConfigs by name.
    pub(super) objects: Vec<Object>,
    /// The replicas: those that need a look first.
    pub(super) replicas: Vec<Replica>,
}

/// Who writes status.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Leader {
    /// Its name; none while nobody leads.
    pub(super) identity: Option<String>,
    /// When it last said so, by its own clock.
    pub(super) renewed: Option<Timestamp>,
}

/// What a TelemetryConfig comes to, as the leader wrote it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Object {
    /// Its name.
    pub(super) name: String,
    /// The generation of its spec.
    pub(super) generation: i64,
    /// The generation that the conditions are about.
    pub(super) observed_generation: Option<i64>,
    /// Why it cannot be decoded, if it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) undecodable: Option<String>,
    /// Replicas that run it, of those that should.
    pub(super) programmed_replicas: Option<String>,
    /// When the first certificate expires.
    pub(super) next_certificate_expiry: Option<Timestamp>,
    /// For which components it decides.
    pub(super) components: Vec<ComponentStatus>,
    /// The conditions, in their order.
    pub(super) conditions: Vec<Condition>,
}

/// A condition.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Condition {
    pub(super) r#type: String,
    pub(super) status: String,
    pub(super) reason: String,
    pub(super) message: String,
    pub(super) last_transition_time: Timestamp,
}

// === impl Picture ===

impl Picture {
    /// What was gathered, at `now`.
    pub(super) fn of(namespace: &str, gathered: &Gathered, now: Timestamp) -> Self {
        let Gathered { objects, leases, leader } = gathered;
        let by_uid: BTreeMap<_, _> = objects.iter().map(|it| (it.uid(), it)).collect();
        let mut replicas: Vec<_> =
            leases.iter().map(|lease| Replica::of(lease, &by_uid, now)).collect();
        replicas.sort_by_cached_key(|replica| (replica.urgency(), replica.name.clone()));
        let mut objects: Vec<_> = objects.iter().map(Object::of).collect();
        objects.sort_by(|one, other| one.name.cmp(&other.name));
        let leader = leader.as_ref().map(Leader::of);
        Self { namespace: namespace.to_owned(), leader, objects, replicas }
    }

    /// Leaves only one object, and the replicas that obey it; whether there is such an object.
    pub(super) fn restrict(&mut self, name: &str) -> bool {
        if !self.objects.iter().any(|object| object.name == name) {
            return false;
        }
        self.objects.retain(|object| object.name == name);
        self.replicas.retain(|replica| replica.config.as_deref() == Some(name));
        true
    }
}

// === impl Leader ===

impl Leader {
    fn of(lease: &Lease) -> Self {
        let spec = lease.spec.clone().unwrap_or_default();
        let identity = spec.holder_identity.filter(|identity| !identity.is_empty());
        Self { identity, renewed: spec.renew_time.map(|time| time.0) }
    }
}

// === impl Object ===

impl Object {
    fn of(observed: &Observed<TelemetryConfig>) -> Self {
        let object = observed.object.as_ref().ok();
        let status = object.and_then(|it| it.status.clone()).unwrap_or_default();
        let TelemetryConfigStatus {
            observed_generation,
            programmed_replicas,
            components,
            next_certificate_expiry_time,
            conditions,
            programmed_generation: _,
            replicas_programmed: _,
            replicas_live: _,
            exporters: _,
            // The Leases know more.
            replicas: _,
        } = status;
        let condition = |it: k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| Condition {
            r#type: it.type_,
            status: it.status,
            reason: it.reason,
            message: it.message,
            last_transition_time: it.last_transition_time.0,
        };
        Self {
            name: observed.name().to_owned(),
            generation: observed.generation(),
            observed_generation,
            undecodable: observed.object.as_ref().err().cloned(),
            programmed_replicas,
            next_certificate_expiry: next_certificate_expiry_time.map(|time| time.0),
            components,
            conditions: conditions.into_iter().map(condition).collect(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
