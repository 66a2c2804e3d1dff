//! How a sink ends: it finishes what is in flight, and says or leaves the rest.

use std::sync::Arc;

use crate::config::Temporality;
use crate::outcome::Retry;
use crate::snapshot::Snapshot;

use super::{
    Deadline, Exported, Farewell, InFlight, LAST_EXPORT_LOST, LastExport, Sink, Succession, Turn,
    finished, last_pause,
};

// === impl Sink ===

impl Sink {
    /// The last export, or what a successor goes on with.
    pub(super) async fn part(mut self, in_flight: Option<InFlight>, farewell: Farewell) {
        let Farewell { last, succession, mut deadline, counts, reply } = farewell;
        let outcome = match (self.temporality, succession) {
            (Temporality::Delta | Temporality::LowMemory, Succession::SameName) => {
                self.hand_over(in_flight, &mut deadline).await
            }
            (Temporality::Cumulative, _) | (_, Succession::None) => {
                match self.last_turn(in_flight, &mut deadline).await {
                    Some(turn) => self.export_last(turn, last, &mut deadline).await,
                    None => {
                        self.stats.dropped(LAST_EXPORT_LOST, last.points());
                        LastExport::Lost { points: last.points(), reason: "no_turn" }
                    }
                }
            }
        };
        counts.count(&outcome);
        // Whoever asked may have stopped waiting.
        let _ = reply.send(outcome);
    }

    /// Waits for the answer to what is in flight, so that nothing newer is sent before it is known
    /// what became of it. The totals of the commit are the successor's affair.
    async fn hand_over(&self, in_flight: Option<InFlight>, deadline: &mut Deadline) -> LastExport {
        if let Some(mut in_flight) = in_flight {
            let ended = deadline.whole().or(in_flight.sending.ended()).await;
            let exported = ended.unwrap_or_else(|| in_flight.sending.abandoned());
            self.count(in_flight, &exported);
        }
        LastExport::HandedOver { points: self.ties.ledger.pending() }
    }

    /// What is in flight gets half of the time that is left: the receiver may still be at it, and
    /// must not meet it after the last totals.
    async fn last_turn(
        &mut self,
        in_flight: Option<InFlight>,
        deadline: &mut Deadline,
    ) -> Option<Turn> {
        if let Some(mut in_flight) = in_flight {
            let ended = deadline.half().or(in_flight.sending.ended()).await;
            let exported = ended.unwrap_or_else(|| in_flight.sending.abandoned());
            let turn = self.count(in_flight, &exported);
            if exported.outcome.retry() == Retry::Backoff {
                self.client.reconnect();
            }
            return Some(turn);
        }
        let predecessors = std::mem::take(&mut self.ties.predecessors);
        let turn = async {
            finished(&predecessors).await;
            self.turn().await
        };
        deadline.whole().or(turn).await
    }

    async fn export_last(
        &mut self,
        mut turn: Turn,
        last: Arc<Snapshot>,
        deadline: &mut Deadline,
    ) -> LastExport {
        let mut attempt = 1;
        loop {
            let mut in_flight = self.send(turn, Arc::clone(&last));
            let ended = deadline.whole().or(in_flight.sending.ended()).await;
            let exported = ended.unwrap_or_else(|| in_flight.sending.abandoned());
            turn = self.count(in_flight, &exported);
            let again = match last_pause(exported.outcome.retry(), attempt) {
                Some(pause) => deadline.whole().or(tokio::time::sleep(pause)).await,
                None => None,
            };
            if again.is_none() {
                self.count_lost(&turn, &exported);
                return LastExport::of(&exported);
            }
            attempt += 1;
            self.stats.retried();
            self.client.reconnect();
        }
    }

    /// Counts what nobody will send any more.
    fn count_lost(&self, turn: &Turn, exported: &Exported) {
        let counted = match turn {
            // What the receiver refused is counted as that already.
            Turn::InLane(_) => exported.outcome.retry() == Retry::No,
            Turn::Alone => false,
        };
        if !counted {
            self.stats.dropped(LAST_EXPORT_LOST, exported.missing);
        }
    }
}
