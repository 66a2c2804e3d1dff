//! Whether the receiver of a sink answers, before there is a record that would tell.

use std::future::pending;
use std::pin::Pin;

use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::client::Client;
use crate::outcome::{ExportOutcome, Retry};
use crate::request::Request;
use crate::signal::Signal;

/// Asks a receiver again and again until it has said something, or until an export has.
pub(super) struct Probe {
    backoff: Backoff,
    asking: Option<Pin<Box<dyn Future<Output = Probed> + Send>>>,
}

/// What came of a question.
pub(super) struct Probed {
    pub(super) outcome: ExportOutcome,
    pub(super) began: Instant,
}

// === impl Probe ===

impl Probe {
    pub(super) fn start(client: &Client, signal: Signal) -> Self {
        let mut probe = Self { backoff: Backoff::default(), asking: None };
        probe.ask(client, signal, Instant::now());
        probe
    }

    /// Exports say more than questions.
    pub(super) fn stop(&mut self) {
        self.asking = None;
    }

    /// The answer, if a question is open; never, otherwise. Can be dropped and called again.
    pub(super) async fn answer(&mut self) -> Probed {
        let Some(asking) = &mut self.asking else { return pending().await };
        let probed = asking.await;
        self.asking = None;
        probed
    }

    /// What the answer says about the receiver. An unclear one leads to another question.
    pub(super) fn consider(
        &mut self,
        client: &mut Client,
        signal: Signal,
        probed: Probed,
    ) -> Option<Probed> {
        let retry = probed.outcome.retry();
        if retry == Retry::Backoff {
            client.reconnect();
        }
        if let Some(wait) = self.backoff.after(retry, fastrand::f64()) {
            self.ask(client, signal, Instant::now() + wait);
        }
        // Some receivers refuse what is empty; that says nothing about what is not.
        let refused = matches!(probed.outcome, ExportOutcome::Rejected { .. });
        (!refused).then_some(probed)
    }

    fn ask(&mut self, client: &Client, signal: Signal, at: Instant) {
        let answer = client.send(&Request::probe(signal));
        self.asking = Some(Box::pin(async move {
            tokio::time::sleep_until(at).await;
            let began = Instant::now();
            Probed { outcome: answer.await, began }
        }));
    }
}
