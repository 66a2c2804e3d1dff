//! The end of a sender: what is still open, what the queue holds, and what became of it.

use super::{
    Deadline, ExportOutcome, Farewell, InFlight, LastExport, Leave, Record, Sender, Settled,
};
use crate::records::queue::Others;
use crate::sink::{LAST_EXPORT_LOST, last_pause};

/// What came of the last requests so far.
#[derive(Default)]
struct Tally {
    accepted: u64,
    refused: u64,
}

// === impl Sender ===

impl<R: Record> Sender<R> {
    pub(super) async fn part(mut self, in_flight: Option<InFlight>, farewell: Farewell) {
        let Farewell { leave, mut deadline, counts, reply } = farewell;
        // Nobody asks on. A question that nobody goes on with, and that was the first to connect,
        // would hold up what waits for the same connection.
        self.probe.stop();
        let outcome = match leave {
            Leave::Swapped => {
                self.spec.queue.pass_on();
                self.hand_over(in_flight, &mut deadline).await
            }
            Leave::Removed => self.send_rest(in_flight, &mut deadline).await,
        };
        counts.count(&outcome);
        // Whoever asked may have stopped waiting.
        let _ = reply.send(outcome);
    }

    /// Waits for the answer that is open. The queue is the successor's already.
    async fn hand_over(
        &mut self,
        in_flight: Option<InFlight>,
        deadline: &mut Deadline,
    ) -> LastExport {
        let Some(InFlight { request, began, answer }) = in_flight else {
            return LastExport::HandedOver { points: 0 };
        };
        let outcome = deadline.whole().or(answer).await.unwrap_or_else(given_up);
        match self.settle(&request, &outcome, began) {
            Settled::Done { accepted, missing } => {
                Tally { accepted, refused: missing }.outcome(outcome.reason())
            }
            Settled::Again(_) => {
                let points = request.items;
                match self.spec.queue.give_back(request) {
                    Ok(()) => LastExport::HandedOver { points },
                    // The sink was removed meanwhile, and its last sender is gone.
                    Err(too_late) => {
                        self.spec.queue.settled(&too_late.0);
                        self.spec.stats.dropped(LAST_EXPORT_LOST, points);
                        LastExport::Lost { points, reason: outcome.reason() }
                    }
                }
            }
        }
    }

    /// What others have on their way is lost as far as anybody knows by now; they count it.
    fn leave_to_others(&self) -> LastExport {
        let points = self.spec.queue.on_their_way();
        self.spec.stats.dropped(LAST_EXPORT_LOST, self.spec.queue.end());
        LastExport::Lost { points, reason: given_up().reason() }
    }

    /// Sends what the queue holds, until it is empty or time is up.
    async fn send_rest(
        &mut self,
        mut in_flight: Option<InFlight>,
        deadline: &mut Deadline,
    ) -> LastExport {
        let mut tally = Tally::default();
        let mut refusal = ExportOutcome::Accepted.reason();
        let mut attempt = 1;
        loop {
            let next = || self.next_request().map(|request| self.send(request));
            let Some(InFlight { request, began, answer }) = in_flight.take().or_else(next) else {
                // Senders before this one may give back what nobody answers them.
                match deadline.whole().or(self.spec.queue.others()).await {
                    Some(Others::GaveBack) => continue,
                    Some(Others::Settled) => {
                        self.spec.queue.end();
                        return tally.outcome(refusal);
                    }
                    None => return self.leave_to_others(),
                }
            };
            let outcome = deadline.whole().or(answer).await.unwrap_or_else(given_up);
            match self.settle(&request, &outcome, began) {
                Settled::Done { accepted, missing } => {
                    tally.accepted += accepted;
                    tally.refused += missing;
                    if missing > 0 {
                        refusal = outcome.reason();
                    }
                    attempt = 1;
                }
                Settled::Again(retry) => {
                    // Before the pause: what is lost if it is not sent again is in one place.
                    let lost = self.spec.queue.give_back(request);
                    let again = match last_pause(retry, attempt).filter(|_| lost.is_ok()) {
                        Some(pause) => deadline.whole().or(tokio::time::sleep(pause)).await,
                        None => None,
                    };
                    if again.is_none() {
                        let points = self.spec.queue.end();
                        self.spec.stats.dropped(LAST_EXPORT_LOST, points);
                        return LastExport::Lost { points, reason: outcome.reason() };
                    }
                    attempt += 1;
                    self.spec.stats.retried();
                }
            }
        }
    }
}

/// The answer that nobody waited for any longer.
fn given_up() -> ExportOutcome {
    ExportOutcome::Ambiguous { why: "given up for the end of the sink".to_owned() }
}

// === impl Tally ===

impl Tally {
    /// Everything was answered: delivered, unless the receiver took nothing at all.
    fn outcome(self, refusal: &'static str) -> LastExport {
        let Self { accepted, refused } = self;
        if accepted == 0 && refused > 0 {
            return LastExport::Lost { points: refused, reason: refusal };
        }
        LastExport::Delivered { points: accepted, rejected: refused }
    }
}
