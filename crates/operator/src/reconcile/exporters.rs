//! The health of the sinks that run, as a report says it. Pure.

use jiff::Timestamp;
use pharos_api::telemetryconfig::Signal;
use pharos_telemetry::config::{Config, MetricSink};
use pharos_telemetry::{Health, SinkHealth, SinkId};

use crate::report::{ExporterHealth, ExporterReport, signal};

/// The health of every sink of `running`; what did not change since `before` keeps its time.
pub(super) fn exporters(
    running: &Config,
    health: &Health,
    before: &[ExporterReport],
    now: Timestamp,
) -> Vec<ExporterReport> {
    let scraped = running
        .metric_sinks()
        .filter(|(_, sink)| matches!(sink, MetricSink::Prometheus(_)))
        .map(|(name, _)| (name.as_str().to_owned(), Signal::Metrics, ExporterHealth::Scraped));
    let pushed = running.receivers().map(|(id, _)| {
        let health = pushed(&id, health);
        (id.name.as_str().to_owned(), signal(id.signal), health)
    });
    scraped
        .chain(pushed)
        .map(|(name, signal, health)| {
            let same = |report: &&ExporterReport| {
                report.name == name && report.signal == signal && report.health == health
            };
            let since = before.iter().find(same).map_or(now, |report| report.since);
            ExporterReport { name, signal, health, since }
        })
        .collect()
}

fn pushed(id: &SinkId, health: &Health) -> ExporterHealth {
    match health.sinks.get(id) {
        None | Some(SinkHealth::NotYetExported) => ExporterHealth::NotYetExported,
        Some(SinkHealth::Healthy) => ExporterHealth::Healthy,
        Some(SinkHealth::Failing { reason, message }) => {
            ExporterHealth::Failing { reason: reason.as_str().to_owned(), message: message.clone() }
        }
    }
}
