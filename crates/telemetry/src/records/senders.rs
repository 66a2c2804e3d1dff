//! The hub's half of spans and log records: the tasks that send, by the sinks that they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{Id, JoinError, JoinSet};

use crate::health::SinkHealth;
use crate::signal::SinkId;
use crate::sink::{Deadline, LastExportCounts, Report};

use super::record::Record;
use super::sender::{Farewell, Sender, SenderSpec, Ties};
use super::{Launch, RecordSwitch, Records};

/// Owns the tasks that send. Dropped, nothing is recorded any more.
pub(crate) struct Senders {
    records: Arc<Records>,
    tasks: JoinSet<()>,
    live: BTreeMap<SinkId, Live>,
}

/// The hub's side of a sender that runs.
struct Live {
    task: Id,
    farewell: oneshot::Sender<Farewell>,
    health: SinkHealth,
}

// === impl Senders ===

impl Senders {
    pub(crate) fn new(records: Arc<Records>) -> Self {
        Self { records, tasks: JoinSet::new(), live: BTreeMap::new() }
    }

    pub(crate) fn apply(
        &mut self,
        switch: RecordSwitch,
        deadline: &Deadline,
        counts: &Arc<LastExportCounts>,
        reports: &mpsc::Sender<Report>,
    ) {
        for (sink, leave, reply) in switch.retire {
            let Some(live) = self.live.remove(&sink) else { continue };
            let (deadline, counts) = (deadline.clone(), Arc::clone(counts));
            // A sender that panicked hears nothing; its reply is dropped, which says so.
            let _ = live.farewell.send(Farewell { leave, deadline, counts, reply });
        }
        for launch in switch.start {
            match launch {
                Launch::Spans(spec) => self.start(spec, reports),
                Launch::Logs(spec) => self.start(spec, reports),
            }
        }
    }

    fn start<R: Record>(&mut self, spec: SenderSpec<R>, reports: &mpsc::Sender<Report>) {
        let sink = spec.sink.clone();
        let (farewell, heard) = oneshot::channel();
        let ties = Ties { farewell: heard, reports: reports.clone() };
        let task = self.tasks.spawn(Sender::new(spec, ties).run()).id();
        self.live.insert(sink, Live { task, farewell, health: SinkHealth::NotYetExported });
    }

    /// The state of a sink, if it is this task that speaks for it.
    pub(crate) fn health_of(&mut self, sink: &SinkId, task: Id) -> Option<&mut SinkHealth> {
        let live = self.live.get_mut(sink).filter(|live| live.task == task)?;
        Some(&mut live.health)
    }

    /// The state of every sink.
    pub(crate) fn health(&self) -> impl Iterator<Item = (&SinkId, &SinkHealth)> {
        self.live.iter().map(|(sink, live)| (sink, &live.health))
    }

    /// The sink that a task is.
    pub(crate) fn sink_of(&self, task: Id) -> Option<SinkId> {
        let mut live = self.live.iter();
        live.find(|(_, live)| live.task == task).map(|(sink, _)| sink.clone())
    }

    /// Tells every sender to end as it is.
    pub(crate) fn dismiss(&mut self) {
        self.live.clear();
    }

    /// Waits until a sender has ended; `None` if there is none.
    pub(crate) async fn join_next(&mut self) -> Option<Result<(Id, ()), JoinError>> {
        self.tasks.join_next_with_id().await
    }
}

impl Drop for Senders {
    fn drop(&mut self) {
        self.records.close();
    }
}
