//! From `tracing` to spans and log records: layers that are installed once and follow every reload.
//!
//! What the level of a signal lets through is decided by [`Gate`]s, filters of ours around the
//! layers of OpenTelemetry. (A `reload::Layer` around those layers would hide them from
//! `OpenTelemetrySpanExt`.) A gate's answer is cached at each call site until it changes, so what
//! goes nowhere costs what a disabled log line costs. What is about exporting never comes through:
//! it would have to be exported, too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::trace::SdkTracer;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

use crate::logs::Logs;

/// Crates that speak about exporting, or about requests of any kind: a client of Kubernetes shows
/// the whole answer that it cannot decode, with whatever is in it.
const EXPORTING: [&str; 9] = [
    "h2",
    "hyper",
    "hyper_util",
    "kube_client",
    "kube_runtime",
    "pharos_telemetry",
    "rustls",
    "tonic",
    "tower",
];

/// A level that can change at any time.
#[derive(Clone, Debug)]
pub(crate) struct Gate(Arc<AtomicU8>);

/// Lets spans, and events as their events, through a gate.
struct ForSpans(Gate);

/// Lets events through a gate.
struct ForLogs(Gate);

/// Whether what a target says is about exporting.
pub(crate) fn is_about_exporting(target: &str) -> bool {
    let crate_name = target.split_once("::").map_or(target, |(name, _)| name);
    EXPORTING.contains(&crate_name) || crate_name.starts_with("opentelemetry")
}

pub(crate) fn spans<S>(tracer: SdkTracer, gate: &Gate) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    OpenTelemetryLayer::new(tracer)
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(ForSpans(gate.clone()))
}

pub(crate) fn logs<S>(logs: &Logs) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    OpenTelemetryTracingBridge::new(logs.provider()).with_filter(ForLogs(logs.gate().clone()))
}

// === impl Gate ===

/// Ascending: what a gate admits, and everything above it.
const LEVELS: [LevelFilter; 6] = [
    LevelFilter::OFF,
    LevelFilter::ERROR,
    LevelFilter::WARN,
    LevelFilter::INFO,
    LevelFilter::DEBUG,
    LevelFilter::TRACE,
];

impl Gate {
    /// A gate that nothing passes.
    pub(crate) fn closed() -> Self {
        Self(Arc::new(AtomicU8::new(0)))
    }

    /// Lets through what is at least `level`, from now on.
    pub(crate) fn set(&self, level: LevelFilter) {
        let index = LEVELS.iter().position(|it| *it == level).unwrap_or_default();
        let index = u8::try_from(index).unwrap_or_default();
        if self.0.swap(index, Ordering::Relaxed) != index {
            // Call sites remember whether anybody listens.
            tracing::callsite::rebuild_interest_cache();
        }
    }

    pub(crate) fn admits(&self, level: Level) -> bool {
        level <= self.level()
    }

    fn level(&self) -> LevelFilter {
        LEVELS[usize::from(self.0.load(Ordering::Relaxed)) % LEVELS.len()]
    }

    fn admits_call(&self, call: &Metadata<'_>) -> bool {
        self.admits(*call.level()) && !is_about_exporting(call.target())
    }
}

fn interest(interested: bool) -> Interest {
    if interested { Interest::always() } else { Interest::never() }
}

// === impl ForSpans ===

impl<S> Filter<S> for ForSpans {
    fn enabled(&self, call: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.0.admits_call(call)
    }

    fn callsite_enabled(&self, call: &'static Metadata<'static>) -> Interest {
        interest(self.0.admits_call(call))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.level())
    }
}

// === impl ForLogs ===

impl<S> Filter<S> for ForLogs {
    fn enabled(&self, call: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        call.is_event() && self.0.admits_call(call)
    }

    fn callsite_enabled(&self, call: &'static Metadata<'static>) -> Interest {
        interest(call.is_event() && self.0.admits_call(call))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.level())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_exporting_is_told_by_the_crate_that_says_it() {
        for target in ["h2", "h2::codec", "kube_client::client", "opentelemetry_sdk", "rustls::x"] {
            assert!(is_about_exporting(target), "{target}");
        }
        for target in ["", "h2o", "tower_http::trace", "pharos_admission::review", "towering"] {
            assert!(!is_about_exporting(target), "{target}");
        }
    }

    #[test]
    fn a_gate_admits_its_level_and_what_is_worse() {
        let gate = Gate::closed();
        assert!(!gate.admits(Level::ERROR));
        gate.set(LevelFilter::WARN);
        assert!(gate.admits(Level::ERROR) && gate.admits(Level::WARN) && !gate.admits(Level::INFO));
        gate.set(LevelFilter::TRACE);
        assert!(gate.admits(Level::TRACE));
    }
}
