//! Log records: one logger provider for ever, whose processor follows every reload.
//!
//! A record is converted on the thread that made it, since the SDK only lends it, and cut to size.
//! The least severity is one atomic, asked before a record is made.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::logs::Severity as SdkSeverity;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord, SdkLoggerProvider};
use tracing::Level;
use tracing::level_filters::LevelFilter;

use crate::config::{self, Severity};
use crate::layers::{Gate, is_about_exporting};
use crate::records::{LogEntry, Route};
use crate::signal::SinkId;
use crate::stats::Stats;

/// How many bytes of a body, or of the value of an attribute, are kept.
const TEXT_LIMIT: usize = 16 * 1024;
/// How many attributes a record keeps: as many as the SDK lets a span have.
const ATTRIBUTE_LIMIT: usize = 128;

/// The permanent half of log records.
#[derive(Debug)]
pub(crate) struct Logs {
    provider: SdkLoggerProvider,
    route: Arc<Route<LogEntry>>,
    gate: Gate,
}

/// Hands every record to the sinks there are.
#[derive(Debug)]
struct Processor {
    route: Arc<Route<LogEntry>>,
    gate: Gate,
}

// === impl Logs ===

impl Default for Logs {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the provider that all others are told to use"
    )]
    fn default() -> Self {
        let (route, gate) = (Arc::<Route<LogEntry>>::default(), Gate::closed());
        let provider = SdkLoggerProvider::builder()
            // The default would read the environment.
            .with_resource(Resource::builder_empty().build())
            .with_log_processor(Processor { route: Arc::clone(&route), gate: gate.clone() })
            .build();
        Self { provider, route, gate }
    }
}

impl Logs {
    pub(crate) fn provider(&self) -> &SdkLoggerProvider {
        &self.provider
    }

    pub(crate) fn route(&self) -> &Route<LogEntry> {
        &self.route
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Puts in force which records are sent, and where they go.
    pub(crate) fn apply(&self, wanted: &config::Logs, stats: &BTreeMap<SinkId, Arc<Stats>>) {
        self.route.lead_to(&wanted.sinks, stats);
        self.gate.set(match wanted.min_severity {
            _ if wanted.sinks.is_empty() => LevelFilter::OFF,
            Severity::Trace => LevelFilter::TRACE,
            Severity::Debug => LevelFilter::DEBUG,
            Severity::Info => LevelFilter::INFO,
            Severity::Warn => LevelFilter::WARN,
            Severity::Error => LevelFilter::ERROR,
        });
    }
}

// === impl Processor ===

impl LogProcessor for Processor {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        // Not everybody asks before.
        let enabled = record.severity_number().is_none_or(|it| self.gate.admits(level(it)));
        if !enabled || self.route.leads_nowhere() {
            return;
        }
        let target = record.target().cloned();
        let record = within_bounds(LogRecord::from(&*record));
        self.route.push(LogEntry { scope: scope.clone(), target, record });
    }

    fn event_enabled(&self, severity: SdkSeverity, target: &str, _: Option<&str>) -> bool {
        self.gate.admits(level(severity)) && !is_about_exporting(target)
    }

    /// Who flushes is the [`Reloader`](crate::Reloader), and it waits for nobody's thread.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// The level that a severity belongs to; each has four.
fn level(severity: SdkSeverity) -> Level {
    match severity {
        it if it < SdkSeverity::Debug => Level::TRACE,
        it if it < SdkSeverity::Info => Level::DEBUG,
        it if it < SdkSeverity::Warn => Level::INFO,
        it if it < SdkSeverity::Error => Level::WARN,
        _ => Level::ERROR,
    }
}

/// What a log line quotes may be of any size; what waits in a queue may not.
fn within_bounds(mut record: LogRecord) -> LogRecord {
    let excess = record.attributes.len().saturating_sub(ATTRIBUTE_LIMIT);
    record.attributes.truncate(ATTRIBUTE_LIMIT);
    record.dropped_attributes_count += u32::try_from(excess).unwrap_or(u32::MAX);
    let values = record.attributes.iter_mut().filter_map(|KeyValue { value, .. }| value.as_mut());
    for AnyValue { value } in values.chain(record.body.as_mut()) {
        match value {
            Some(Value::StringValue(text)) => text.truncate(text.floor_char_boundary(TEXT_LIMIT)),
            Some(Value::BytesValue(bytes)) => bytes.truncate(TEXT_LIMIT),
            _ => {}
        }
    }
    record
}
