//! Spans and log records: from a thread that records to the receivers, through one bounded queue
//! per sink.
//!
//! ```text
//!   trace.rs, logs.rs: permanent processors ─ Route ─> Queue of each sink ─> Sender: one task
//! ```
//!
//! Enter at [`Records::commit`] for what a reload does, and at [`Route::push`] for what a recording
//! thread does. Nothing here may make a recording thread wait for I/O, and nothing may lose a
//! record without counting it. The hub owns the tasks, by way of [`Senders`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_sdk::trace::SpanData;
use tokio::sync::oneshot;

use crate::client::ClientSpec;
use crate::config::{self, Config};
use crate::logs::Logs;
use crate::pipeline::Shared;
use crate::plan::{Change, Plan};
use crate::reload::{PrepareError, SinkStats, client_spec};
use crate::signal::{Signal, SinkId};
use crate::sink::LastExport;
use crate::stats::Stats;
use crate::trace::Traces;

mod probe;
mod queue;
mod record;
mod route;
mod sender;
mod senders;

pub(crate) use record::LogEntry;
pub(crate) use route::Route;
pub(crate) use senders::Senders;

use sender::{Leave, SenderSpec};

/// The permanent half of spans and log records.
#[derive(Debug, Default)]
pub(crate) struct Records {
    pub(crate) traces: Traces,
    pub(crate) logs: Logs,
}

/// What a sender is made of, as far as `prepare` can make it.
pub(crate) struct SenderParts {
    pub(crate) sink: SinkId,
    pub(crate) client: ClientSpec,
    pub(crate) resource: Resource,
    pub(crate) stats: Arc<Stats>,
}

/// What a commit switches.
pub(crate) struct RecordSwitch {
    /// The senders that end, why, and who waits for the last of it.
    retire: Vec<(SinkId, Leave, oneshot::Sender<LastExport>)>,
    start: Vec<Launch>,
}

/// Who waits for the last of a sink.
pub(crate) type LastExports = Vec<(SinkId, oneshot::Receiver<LastExport>)>;

/// A sender that can be started.
enum Launch {
    Spans(SenderSpec<SpanData>),
    Logs(SenderSpec<LogEntry>),
}

/// What the sinks of spans and log records that `plan` starts are made of.
pub(crate) fn senders_to_start(
    plan: &Plan,
    wanted: &Config,
    shared: &Shared,
    stats: &SinkStats,
) -> Result<Vec<SenderParts>, PrepareError> {
    let starting: BTreeSet<&SinkId> =
        plan.sinks().filter(|(_, change)| change.starts()).map(|(sink, _)| sink).collect();
    wanted
        .receivers()
        .filter(|(sink, _)| sink.signal != Signal::Metrics && starting.contains(sink))
        .map(|(sink, receiver)| {
            let client = client_spec(&sink, receiver, shared)?;
            let resource = shared.identity.resource(&wanted.resource_attributes);
            let stats = stats.get(&sink).map(Arc::clone).unwrap_or_default();
            Ok(SenderParts { sink, client, resource, stats })
        })
        .collect()
}

// === impl Records ===

impl Records {
    /// Puts in force where records go, and which. The hub does the rest.
    pub(crate) fn commit(
        &self,
        plan: &Plan,
        wanted: &Config,
        stats: &SinkStats,
        parts: Vec<SenderParts>,
    ) -> (RecordSwitch, LastExports) {
        self.traces.apply(&wanted.traces, stats);
        self.logs.apply(&wanted.logs, stats);
        let leaving = plan.sinks().filter(|(sink, _)| sink.signal != Signal::Metrics);
        let (retire, last_exports) = leaving
            .filter_map(|(sink, change)| Some((sink, leave(change)?)))
            .map(|(sink, leave)| {
                let (reply, last_export) = oneshot::channel();
                ((sink.clone(), leave, reply), (sink.clone(), last_export))
            })
            .unzip();
        let start = parts.into_iter().filter_map(|parts| self.launch(parts)).collect();
        (RecordSwitch { retire, start }, last_exports)
    }

    /// Nothing is recorded from now on.
    fn close(&self) {
        self.traces.apply(&config::Traces::default(), &BTreeMap::new());
        self.logs.apply(&config::Logs::default(), &BTreeMap::new());
    }

    fn launch(&self, parts: SenderParts) -> Option<Launch> {
        Some(match parts.sink.signal {
            Signal::Metrics => return None,
            Signal::Traces => Launch::Spans(self.traces.route().sender(parts)?),
            Signal::Logs => Launch::Logs(self.logs.route().sender(parts)?),
        })
    }
}

fn leave(change: Change) -> Option<Leave> {
    match change {
        Change::Keep | Change::Add => None,
        Change::Swap => Some(Leave::Swapped),
        Change::Remove => Some(Leave::Removed),
    }
}
