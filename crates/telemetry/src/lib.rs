//! A reloadable OpenTelemetry pipeline: where telemetry goes can change at any time, and no count
//! is lost, doubled or reset by it. Useful to any program; knows neither Kubernetes nor policies.
//!
//! ```text
//!   Catalogue ──> instruments ──> Generation (an SDK provider and its one reader); a change of
//!                                     │       views makes a new one beside the old
//!                                  Totals ──> Snapshot: all totals at one moment
//!        ┌────────────────────────────┼────────────────────────────────┐
//!   Pipeline::scrape                 Hub: the snapshot of a commit   OTLP sinks, one task each,
//!   serve_scrapes                    is the last of old sinks and    every period, on a runtime
//!                                    the first of new ones           of their own
//! ```
//!
//! ```text
//!   Pipeline::tracer ┐   permanent processors:       a bounded queue ──> its sender, one task:
//!   Pipeline::layers ┴─> sampler, level, Route ───>  for each sink       batches until answered
//! ```
//!
//! A reload takes one road, whether it is the first or the last of a process:
//!
//! ```text
//!   Config ─ Plan::between ─> Reloader::prepare ─> Prepared::commit ─> Retired::drain
//!            pure             builds, can fail;    stores; cannot      the last export of what
//!                             drop = undo          fail, no I/O        was removed, bounded
//! ```
//!
//! Recording never waits for any of it: sinks read totals, they are not written to. Where a sink
//! exports to, how often, with which headers and resource are properties of the sink, applied
//! after aggregation, so that changing them resets nothing.
//!
//! Start with [`Pipeline::start`] and `examples/hot_reload.rs`. [`config`] says what can be
//! configured; [`Health`] and [`DebugSnapshot`] what came of it.

pub mod config;

mod backoff;
mod carry;
mod client;
mod debug;
mod delta;
mod exemplar;
mod exposition;
mod generation;
mod health;
mod hub;
mod identity;
mod instrument;
mod layers;
mod logs;
mod outcome;
pub mod own;
mod pipeline;
mod plan;
pub mod propagation;
mod records;
mod reload;
mod request;
mod scrape;
mod shape;
mod signal;
mod sink;
mod snapshot;
mod stats;
mod trace;

pub use client::{ClientError, ProbeReport, Proxies, probe};
pub use config::{Config, MetricSink, Metrics, OtlpReceiver, OtlpSink, RecordSink, SinkName};
pub use debug::{DebugSnapshot, Generations, LastExports, Reloads};
pub use exposition::{ExpositionFormat, Scrape, prometheus_name};
pub use health::{FailureReason, Health, SinkHealth};
pub use identity::Identity;
pub use instrument::{
    Catalogue, Counter, CounterSeries, Declaration, DeclarationError, Gauge, Histogram,
    HistogramSeries, InstrumentKind, Observer, UpDownCounter,
};
pub use pipeline::{Pipeline, StartError};
pub use plan::{Change, GenerationChange, Plan};
pub use reload::{Drained, PrepareError, Prepared, Reloader, Retired, ShutdownReport};
pub use scrape::serve_scrapes;
pub use shape::{StreamReset, Unsupported, ViewFinding};
pub use signal::{Signal, SinkId};
pub use sink::LastExport;
pub use stats::SinkStats;
