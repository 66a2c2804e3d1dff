//! An empty export to every receiver of a configuration, side by side, each within a bound.

use std::time::Duration;

use futures::{StreamExt, stream};
use pharos_operator::report::signal;
use pharos_telemetry::config::{Config, OtlpReceiver};
use pharos_telemetry::{Proxies, SinkHealth, SinkId, probe};
use tokio::time::Instant;

use super::deadline::{Deadline, Lapse};
use super::verdict::{HEALTHY, NOT_ANSWERED, Probed};

/// How many probes run at a time.
const AT_ONCE: usize = 16;
/// How long one may take, whatever the timeout of the exporter.
const LONGEST: Duration = Duration::from_secs(10);

/// Probes every receiver of `config` but those of the exporters that `left_out` names.
pub(super) async fn probes(
    config: &Config,
    left_out: &dyn Fn(&str) -> bool,
    proxies: &Proxies,
    deadline: Deadline,
) -> Vec<Probed> {
    let receivers: Vec<_> =
        config.receivers().filter(|(id, _)| !left_out(id.name.as_str())).collect();
    // In the order of the configuration, whoever answers first.
    stream::iter(receivers)
        .map(|(id, receiver)| probed(id, receiver, proxies, deadline))
        .buffered(AT_ONCE)
        .collect()
        .await
}

async fn probed(
    id: SinkId,
    receiver: &OtlpReceiver,
    proxies: &Proxies,
    deadline: Deadline,
) -> Probed {
    let bound = receiver.timeout.min(LONGEST);
    let started = Instant::now();
    let report = deadline.answer(bound, probe(receiver, id.signal, proxies)).await;
    let (reason, message, took) = match report {
        Ok(Ok(report)) => match report.health {
            // What the receiver says in its own words may be anything, what it was sent included.
            SinkHealth::Failing { reason, message } => (reason.as_str(), message, report.took),
            SinkHealth::Healthy | SinkHealth::NotYetExported => {
                (HEALTHY, String::new(), report.took)
            }
        },
        Ok(Err(error)) => ("NoClient", format!("{:#}", anyhow::Error::new(error)), Duration::ZERO),
        // Its own timeout is what the exporter would give it.
        Err(Lapse::Question(bound)) if bound == receiver.timeout => {
            let message = format!("the receiver does not answer within {} s", bound.as_secs());
            ("EndpointUnreachable", message, bound)
        }
        Err(lapse) => (NOT_ANSWERED, lapse.to_string(), started.elapsed()),
    };
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    Probed {
        exporter: id.name.as_str().to_owned(),
        signal: signal(id.signal),
        reason,
        message,
        milliseconds,
    }
}
