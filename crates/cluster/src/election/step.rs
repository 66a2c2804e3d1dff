//! What a candidate does about the Lease as it read it. Pure: the clocks are arguments.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::ObjectMeta;
use tokio::time::Instant;

use super::LEASE_DURATION;

/// When a Lease was last seen to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    resource_version: String,
    since: Instant,
}

/// What a candidate does next about the Lease it read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Create,
    Renew,
    TakeOver,
    Wait,
}

/// Notes when the Lease was last seen to change.
pub(super) fn observe(seen: &mut Option<Seen>, lease: Option<&Lease>, now: Instant) {
    let version = lease.and_then(|lease| lease.metadata.resource_version.clone());
    match (version, seen.as_ref()) {
        (None, _) => *seen = None,
        (Some(version), Some(before)) if before.resource_version == version => {}
        (Some(resource_version), _) => *seen = Some(Seen { resource_version, since: now }),
    }
}

/// What to do about the Lease as it was read. Pure.
pub(super) fn step(
    lease: Option<&Lease>,
    identity: &str,
    seen: Option<&Seen>,
    now: Instant,
) -> Step {
    let Some(lease) = lease else { return Step::Create };
    let spec = lease.spec.as_ref();
    let holder = spec.and_then(|spec| spec.holder_identity.as_deref()).unwrap_or_default();
    if holder == identity {
        return Step::Renew;
    }
    let duration = spec
        .and_then(|spec| spec.lease_duration_seconds)
        .and_then(|seconds| u64::try_from(seconds).ok())
        .map_or(LEASE_DURATION, Duration::from_secs);
    let expired = seen.is_some_and(|seen| now.duration_since(seen.since) > duration);
    if holder.is_empty() || expired { Step::TakeOver } else { Step::Wait }
}

/// The Lease as its holder writes it, over the one that was read.
pub(super) fn held_by(identity: &str, name: &str, read: Option<Lease>, now: Timestamp) -> Lease {
    let mut lease = read.unwrap_or_else(|| Lease {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        spec: None,
    });
    let before = lease.spec.take().unwrap_or_default();
    let same_holder = before.holder_identity.as_deref() == Some(identity);
    let transitions = before.lease_transitions.unwrap_or_default();
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
        acquire_time: before.acquire_time.filter(|_| same_holder).or(Some(MicroTime(now))),
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(if same_holder {
            transitions
        } else {
            transitions.saturating_add(1)
        }),
        ..LeaseSpec::default()
    });
    lease
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: &str, version: &str) -> Lease {
        let mut lease = held_by(holder, "leader", None, Timestamp::UNIX_EPOCH);
        lease.metadata.resource_version = Some(version.to_owned());
        lease
    }

    fn seen(version: &str, since: Instant) -> Option<Seen> {
        Some(Seen { resource_version: version.to_owned(), since })
    }

    #[test]
    fn a_lease_expires_by_our_own_clock_only() {
        let start = Instant::now();
        let other = lease("other", "1");
        let seen = seen("1", start);
        let at =
            |seconds| step(Some(&other), "me", seen.as_ref(), start + Duration::from_secs(seconds));
        assert_eq!(at(0), Step::Wait, "its renewTime of 1970 does not count");
        assert_eq!(at(15), Step::Wait);
        assert_eq!(at(16), Step::TakeOver);
    }

    #[test]
    fn a_change_starts_the_wait_anew() {
        let start = Instant::now();
        let later = start + Duration::from_secs(14);
        let mut noted = None;
        observe(&mut noted, Some(&lease("other", "1")), start);
        observe(&mut noted, Some(&lease("other", "1")), later);
        assert_eq!(noted, seen("1", start));
        observe(&mut noted, Some(&lease("other", "2")), later);
        assert_eq!(noted, seen("2", later));
    }

    #[test]
    fn the_holder_renews_and_a_released_lease_is_taken_at_once() {
        let now = Instant::now();
        let noted = seen("1", now);
        assert_eq!(step(None, "me", None, now), Step::Create);
        assert_eq!(step(Some(&lease("me", "1")), "me", noted.as_ref(), now), Step::Renew);
        assert_eq!(step(Some(&lease("", "1")), "me", noted.as_ref(), now), Step::TakeOver);
    }

    #[test]
    fn taking_over_counts_a_transition_and_renewing_does_not() {
        let first = held_by("a", "leader", None, Timestamp::UNIX_EPOCH);
        let renewed = held_by("a", "leader", Some(first.clone()), Timestamp::now());
        let taken = held_by("b", "leader", Some(renewed.clone()), Timestamp::now());
        let transitions = |lease: &Lease| lease.spec.as_ref().unwrap().lease_transitions.unwrap();
        let acquired = |lease: &Lease| lease.spec.as_ref().unwrap().acquire_time.clone().unwrap();
        assert_eq!(transitions(&renewed), transitions(&first));
        assert_eq!(acquired(&renewed), acquired(&first));
        assert_eq!(transitions(&taken), transitions(&first) + 1);
        assert_ne!(acquired(&taken), acquired(&first));
    }
}
