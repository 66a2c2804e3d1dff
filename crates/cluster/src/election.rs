//! Leadership by a Lease, taken and renewed by PUT with the resourceVersion that was read.
//!
//! A Lease counts as expired when it was not seen to change for its duration on *our* monotonic
//! clock: the times that another machine wrote into it are for people. A Lease gives no fencing:
//! what a leader writes must carry the resourceVersion it was computed from.
//!
//! [`Election::run`] is the loop; what it does next is [`step`], a pure function of what was seen.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::trouble::Trouble;

/// How long others wait for a silent leader.
const LEASE_DURATION: Duration = Duration::from_secs(15);
/// How long a leader that cannot renew goes on as one; shorter than [`LEASE_DURATION`], so that it
/// stops before the next one starts.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// How often the Lease is read or renewed, and how long one request may take.
const RETRY_PERIOD: Duration = Duration::from_secs(2);
/// A process that ends does not wait longer than this for an API server that does not answer.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// What this process may write on behalf of all replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// Writes status and other shared objects.
    Leader,
    /// Writes nothing shared.
    Follower,
}

/// One candidate for one Lease.
pub struct Election {
    leases: Api<Lease>,
    name: String,
    identity: String,
}

/// When a Lease was last seen to change.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    resource_version: String,
    since: Instant,
}

/// What a candidate does next about the Lease it read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Create,
    Renew,
    TakeOver,
    Wait,
}

// === impl Election ===

impl Election {
    /// A candidate named `identity` for the Lease `name`.
    pub fn new(client: Client, namespace: &str, name: &str, identity: &str) -> Self {
        Self {
            leases: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity: identity.to_owned(),
        }
    }

    /// Runs for the Lease until `shutdown`, then gives it up so that another need not wait for it.
    pub async fn run(self, leadership: watch::Sender<Leadership>, shutdown: CancellationToken) {
        let mut seen = None;
        let mut renewed = Instant::now();
        let mut trouble = None;
        while !shutdown.is_cancelled() {
            let attempted = Instant::now();
            let attempt = tokio::time::timeout(RETRY_PERIOD, self.attempt(&mut seen));
            let Some(attempt) = shutdown.run_until_cancelled(attempt).await else { break };
            match attempt {
                Ok(Ok(role)) => {
                    if role == Leadership::Leader {
                        renewed = attempted;
                    }
                    self.recovered(&mut trouble);
                    self.announce(&leadership, role);
                }
                Ok(Err(error)) => self.note(&mut trouble, Trouble::of(&error), &error.to_string()),
                Err(_) => self.note(&mut trouble, Trouble::Unreachable, "no answer in time"),
            }
            if renewed.elapsed() >= RENEW_DEADLINE {
                self.announce(&leadership, Leadership::Follower);
            }
            let _ = tokio::time::timeout(RETRY_PERIOD, shutdown.cancelled()).await;
        }
        if *leadership.borrow() == Leadership::Leader {
            self.announce(&leadership, Leadership::Follower);
            let _ = tokio::time::timeout(FAREWELL_TIMEOUT, self.give_up()).await;
        }
    }

    fn note(&self, trouble: &mut Option<Trouble>, now: Trouble, error: &str) {
        if trouble.replace(now) != Some(now) {
            tracing::warn!(
                lease = self.name,
                reason = now.reason(),
                error,
                "cannot read or renew the Lease, retrying; {}",
                now.remedy()
            );
        }
    }

    fn recovered(&self, trouble: &mut Option<Trouble>) {
        if trouble.take().is_some() {
            tracing::info!(lease = self.name, "the Lease can be read and renewed again");
        }
    }

    fn announce(&self, leadership: &watch::Sender<Leadership>, now: Leadership) {
        if leadership.send_if_modified(|before| std::mem::replace(before, now) != now) {
            tracing::info!(lease = self.name, identity = self.identity, "now {now:?}");
        }
    }

    /// Reads the Lease, does the next step, and says what we are after it.
    async fn attempt(&self, seen: &mut Option<Seen>) -> kube::Result<Leadership> {
        let lease = self.leases.get_opt(&self.name).await?;
        observe(seen, lease.as_ref(), Instant::now());
        let written =
            match (step(lease.as_ref(), &self.identity, seen.as_ref(), Instant::now()), lease) {
                (Step::Wait, _) => return Ok(Leadership::Follower),
                (Step::Create, _) | (_, None) => {
                    let lease = held_by(&self.identity, &self.name, None, Timestamp::now());
                    self.leases.create(&PostParams::default(), &lease).await
                }
                (Step::Renew | Step::TakeOver, Some(lease)) => {
                    let lease = held_by(&self.identity, &self.name, Some(lease), Timestamp::now());
                    self.leases.replace(&self.name, &PostParams::default(), &lease).await
                }
            };
        match written {
            Ok(lease) => {
                observe(seen, Some(&lease), Instant::now());
                Ok(Leadership::Leader)
            }
            // Somebody else was quicker; the next round reads what they wrote.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(Leadership::Follower),
            Err(error) => Err(error),
        }
    }

    async fn give_up(&self) -> kube::Result<()> {
        let Some(mut lease) = self.leases.get_opt(&self.name).await? else { return Ok(()) };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() == Some(&self.identity) {
            spec.holder_identity = None;
            self.leases.replace(&self.name, &PostParams::default(), &lease).await?;
        }
        Ok(())
    }
}

/// Notes when the Lease was last seen to change.
fn observe(seen: &mut Option<Seen>, lease: Option<&Lease>, now: Instant) {
    let version = lease.and_then(|lease| lease.metadata.resource_version.clone());
    match (version, seen.as_ref()) {
        (None, _) => *seen = None,
        (Some(version), Some(before)) if before.resource_version == version => {}
        (Some(resource_version), _) => *seen = Some(Seen { resource_version, since: now }),
    }
}

/// What to do about the Lease as it was read. Pure.
fn step(lease: Option<&Lease>, identity: &str, seen: Option<&Seen>, now: Instant) -> Step {
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
fn held_by(identity: &str, name: &str, read: Option<Lease>, now: Timestamp) -> Lease {
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
