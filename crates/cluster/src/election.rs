//! Leadership by a Lease, taken and renewed by PUT with the resourceVersion that was read.
//!
//! A Lease counts as expired when it was not seen to change for its duration on *our* monotonic
//! clock: the times that another machine wrote into it are for people. A leader may act for 10 s
//! after it began its last renewal that succeeded, and others take over 15 s after they saw it, so
//! that a write that is under way when the term ends (5 s at most) still comes before the next
//! leader's. A process that was stopped meanwhile finds its term over ([`Leadership::holds`]) before
//! it knows of anything else.
//!
//! All of this keeps two leaders from writing over each other, it does not fence them: a process may
//! be stopped between the look at its term and the write. What a leader writes must carry the
//! resourceVersion it was computed from.
//!
//! [`Election::run`] is the loop; what it does next is [`step`], a pure function of what was seen.

use std::mem::discriminant;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::PostParams;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::step::{Seen, Step, held_by, observe, step};
use crate::trouble::{Episode, Trouble};

mod step;

/// How long others wait for a silent leader.
const LEASE_DURATION: Duration = Duration::from_secs(15);
/// How long a renewal is good for; shorter than [`LEASE_DURATION`] by what a write may take, so that
/// a leader stops before the next one starts.
const TERM: Duration = Duration::from_secs(10);
/// How often the Lease is read or renewed, and how long one attempt may take.
const RETRY_PERIOD: Duration = Duration::from_secs(2);
/// A process that ends does not wait longer than this for an API server that does not answer.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// What this process may write on behalf of all replicas.
///
/// Renewals move `until` without waking who waits for a change; becoming a leader, or one again
/// after the term was over, wakes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leadership {
    /// Writes status and other shared objects while this holds.
    Leader {
        /// The end of the term, if it is not renewed.
        until: Instant,
    },
    /// Writes nothing shared.
    Follower,
}

/// One candidate for one Lease.
pub struct Election {
    leases: Api<Lease>,
    name: String,
    identity: String,
}

// === impl Leadership ===

impl Leadership {
    /// Whether it may be acted upon now. Ask right before every write, and let no write take more
    /// than 5 s.
    pub fn holds(self) -> bool {
        match self {
            Self::Leader { until } => Instant::now() < until,
            Self::Follower => false,
        }
    }

    /// The leadership that a renewal gave which was begun then.
    fn since(begun: Instant) -> Self {
        Self::Leader { until: begun + TERM }
    }
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
        let mut episode = Episode::of(format!("read or renew the Lease {:?}", self.name));
        while !shutdown.is_cancelled() {
            let round = async {
                self.round(&mut seen, &mut episode, &leadership).await;
                tokio::time::sleep(RETRY_PERIOD).await;
            };
            shutdown.run_until_cancelled(self.within_term(round, &leadership)).await;
        }
        self.announce(&leadership, Leadership::Follower);
        // Also where the last answer to us was not waited for, and made us the holder.
        let _ = tokio::time::timeout(FAREWELL_TIMEOUT, self.give_up()).await;
    }

    /// Does this, and stops leading when the term ends meanwhile.
    async fn within_term(&self, round: impl Future<Output = ()>, now: &watch::Sender<Leadership>) {
        let mut round = std::pin::pin!(round);
        loop {
            let leading = *now.borrow();
            let Leadership::Leader { until } = leading else { return round.await };
            tokio::select! {
                () = &mut round => return,
                // Unless it was renewed meanwhile.
                () = tokio::time::sleep_until(until) => if *now.borrow() == leading {
                    self.announce(now, Leadership::Follower);
                },
            }
        }
    }

    async fn round(
        &self,
        seen: &mut Option<Seen>,
        episode: &mut Episode,
        leadership: &watch::Sender<Leadership>,
    ) {
        match tokio::time::timeout(RETRY_PERIOD, self.attempt(seen)).await {
            Ok(Ok(role)) => {
                episode.succeeded();
                self.announce(leadership, role);
            }
            Ok(Err(error)) => drop(episode.failed(Trouble::of(&error), &error)),
            Err(_) => drop(episode.failed(Trouble::Unreachable, &"no answer in time")),
        }
    }

    fn announce(&self, leadership: &watch::Sender<Leadership>, now: Leadership) {
        // A renewal that was answered too late is none.
        let now = if now.holds() { now } else { Leadership::Follower };
        let changed = leadership.send_if_modified(|before| {
            let before = std::mem::replace(before, now);
            before.holds() != now.holds() || discriminant(&before) != discriminant(&now)
        });
        if changed {
            let role = if now == Leadership::Follower { "Follower" } else { "Leader" };
            tracing::info!(lease = self.name, identity = self.identity, "now {role}");
        }
    }

    /// Reads the Lease, does the next step, and says what we are after it.
    async fn attempt(&self, seen: &mut Option<Seen>) -> kube::Result<Leadership> {
        let lease = self.leases.get_opt(&self.name).await?;
        observe(seen, lease.as_ref(), Instant::now());
        let begun = Instant::now();
        let written = match (step(lease.as_ref(), &self.identity, seen.as_ref(), begun), lease) {
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
                Ok(Leadership::since(begun))
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

#[cfg(test)]
mod tests;
