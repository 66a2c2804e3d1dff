//! How often the leader may do what it does for one object, so that many replicas, many edits or an
//! exporter that comes and goes do not flood the API server. Pure: the clock is an argument.
//!
//! Nothing is forgotten for being early: [`Pace::due`] says when it is time, and what is written
//! then is the state of then.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use pharos_api::telemetryconfig::{
    Component, ComponentState, ComponentStatus, TelemetryConfigStatus,
};
use tokio::time::Instant;

/// With [`DETAILS`], at most ten writes within any ten seconds.
const VERDICTS: Rate = Rate { burst: 5, period: Duration::from_secs(5) };
const DETAILS: Rate = Rate { burst: 3, period: Duration::from_secs(20) };
/// Details that arrive one after the other are written together.
const BETWEEN_DETAILS: Duration = Duration::from_secs(2);

/// So many at once, and then one per period.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    pub(super) burst: u32,
    pub(super) period: Duration,
}

/// What is left of a [`Rate`].
#[derive(Clone, Debug)]
pub(super) struct Allowance {
    rate: Rate,
    /// When all of the burst is available again; `None` if it is.
    restored: Option<Instant>,
}

/// What a difference between two statuses is to those who wait for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Somebody may wait for it: a condition, or which object decides for a component.
    Verdict,
    /// Counts, entries of replicas, messages.
    Detail,
}

/// When the status of one object may be written.
#[derive(Debug)]
pub(super) struct Pace {
    verdicts: Allowance,
    details: Allowance,
    last: Option<Instant>,
}

// === impl Allowance ===

impl Allowance {
    pub(super) fn of(rate: Rate) -> Self {
        Self { rate, restored: None }
    }

    /// From when on there is one to spend; `None` if there always was.
    pub(super) fn due(&self) -> Option<Instant> {
        let rest = self.rate.period * self.rate.burst.saturating_sub(1);
        self.restored?.checked_sub(rest)
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due().is_none_or(|due| due <= now)
    }

    pub(super) fn spend(&mut self, now: Instant) {
        let restored = self.restored.map_or(now, |restored| restored.max(now));
        self.restored = Some(restored + self.rate.period);
    }
}

// === impl Urgency ===

impl Urgency {
    /// What has to be written, if anything has.
    pub(super) fn between(
        before: Option<&TelemetryConfigStatus>,
        after: &TelemetryConfigStatus,
    ) -> Option<Self> {
        match before {
            None => Some(Self::Verdict),
            Some(before) if before == after => None,
            Some(before) if same_verdicts(before, after) => Some(Self::Detail),
            Some(_) => Some(Self::Verdict),
        }
    }
}

/// Whether those who wait for a condition, or for a component, would see no difference.
fn same_verdicts(before: &TelemetryConfigStatus, after: &TelemetryConfigStatus) -> bool {
    fn condition(it: &Condition) -> (&str, &str, &str, Option<i64>) {
        (&it.type_, &it.status, &it.reason, it.observed_generation)
    }
    fn component(it: &ComponentStatus) -> (Component, ComponentState, Option<&str>) {
        (it.component, it.state, it.by.as_deref())
    }
    before.conditions.iter().map(condition).eq(after.conditions.iter().map(condition))
        && before.components.iter().map(component).eq(after.components.iter().map(component))
}

// === impl Pace ===

impl Default for Pace {
    fn default() -> Self {
        let (verdicts, details) = (Allowance::of(VERDICTS), Allowance::of(DETAILS));
        Self { verdicts, details, last: None }
    }
}

impl Pace {
    /// From when on a difference may be written; `None` if it always might.
    pub(super) fn due(&self, urgency: Urgency) -> Option<Instant> {
        match urgency {
            Urgency::Verdict => self.verdicts.due(),
            Urgency::Detail => self.details.due().max(self.last.map(|last| last + BETWEEN_DETAILS)),
        }
    }

    /// Counts a write, or the attempt at one.
    pub(super) fn spend(&mut self, urgency: Urgency, now: Instant) {
        self.last = Some(now);
        match urgency {
            Urgency::Verdict => self.verdicts.spend(now),
            Urgency::Detail => self.details.spend(now),
        }
    }
}

#[cfg(test)]
mod tests;
