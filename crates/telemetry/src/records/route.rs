//! From one record to the queue of every sink there is. This is what recording threads run.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config::{RecordSink, SinkName};
use crate::signal::SinkId;
use crate::stats::Stats;

use super::SenderParts;
use super::queue::{Pushed, Queue};
use super::record::Record;
use super::sender::SenderSpec;

/// The queues of the sinks of one signal, by name.
type Queues<R> = BTreeMap<SinkName, Arc<Queue<R>>>;

/// Where the records of one signal go now.
#[derive(Debug)]
pub(crate) struct Route<R> {
    queues: ArcSwap<Queues<R>>,
}

// === impl Route ===

impl<R> Default for Route<R> {
    fn default() -> Self {
        Self { queues: ArcSwap::from_pointee(BTreeMap::new()) }
    }
}

impl<R: Record> Route<R> {
    /// Whether anybody wants a record.
    pub(crate) fn leads_nowhere(&self) -> bool {
        self.queues.load().is_empty()
    }

    /// Hands a record to every sink. Never waits for I/O, never fails.
    pub(crate) fn push(&self, record: R) {
        let record = Arc::new(record);
        let queues = self.queues.load();
        if push_to_all(queues.values(), &record) == Pushed::Closed {
            let tried = queues.values().map(Arc::clone).collect();
            self.push_after_reload(&record, tried);
        }
    }

    /// A reload passed by, and `tried` was where records went before it. A queue is closed after
    /// the next ones are in place; what is there before and after has the record already.
    fn push_after_reload(&self, record: &Arc<R>, mut tried: Vec<Arc<Queue<R>>>) {
        loop {
            let queues = self.queues.load();
            let is_new = |queue: &&Arc<Queue<R>>| !tried.iter().any(|it| Arc::ptr_eq(it, queue));
            let added: Vec<_> = queues.values().filter(is_new).map(Arc::clone).collect();
            if push_to_all(added.iter(), record) == Pushed::Settled {
                return;
            }
            tried.extend(added);
        }
    }

    /// A sender for the queue of a sink that runs.
    pub(super) fn sender(&self, parts: SenderParts) -> Option<SenderSpec<R>> {
        let SenderParts { sink, client, resource, stats } = parts;
        let queue = self.queues.load().get(&sink.name).map(Arc::clone)?;
        Some(SenderSpec { sink, client, resource, stats, queue })
    }

    /// Leads to `sinks` from now on. A name keeps its queue and what waits there.
    pub(crate) fn lead_to(
        &self,
        sinks: &BTreeMap<SinkName, RecordSink>,
        stats: &BTreeMap<SinkId, Arc<Stats>>,
    ) {
        let before = self.queues.load_full();
        let stats = |name: &SinkName| {
            let stats = stats.get(&SinkId::new(R::SIGNAL, name.clone()));
            stats.map(Arc::clone).unwrap_or_default()
        };
        let after: Queues<R> = sinks
            .iter()
            .map(|(name, sink)| {
                let queue = match before.get(name) {
                    Some(queue) => Arc::clone(queue),
                    None => Arc::new(Queue::new(sink.batch, stats(name))),
                };
                queue.configure(sink.batch);
                (name.clone(), queue)
            })
            .collect();
        let removed = before.iter().filter(|(name, _)| !after.contains_key(*name));
        let removed: Vec<_> = removed.map(|(_, queue)| Arc::clone(queue)).collect();
        self.queues.store(Arc::new(after));
        for queue in removed {
            queue.close();
        }
    }
}

/// Whether any of the queues belongs to a sink that was removed.
fn push_to_all<'a, R: Record>(
    queues: impl Iterator<Item = &'a Arc<Queue<R>>>,
    record: &Arc<R>,
) -> Pushed {
    queues.fold(Pushed::Settled, |so_far, queue| match queue.push(Arc::clone(record)) {
        Pushed::Settled => so_far,
        Pushed::Closed => Pushed::Closed,
    })
}
