//! What is not served any more, and may be again in a moment. Pure but for the clock, which is an argument.
//!
//! An API server that starts may serve less than it is about to, and what is scanned no more loses its
//! reports. So a resource that policies are about is still scanned for a while after it was served last.

use std::collections::BTreeMap;
use std::time::Duration;

use pharos_policy::PolicySet;
use pharos_reports::scanned;
use tokio::time::Instant;

use super::{Plan, Target};

/// Longer than an API server takes to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// Since when what is missing.
#[derive(Debug, Default)]
pub(crate) struct Patience(BTreeMap<Target, Instant>);

// === impl Patience ===

impl Patience {
    /// Adds to `plan` what was scanned before, is missing, and may come back.
    pub(crate) fn keep(
        &mut self,
        plan: &mut Plan,
        before: &Plan,
        policies: &PolicySet,
        now: Instant,
    ) {
        let is_about =
            |target: &Target| policies.iter().any(|it| scanned::names(it, target.served()));
        // One that is read in another version now is not missing.
        let is_missing = |target: &&Target| {
            let same = |it: &Target| (&it.group, &it.resource) == (&target.group, &target.resource);
            !plan.targets.iter().any(same) && is_about(target)
        };
        let missing: Vec<Target> = before.targets.iter().filter(is_missing).cloned().collect();
        self.0.retain(|target, _| missing.contains(target));
        for target in missing {
            let since = *self.0.entry(target.clone()).or_insert(now);
            if now.saturating_duration_since(since) < PATIENCE {
                plan.targets.insert(target);
            }
        }
    }

    /// Whether anything is missing.
    pub(crate) fn is_tried(&self) -> bool {
        !self.0.is_empty()
    }
}
