//! Spans and log records: where they go, which, and how they are gathered.

use std::num::NonZeroUsize;
use std::time::Duration;

use pharos_api::telemetryconfig::{
    Batch, LogsSpec, MinSeverity, Mode, Sampler, SamplerType, TracesSpec,
};
use pharos_telemetry::config::{self, Logs, Parent, RecordSink, RootSampler, Severity, Traces};

use super::destinations::Destinations;
use super::problem::Findings;

/// A whole, in the unit of `ratioPerMillion`.
const MILLION: u32 = 1_000_000;

pub(super) fn traces(
    traces: &TracesSpec,
    destinations: &Destinations<'_>,
    findings: &mut Findings,
) -> Traces {
    let TracesSpec { mode, exporters, sampler, batch } = traces;
    if *mode == Mode::Disabled {
        return Traces::default();
    }
    let batch = self::batch("spec.traces.batch", batch.as_ref(), config::Batch::SPANS, findings);
    let sinks = destinations.receivers("spec.traces.exporters", exporters, findings);
    let sampler = sampler.as_ref().map(|it| self::sampler(it, findings)).unwrap_or_default();
    let sinks = sinks.into_iter().map(|(name, receiver)| (name, RecordSink { receiver, batch }));
    Traces { sinks: sinks.collect(), sampler }
}

pub(super) fn logs(
    logs: &LogsSpec,
    destinations: &Destinations<'_>,
    findings: &mut Findings,
) -> Logs {
    let LogsSpec { mode, exporters, min_severity, batch } = logs;
    if *mode == Mode::Disabled {
        return Logs::default();
    }
    let batch = self::batch("spec.logs.batch", batch.as_ref(), config::Batch::LOGS, findings);
    let sinks = destinations.receivers("spec.logs.exporters", exporters, findings);
    let min_severity = match min_severity {
        MinSeverity::Trace => Severity::Trace,
        MinSeverity::Debug => Severity::Debug,
        MinSeverity::Info => Severity::Info,
        MinSeverity::Warn => Severity::Warn,
        MinSeverity::Error => Severity::Error,
    };
    let sinks = sinks.into_iter().map(|(name, receiver)| (name, RecordSink { receiver, batch }));
    Logs { sinks: sinks.collect(), min_severity }
}

fn sampler(sampler: &Sampler, findings: &mut Findings) -> config::Sampler {
    let Sampler { r#type, ratio_per_million } = sampler;
    let (root, parent) = match r#type {
        SamplerType::AlwaysOn => (Some(RootSampler::AlwaysOn), Parent::Ignored),
        SamplerType::AlwaysOff => (Some(RootSampler::AlwaysOff), Parent::Ignored),
        SamplerType::TraceIdRatio => (None, Parent::Ignored),
        SamplerType::ParentBasedAlwaysOn => (Some(RootSampler::AlwaysOn), Parent::Followed),
        SamplerType::ParentBasedAlwaysOff => (Some(RootSampler::AlwaysOff), Parent::Followed),
        SamplerType::ParentBasedTraceIdRatio => (None, Parent::Followed),
    };
    let ratio = ratio_per_million.and_then(|ratio| u32::try_from(ratio).ok());
    let root = match (root, ratio_per_million, ratio) {
        (Some(root), None, _) => Some(root),
        (None, Some(_), Some(per_million)) if per_million <= MILLION => {
            Some(RootSampler::TraceIdRatio { per_million })
        }
        _ => None,
    };
    if root.is_none() {
        findings.invalid(
            "spec.traces.sampler.ratioPerMillion",
            "must be set, from 0 to 1000000, if and only if type ends in TraceIDRatio",
        );
    }
    config::Sampler { root: root.unwrap_or_default(), parent }
}

/// How records are gathered: what is unset as in `defaults`, and no request larger than the queue.
fn batch(
    path: &str,
    batch: Option<&Batch>,
    defaults: config::Batch,
    findings: &mut Findings,
) -> config::Batch {
    let Some(batch) = batch else { return defaults };
    let Batch { max_queue_size, max_export_batch_size, schedule_delay_milliseconds } = batch;
    let mut positive = |field: &str, value: Option<i32>| {
        let number = usize::try_from(value?).ok().and_then(NonZeroUsize::new);
        if number.is_none() {
            findings.invalid(format!("{path}.{field}"), "must be at least 1");
        }
        number
    };
    let queue = positive("maxQueueSize", *max_queue_size);
    let size = positive("maxExportBatchSize", *max_export_batch_size);
    let delay = positive("scheduleDelayMilliseconds", *schedule_delay_milliseconds);
    let max_queue_size = queue.unwrap_or(defaults.max_queue_size);
    if size.is_some_and(|size| size > max_queue_size) {
        let field = format!("{path}.maxExportBatchSize");
        findings.invalid(field, format!("must not exceed maxQueueSize, {max_queue_size}"));
    }
    config::Batch {
        max_queue_size,
        max_export_size: size.unwrap_or(defaults.max_export_size).min(max_queue_size),
        schedule_delay: delay
            .map_or(defaults.schedule_delay, |delay| Duration::from_millis(delay.get() as u64)),
    }
}
