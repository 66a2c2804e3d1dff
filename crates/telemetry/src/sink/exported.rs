//! One snapshot's way to a receiver, as one request or as several.

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
    /// How many it has not, so far.
    pub(crate) missing: u64,
}

// === impl Exported ===

impl Exported {
    /// An export whose answer nobody waited for.
    pub(crate) fn abandoned(points: u64) -> Self {
        let why = "given up for the last export".to_owned();
        Self { outcome: ExportOutcome::Ambiguous { why }, accepted: 0, missing: points }
    }
}

/// Sends the requests of one snapshot, one after the other. The future is independent of the
/// client and ends within the timeout of the sink.
pub(super) fn export(
    client: &Client,
    requests: &[Request],
) -> impl Future<Output = Exported> + Send + use<> {
    let total: u64 = requests.iter().map(|request| request.items).sum();
    let sends: Vec<_> =
        requests.iter().map(|request| (client.send(request), request.items)).collect();
    let timeout = client.timeout();
    async move {
        let (mut accepted, mut rejected) = (0, 0);
        let mut worst = ExportOutcome::Accepted;
        let sent = tokio::time::timeout(timeout, async {
            for (send, points) in sends {
                match send.await {
                    ExportOutcome::Accepted => accepted += points,
                    ExportOutcome::PartiallyRejected { items, message } => {
                        accepted += points - items;
                        rejected += items;
                        worst = ExportOutcome::PartiallyRejected { items: rejected, message };
                    }
                    failed => {
                        worst = failed;
                        break;
                    }
                }
            }
        });
        if sent.await.is_err() {
            worst = ExportOutcome::timed_out(timeout);
        }
        Exported { outcome: worst, accepted, missing: total.saturating_sub(accepted) }
    }
}
