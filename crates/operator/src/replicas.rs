//! Which replicas live, judged by the leader from their heartbeat Leases.
//!
//! A replica is live while its Lease was seen to change within [`heartbeat::DURATION`] on the
//! leader's own monotonic clock. Pure but for the clock, which is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use pharos_cluster::heartbeat;
use pharos_cluster::view::{Observed, Uid};
use tokio::time::Instant;

use crate::report::Report;

/// Longer than a replica takes from one renewal to the next, with a failed one between them.
const CURRENT: Duration = Duration::from_secs(20);
/// After this long without a change a Lease is an orphan, and the leader deletes it.
const ORPHANED: Duration = Duration::from_secs(600);

/// A live replica and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveReplica {
    /// Its name: the Pod's, where there is one.
    pub name: String,
    /// Its report.
    pub report: Report,
}

/// A Lease that nobody will renew any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OrphanedLease {
    pub(crate) name: String,
    /// As it was when it was last seen to change: a replica that wakes meanwhile keeps its Lease.
    pub(crate) resource_version: String,
}

/// The heartbeat Leases as this leader has seen them.
#[derive(Default)]
pub(crate) struct Replicas(BTreeMap<Uid, Beat>);

struct Beat {
    lease: String,
    resource_version: String,
    since: Instant,
    replica: Option<LiveReplica>,
}

// === impl Replicas ===

impl Replicas {
    /// Takes in the Leases as they are now.
    pub(crate) fn observe(&mut self, leases: &BTreeMap<Uid, Observed<Lease>>, now: Instant) {
        self.0.retain(|uid, _| leases.contains_key(uid));
        for (uid, observed) in leases {
            let resource_version = observed.metadata.resource_version.clone().unwrap_or_default();
            let unchanged =
                self.0.get(uid).is_some_and(|beat| beat.resource_version == resource_version);
            if !unchanged {
                let replica = replica(observed);
                let lease = observed.name().to_owned();
                self.0.insert(uid.clone(), Beat { lease, resource_version, since: now, replica });
            }
        }
    }

    /// Whether the Leases are as they are now, as far as can be told: somebody was seen to renew one
    /// within the time in which every live replica does.
    pub(crate) fn is_current(&self, now: Instant) -> bool {
        self.0.values().any(|beat| now.duration_since(beat.since) <= CURRENT)
    }

    /// The live replicas, by name.
    pub(crate) fn live(&self, now: Instant) -> Vec<LiveReplica> {
        let live = |beat: &&Beat| now.duration_since(beat.since) <= heartbeat::DURATION;
        let mut replicas: Vec<_> =
            self.0.values().filter(live).filter_map(|beat| beat.replica.clone()).collect();
        replicas.sort_by(|one, other| one.name.cmp(&other.name));
        replicas
    }

    /// The Leases that nobody will renew any more.
    pub(crate) fn orphans(&self, now: Instant) -> Vec<OrphanedLease> {
        let orphaned = |beat: &&Beat| now.duration_since(beat.since) > ORPHANED;
        let lease = |beat: &Beat| OrphanedLease {
            name: beat.lease.clone(),
            resource_version: beat.resource_version.clone(),
        };
        self.0.values().filter(orphaned).map(lease).collect()
    }
}

/// The replica that a Lease is of. A Lease is named after its replica, so no two are of the same.
fn replica(observed: &Observed<Lease>) -> Option<LiveReplica> {
    let lease = observed.object.as_ref().ok()?;
    let name = lease.spec.as_ref()?.holder_identity.clone()?;
    if observed.name() != heartbeat::lease_name(&name) {
        tracing::debug!(lease = observed.name(), replica = name, "a Lease of another name");
        return None;
    }
    let report = Report::decode(heartbeat::report(lease)?)
        .inspect_err(|error| tracing::debug!(replica = name, %error, "a report of another version"))
        .ok()?;
    Some(LiveReplica { name, report })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::Arc;

    fn leases(entries: &[(&str, &str)]) -> BTreeMap<Uid, Observed<Lease>> {
        entries
            .iter()
            .map(|(name, version)| {
                let report = Report { components: [].into(), config: None }.encode();
                let lease: Lease = serde_json::from_value(json!({
                    "metadata": {
                        "name": format!("pharos-replica-{name}"), "uid": name,
                        "resourceVersion": version,
                        "annotations": {"telemetry.pharos.dev/report": report},
                    },
                    "spec": {"holderIdentity": name, "renewTime": "1970-01-01T00:00:00.000000Z"},
                }))
                .unwrap();
                let metadata = lease.metadata.clone();
                ((*name).to_owned(), Observed { metadata, object: Ok(Arc::new(lease)) })
            })
            .collect()
    }

    fn names(replicas: &Replicas, now: Instant) -> Vec<String> {
        replicas.live(now).into_iter().map(|replica| replica.name).collect()
    }

    #[test]
    fn a_replica_lives_while_its_lease_changes_on_our_clock() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut replicas = Replicas::default();
        replicas.observe(&leases(&[("a", "1"), ("b", "1")]), at(0));
        replicas.observe(&leases(&[("a", "2"), ("b", "1")]), at(30));
        assert_eq!(names(&replicas, at(40)), ["a", "b"]);
        assert_eq!(names(&replicas, at(41)), ["a"]);
        assert_eq!(names(&replicas, at(71)), Vec::<String>::new());
    }

    #[test]
    fn a_removed_lease_is_a_replica_that_left() {
        let start = Instant::now();
        let mut replicas = Replicas::default();
        replicas.observe(&leases(&[("a", "1"), ("b", "1")]), start);
        replicas.observe(&leases(&[("b", "1")]), start);
        assert_eq!(names(&replicas, start), ["b"]);
    }

    #[test]
    fn only_a_long_silent_lease_is_an_orphan() {
        let start = Instant::now();
        let mut replicas = Replicas::default();
        replicas.observe(&leases(&[("a", "1")]), start);
        assert!(replicas.orphans(start + ORPHANED).is_empty());
        let (name, resource_version) = ("pharos-replica-a".to_owned(), "1".to_owned());
        assert_eq!(
            replicas.orphans(start + ORPHANED + Duration::from_secs(1)),
            [OrphanedLease { name, resource_version }]
        );
    }

    #[test]
    fn a_lease_speaks_for_the_replica_that_it_is_named_after_and_for_no_other() {
        let mut leases = leases(&[("a", "1"), ("b", "1")]);
        let mut impostor = (**leases["b"].object.as_ref().unwrap()).clone();
        impostor.spec.as_mut().unwrap().holder_identity = Some("a".to_owned());
        leases.get_mut("b").unwrap().object = Ok(Arc::new(impostor));
        let mut replicas = Replicas::default();
        replicas.observe(&leases, Instant::now());
        assert_eq!(names(&replicas, Instant::now()), ["a"]);
    }
}
