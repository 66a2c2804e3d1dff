//! One snapshot's way to a receiver, as one request or as several.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::client::Client;
use crate::outcome::ExportOutcome;
use crate::request::Request;

/// What came of the requests that one snapshot was sent in.
#[derive(Debug)]
pub(crate) struct Exported {
    /// That of the first request that failed, or of the whole.
    pub(crate) outcome: ExportOutcome,
    /// How many points the receiver has.
    pub(crate) accepted: u64,
    /// How many it will not take, by reason.
    pub(crate) refused: Vec<(&'static str, u64)>,
    /// How many it has not, so far.
    pub(crate) missing: u64,
    /// How many requests are done with, from the first one on.
    pub(crate) settled: usize,
}

/// What follows a request that is refused for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nothing: later totals have its points again.
    Ends,
    /// The next one: its points are in no other.
    GoesOn,
}

/// An export under way.
pub(super) struct Sending {
    answer: Pin<Box<dyn Future<Output = ExportOutcome> + Send>>,
    tally: Arc<Mutex<Tally>>,
    total: u64,
}

/// What came of the requests so far. Read when the export is given up, too.
#[derive(Debug, Default)]
struct Tally {
    accepted: u64,
    refused: Vec<(&'static str, u64)>,
    settled: usize,
}

// === impl Sending ===

impl Sending {
    /// Sends `requests`, one after the other. Independent of the client; ends within its timeout.
    pub(super) fn start(client: &Client, requests: &[Request], refusal: Refusal) -> Self {
        let sends = requests.iter().map(|request| (client.send(request), request.items));
        Self::of(sends.collect(), client.timeout(), refusal)
    }

    fn of<S>(sends: Vec<(S, u64)>, timeout: Duration, refusal: Refusal) -> Self
    where
        S: Future<Output = ExportOutcome> + Send + 'static,
    {
        let total = sends.iter().map(|(_, points)| points).sum();
        let tally = Arc::new(Mutex::new(Tally::default()));
        let answers = Arc::clone(&tally);
        let answer = Box::pin(async move {
            let mut failure = None;
            let sent = tokio::time::timeout(timeout, async {
                for (send, points) in sends {
                    let outcome = send.await;
                    let done = lock(&answers).note(&outcome, points, refusal);
                    if outcome != ExportOutcome::Accepted {
                        failure = Some(outcome);
                    }
                    if !done {
                        break;
                    }
                }
            });
            match sent.await {
                Ok(()) => lock(&answers).outcome(failure),
                Err(_) => ExportOutcome::timed_out(timeout),
            }
        });
        Self { answer, tally, total }
    }

    /// Waits until it has ended. What came of it so far is kept if this is dropped before.
    pub(super) async fn ended(&mut self) -> Exported {
        let outcome = (&mut self.answer).await;
        self.exported(outcome)
    }

    /// What came of it, if nobody waits for the rest.
    pub(super) fn abandoned(&self) -> Exported {
        let why = "given up for the last export".to_owned();
        self.exported(ExportOutcome::Ambiguous { why })
    }

    fn exported(&self, outcome: ExportOutcome) -> Exported {
        let tally = lock(&self.tally);
        let refused: u64 = tally.refused.iter().map(|(_, points)| points).sum();
        Exported {
            outcome,
            accepted: tally.accepted,
            refused: tally.refused.clone(),
            missing: self.total.saturating_sub(tally.accepted + refused),
            settled: tally.settled,
        }
    }
}

// === impl Tally ===

impl Tally {
    /// Notes what came of the next request; `false` if no other may follow.
    fn note(&mut self, outcome: &ExportOutcome, points: u64, refusal: Refusal) -> bool {
        let refused = match outcome {
            ExportOutcome::Accepted => 0,
            ExportOutcome::PartiallyRejected { items, .. } => *items,
            ExportOutcome::Rejected { .. } if refusal == Refusal::GoesOn => points,
            _ => return false,
        };
        self.accepted += points - refused;
        if refused > 0 {
            self.refused.push((outcome.reason(), refused));
        }
        self.settled += 1;
        true
    }

    /// What came of the whole: refused in part, if the receiver has some of it.
    fn outcome(&self, failure: Option<ExportOutcome>) -> ExportOutcome {
        let items = self.refused.iter().map(|(_, points)| points).sum();
        match failure {
            None => ExportOutcome::Accepted,
            Some(ExportOutcome::PartiallyRejected { message, .. }) => {
                ExportOutcome::PartiallyRejected { items, message }
            }
            Some(ExportOutcome::Rejected { .. }) if self.accepted > 0 && items > 0 => {
                let message = "some requests are rejected".to_owned();
                ExportOutcome::PartiallyRejected { items, message }
            }
            Some(failure) => failure,
        }
    }
}

// === impl Exported ===

impl Exported {
    /// Whether the receiver may have more than it said.
    pub(super) fn is_doubtful(&self) -> bool {
        matches!(self.outcome, ExportOutcome::Ambiguous { .. })
    }

    /// Whether the receiver took it, but for what it refused.
    pub(super) fn is_accepted(&self) -> bool {
        matches!(self.outcome, ExportOutcome::Accepted | ExportOutcome::PartiallyRejected { .. })
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::AnswerCode;
    use std::future::ready;
    use tonic::Code;

    fn rejected() -> ExportOutcome {
        let code = AnswerCode::Grpc(Code::InvalidArgument);
        ExportOutcome::Rejected { code, message: String::new() }
    }

    fn partial(items: u64) -> ExportOutcome {
        ExportOutcome::PartiallyRejected { items, message: "too old".to_owned() }
    }

    /// Three requests of ten points each.
    async fn sent(outcomes: [ExportOutcome; 3], refusal: Refusal) -> Exported {
        let sends = outcomes.map(|outcome| (ready(outcome), 10)).into();
        Sending::of(sends, Duration::from_secs(1), refusal).ended().await
    }

    #[tokio::test]
    async fn one_refused_request_of_three_does_not_keep_the_others_of_a_window_back() {
        use ExportOutcome::Accepted;
        let exported = sent([Accepted, rejected(), Accepted], Refusal::GoesOn).await;
        assert_eq!((exported.accepted, exported.missing, exported.settled), (20, 0, 3));
        assert_eq!(exported.refused, [("rejected", 10)]);
        assert_eq!(exported.outcome.reason(), "partially_rejected");

        let exported = sent([rejected(), rejected(), rejected()], Refusal::GoesOn).await;
        assert_eq!((exported.accepted, exported.missing, exported.settled), (0, 0, 3));
        assert_eq!(exported.outcome, rejected());
    }

    #[tokio::test]
    async fn totals_that_are_refused_are_not_worth_a_further_request() {
        use ExportOutcome::Accepted;
        let exported = sent([Accepted, rejected(), Accepted], Refusal::Ends).await;
        assert_eq!((exported.accepted, exported.missing), (10, 20));
        assert_eq!(exported.outcome, rejected());
        assert!(exported.refused.is_empty());
    }

    #[tokio::test]
    async fn points_are_refused_one_by_one_too() {
        let exported = sent([partial(3), partial(4), partial(0)], Refusal::Ends).await;
        assert_eq!((exported.accepted, exported.missing, exported.settled), (23, 0, 3));
        assert_eq!(exported.refused, [("partially_rejected", 3), ("partially_rejected", 4)]);
        assert_eq!(exported.outcome, partial(7));
    }

    #[tokio::test]
    async fn what_was_answered_is_known_when_the_rest_is_given_up() {
        let send = |answers: bool| async move {
            match answers {
                true => ExportOutcome::Accepted,
                false => std::future::pending().await,
            }
        };
        let sends = vec![(send(true), 10), (send(false), 10), (send(true), 10)];
        let mut sending = Sending::of(sends, Duration::from_secs(3600), Refusal::GoesOn);
        tokio::select! {
            biased;
            exported = sending.ended() => panic!("{exported:?}"),
            () = ready(()) => {}
        }
        let exported = sending.abandoned();
        assert_eq!((exported.accepted, exported.missing, exported.settled), (10, 20, 1));
        assert!(exported.is_doubtful());
    }

    #[tokio::test(start_paused = true)]
    async fn all_requests_together_have_the_time_of_one_export() {
        let slow = || async {
            tokio::time::sleep(Duration::from_secs(4)).await;
            ExportOutcome::Accepted
        };
        let sends = vec![(slow(), 10), (slow(), 10), (slow(), 10)];
        let exported = Sending::of(sends, Duration::from_secs(10), Refusal::GoesOn).ended().await;
        assert_eq!((exported.accepted, exported.settled), (20, 2));
        assert!(exported.is_doubtful());
    }
}
