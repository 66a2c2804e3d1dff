//! Kubernetes Events about what policies said, in the words that Kyverno's users know.
//!
//! [`Events`] is where they are handed in, from the middle of a review: it never waits and never
//! fails. [`Publisher`] creates them, no faster than the API server is to be asked. What does not
//! fit into the queue, or is refused, is counted. Events cannot come back as reviews: the webhooks
//! never match them.

use std::collections::BTreeSet;
use std::num::{NonZeroU32, NonZeroUsize};
use std::str::FromStr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use tokio::sync::mpsc;

use crate::record::Facts;

mod outcomes;
mod publish;

pub(crate) use outcomes::told;
pub(crate) use publish::Publisher;

/// What the command line says about Events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventOptions {
    /// The reasons that nobody is told about.
    pub omitted: BTreeSet<EventReason>,
    /// How many may wait to be published.
    pub queued: NonZeroUsize,
    /// How many are published per second, in the long run.
    pub rate: NonZeroU32,
    /// How many are published at once.
    pub burst: NonZeroU32,
}

/// Why there is an Event; Kyverno's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventReason {
    /// A rule was violated.
    PolicyViolation,
    /// Every rule was obeyed.
    PolicyApplied,
    /// A rule could not be evaluated, or a policy not be compiled.
    PolicyError,
    /// An exception kept a rule from counting.
    PolicySkipped,
}

/// What became of the request; Kyverno's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Action {
    Blocked,
    Passed,
    /// There was no request.
    None,
}

/// An Event to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Notice {
    pub(crate) reason: EventReason,
    pub(crate) action: Action,
    pub(crate) regarding: ObjectReference,
    pub(crate) related: Option<ObjectReference>,
    /// What happened, for people.
    pub(crate) note: String,
}

/// Where notices are handed in.
#[derive(Clone)]
pub(crate) struct Events {
    queue: mpsc::Sender<Notice>,
    omitted: Arc<BTreeSet<EventReason>>,
    facts: Arc<dyn Facts>,
}

/// Events, and what publishes them.
pub(crate) fn events(
    client: Client,
    options: &EventOptions,
    reporter: &str,
    facts: Arc<dyn Facts>,
) -> (Events, Publisher) {
    let (sender, queue) = mpsc::channel(options.queued.get());
    let publisher = Publisher::new(client, options, reporter, queue, facts.clone());
    (Events { queue: sender, omitted: Arc::new(options.omitted.clone()), facts }, publisher)
}

// === impl EventOptions ===

impl Default for EventOptions {
    /// As Kyverno's chart has it.
    fn default() -> Self {
        const fn of(count: u32) -> NonZeroU32 {
            NonZeroU32::new(count).expect("it is not zero")
        }
        Self {
            omitted: BTreeSet::from([EventReason::PolicyApplied, EventReason::PolicySkipped]),
            queued: NonZeroUsize::new(1_000).expect("it is not zero"),
            rate: of(1_000),
            burst: of(2_000),
        }
    }
}

// === impl Events ===

impl Events {
    /// Events that nobody publishes.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn untold(facts: Arc<dyn Facts>) -> Self {
        let omitted = Arc::new(BTreeSet::from(EventReason::ALL));
        Self { queue: mpsc::channel(1).0, omitted, facts }
    }

    /// Whether an Event of that reason is told at all: one that is not needs no note.
    pub(crate) fn tell(&self, reason: EventReason) -> bool {
        !self.omitted.contains(&reason)
    }

    /// Hands one in.
    pub(crate) fn hand_in(&self, notice: Notice) {
        if self.tell(notice.reason) && self.queue.try_send(notice).is_err() {
            self.facts.event_dropped("QueueFull");
        }
    }
}

// === impl EventReason ===

impl EventReason {
    /// Every reason.
    pub const ALL: [Self; 4] =
        [Self::PolicyViolation, Self::PolicyApplied, Self::PolicyError, Self::PolicySkipped];

    /// The reason as the Event has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PolicyViolation => "PolicyViolation",
            Self::PolicyApplied => "PolicyApplied",
            Self::PolicyError => "PolicyError",
            Self::PolicySkipped => "PolicySkipped",
        }
    }

    /// Whether somebody should have a look.
    fn severity(self) -> &'static str {
        match self {
            Self::PolicyViolation | Self::PolicyError => "Warning",
            Self::PolicyApplied | Self::PolicySkipped => "Normal",
        }
    }
}

impl FromStr for EventReason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or_else(|| {
            let reasons = Self::ALL.map(Self::as_str).join(", ");
            format!("{text:?} is no reason of an Event; they are {reasons}")
        })
    }
}

// === impl Action ===

impl Action {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "Resource Blocked",
            Self::Passed => "Resource Passed",
            Self::None => "None",
        }
    }
}

#[cfg(test)]
mod tests;
