//! Whether what sinks export arrives, for people: it changes on transitions only.
//!
//! One failed export is no news, unless it is refused before any has arrived. [`Pulse`] turns the
//! outcomes of a sink into a state with hysteresis; only the hub publishes [`Health`].

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::outcome::{ExportOutcome, Retry};
use crate::signal::SinkId;

/// This many failures in a row are news.
const FAILURES: u32 = 3;
/// So is failing for this long.
const FAILING_FOR: Duration = Duration::from_secs(60);

/// The state of every sink that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Health {
    /// By signal and name of the sink.
    pub sinks: BTreeMap<SinkId, SinkHealth>,
}

/// Whether what a sink exports arrives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all_fields = "camelCase")]
pub enum SinkHealth {
    /// No export was answered yet.
    NotYetExported,
    /// Exports arrive, or the sink is one that is scraped.
    Healthy,
    /// Several exports in a row did not arrive, or not whole; or the receiver refused the first
    /// one; or there are no new totals to export.
    Failing {
        /// The kind of the failure.
        reason: FailureReason,
        /// What happened and what to look at; the same text while the same thing happens.
        message: String,
    },
}

/// Why exports do not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum FailureReason {
    /// There is no connection, or no answer.
    EndpointUnreachable,
    /// One of the two sides does not accept the other's certificate.
    TLSHandshakeFailed,
    /// The receiver does not take it from us.
    Unauthenticated,
    /// The receiver asks to wait.
    Throttled,
    /// The receiver refuses some points.
    SomeDataDropped,
    /// The receiver refuses everything.
    AllDataDropped,
}

/// The outcomes of one sink so far, as far as its health depends on them.
#[derive(Debug)]
pub(crate) struct Pulse {
    health: SinkHealth,
    streak: Option<Streak>,
}

/// Failures in a row.
#[derive(Debug)]
struct Streak {
    failures: u32,
    since: Instant,
}

// === impl FailureReason ===

impl FailureReason {
    /// The reason as a condition names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EndpointUnreachable => "EndpointUnreachable",
            Self::TLSHandshakeFailed => "TLSHandshakeFailed",
            Self::Unauthenticated => "Unauthenticated",
            Self::Throttled => "Throttled",
            Self::SomeDataDropped => "SomeDataDropped",
            Self::AllDataDropped => "AllDataDropped",
        }
    }
}

// === impl Pulse ===

impl Pulse {
    pub(crate) fn new() -> Self {
        Self { health: SinkHealth::NotYetExported, streak: None }
    }

    /// Takes the outcome of an export that began at `began`; the new state, if it changed.
    pub(crate) fn observe(
        &mut self,
        outcome: &ExportOutcome,
        began: Instant,
        now: Instant,
    ) -> Option<SinkHealth> {
        let health = match failure(outcome) {
            None => {
                self.streak = None;
                SinkHealth::Healthy
            }
            Some((reason, message)) => {
                let streak = self.streak.get_or_insert(Streak { failures: 0, since: began });
                streak.failures += 1;
                // What is refused from the start will not heal by waiting, hours perhaps.
                let refused =
                    self.health == SinkHealth::NotYetExported && outcome.retry() == Retry::No;
                let lasting = streak.failures >= FAILURES || now - streak.since >= FAILING_FOR;
                if !refused && !lasting {
                    return None;
                }
                SinkHealth::Failing { reason, message }
            }
        };
        (health != self.health).then(|| {
            self.health = health.clone();
            health
        })
    }
}

/// What is wrong with an export that ended like this, if anything is; the same text for the same.
pub(crate) fn failure(outcome: &ExportOutcome) -> Option<(FailureReason, String)> {
    Some(match outcome {
        ExportOutcome::Accepted => return None,
        // Neither the number of points nor the receiver's words are stable.
        ExportOutcome::PartiallyRejected { .. } => (
            FailureReason::SomeDataDropped,
            "the receiver rejects some of the data; its own log says why".to_owned(),
        ),
        ExportOutcome::Throttled { .. } => {
            (FailureReason::Throttled, "the receiver asks to send less often".to_owned())
        }
        ExportOutcome::Unauthenticated { code } => (
            FailureReason::Unauthenticated,
            format!("the receiver does not accept the credentials ({code}); check the headers"),
        ),
        ExportOutcome::Unimplemented => (
            FailureReason::AllDataDropped,
            "the receiver offers no such OTLP service here, or not with this compression"
                .to_owned(),
        ),
        // The receiver's words are not stable.
        ExportOutcome::Rejected { code, message: _ } => {
            let remedy = code.remedy().map(|remedy| format!("; {remedy}")).unwrap_or_default();
            (
                FailureReason::AllDataDropped,
                format!("the receiver rejects the exports ({code}){remedy}"),
            )
        }
        ExportOutcome::Tls { why } => {
            (FailureReason::TLSHandshakeFailed, format!("the TLS handshake fails: {why}"))
        }
        ExportOutcome::Unreachable { why } => {
            (FailureReason::EndpointUnreachable, format!("no connection to the receiver: {why}"))
        }
        ExportOutcome::Ambiguous { why } => {
            (FailureReason::EndpointUnreachable, format!("the receiver does not answer: {why}"))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreachable() -> ExportOutcome {
        ExportOutcome::Unreachable { why: "refused".to_owned() }
    }

    #[test]
    fn the_third_failure_in_a_row_is_news_and_the_first_success_after_it() {
        let now = Instant::now();
        let mut pulse = Pulse::new();
        let mut observe = |outcome: &ExportOutcome| pulse.observe(outcome, now, now);
        assert_eq!(observe(&ExportOutcome::Accepted), Some(SinkHealth::Healthy));
        assert_eq!(observe(&ExportOutcome::Accepted), None);
        assert_eq!(observe(&unreachable()), None);
        assert_eq!(observe(&unreachable()), None);
        assert_eq!(observe(&ExportOutcome::Accepted), None, "a short outage is no news");
        assert_eq!(observe(&unreachable()), None);
        assert_eq!(observe(&unreachable()), None);
        let failing = observe(&unreachable());
        let reason = FailureReason::EndpointUnreachable;
        assert!(matches!(&failing, Some(SinkHealth::Failing { reason: it, .. }) if *it == reason));
        assert_eq!(observe(&unreachable()), None, "the same again is no news");
        let other = observe(&ExportOutcome::Unimplemented);
        let reason = FailureReason::AllDataDropped;
        assert!(matches!(&other, Some(SinkHealth::Failing { reason: it, .. }) if *it == reason));
        assert_eq!(observe(&ExportOutcome::Accepted), Some(SinkHealth::Healthy));
    }

    #[test]
    fn a_sink_that_never_answered_is_not_failing_before_its_third_attempt() {
        let now = Instant::now();
        let mut pulse = Pulse::new();
        assert_eq!(pulse.observe(&unreachable(), now, now), None);
        assert_eq!(pulse.observe(&unreachable(), now, now), None);
        assert!(pulse.observe(&unreachable(), now, now).is_some());
    }

    #[test]
    fn a_sink_that_is_refused_from_the_start_is_failing_at_once() {
        let now = Instant::now();
        let refused = ExportOutcome::Unauthenticated { code: tonic::Code::Unauthenticated.into() };
        let mut pulse = Pulse::new();
        let failing = pulse.observe(&refused, now, now);
        let reason = FailureReason::Unauthenticated;
        assert!(matches!(&failing, Some(SinkHealth::Failing { reason: it, .. }) if *it == reason));

        let mut pulse = Pulse::new();
        assert_eq!(pulse.observe(&ExportOutcome::Accepted, now, now), Some(SinkHealth::Healthy));
        assert_eq!(pulse.observe(&refused, now, now), None, "after it worked, one is no news");
    }

    #[test]
    fn one_export_that_takes_a_minute_to_fail_is_news() {
        let began = Instant::now();
        let mut pulse = Pulse::new();
        assert!(pulse.observe(&unreachable(), began, began + FAILING_FOR).is_some());
    }
}
