//! All totals at one moment, over every generation that there is.
//!
//! Three locks, none of which a recording thread ever takes: `reading` for as long as it takes to
//! read, `chain` for an instant, inside it or alone; the slot has none.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use opentelemetry::metrics::Meter;
use opentelemetry_proto::tonic::metrics::v1::ScopeMetrics;
use tokio_util::sync::CancellationToken;

use crate::carry::merge;
use crate::config::MetricShape;
use crate::instrument::{Declared, Slot};
use crate::shape::{Shape, StreamReset, ViewFinding, resets};
use crate::snapshot::Snapshot;

use super::chain::{Chain, Ended, Moment, Stage, Stages};
use super::foreign::Foreign;
use super::{Generation, Observe, ReadError};

mod overflow;

/// The owner of every generation.
pub(crate) struct Totals {
    declared: Arc<[Declared]>,
    /// What the handles of declared instruments record into.
    slot: Slot,
    foreign: Foreign,
    reading: Mutex<Reading>,
    chain: Mutex<Chain>,
    last: ArcSwap<Snapshot>,
    overflowing: ArcSwap<BTreeSet<String>>,
    resets: ArcSwap<Vec<StreamReset>>,
    failed: AtomicU64,
    panics: Arc<AtomicU64>,
}

/// What was read before and counts on.
#[derive(Default)]
struct Reading {
    /// What generations counted that are gone, in the shape of the oldest that is left.
    base: Vec<ScopeMetrics>,
    /// What instruments that are not declared counted when they could be read last.
    foreign: Vec<ScopeMetrics>,
}

/// Whether generations that ended are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// Yes, their totals are in the base.
    Yes,
    /// No: somebody is still recording into one.
    NotYet,
}

// === impl Totals ===

impl Totals {
    /// The first generation of what was declared. From here on, handles record into it.
    pub(crate) fn start(slot: Slot, declared: Arc<[Declared]>) -> Self {
        let panics = Arc::default();
        let others = std::iter::empty();
        let (shape, _) = Shape::resolve(&declared, others, &MetricShape::default());
        let generation = Arc::new(Generation::new(&declared, Arc::new(shape), &panics));
        let chain = Mutex::new(Chain::start(Arc::clone(&generation)));
        slot.store(Some(generation));
        Self {
            declared,
            slot,
            foreign: Foreign::new(),
            reading: Mutex::default(),
            chain,
            last: ArcSwap::default(),
            overflowing: ArcSwap::default(),
            resets: ArcSwap::default(),
            failed: AtomicU64::new(0),
            panics,
        }
    }

    pub(crate) fn meter(&self, scope: &'static str) -> Meter {
        self.foreign.meter(scope)
    }

    /// Nothing is declared.
    #[cfg(test)]
    pub(crate) fn empty() -> Self {
        Self::start(Slot::default(), Arc::new([]))
    }

    #[cfg(test)]
    pub(crate) fn meter_with_scope(&self, scope: opentelemetry::InstrumentationScope) -> Meter {
        self.foreign.meter_with_scope(scope)
    }

    /// What there is to say about the views of `wanted`.
    pub(crate) fn check(&self, wanted: &MetricShape) -> Vec<ViewFinding> {
        self.resolve(wanted).1
    }

    /// A generation of another shape, which counts nothing before it is committed.
    pub(crate) fn prepare(&self, wanted: &MetricShape) -> Result<Rebuild, ViewFinding> {
        let (shape, findings) = self.resolve(wanted);
        if let Some(refused) = findings.into_iter().find(ViewFinding::refuses) {
            return Err(refused);
        }
        let resets = resets(&self.declared, &self.chain().shape(), &shape);
        let generation = Generation::new(&self.declared, Arc::new(shape), &self.panics);
        Ok(Rebuild { generation: Arc::new(generation), resets })
    }

    /// Makes a generation the current one. Neither fails nor waits for anybody who records or
    /// reads.
    pub(crate) fn commit(&self, rebuild: Rebuild) -> Ended {
        let Rebuild { generation, resets } = rebuild;
        self.resets.store(Arc::new(resets));
        let mut chain = self.chain();
        // First of all: who reads from now on has to find the new one, or its counts are missing.
        let ended = chain.follow(Arc::clone(&generation));
        self.slot.store(Some(generation));
        ended
    }

    /// The totals of now. Every total is at least that of any snapshot taken before.
    ///
    /// Where the SDK cannot be read, totals stand still, which is better than a series that ends;
    /// [`Self::failed_collections`] tells.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        let mut reading = self.reading();
        let moment = self.chain().moment();
        match self.read(&mut reading, moment) {
            Ok(snapshot) => {
                let snapshot = Arc::new(snapshot);
                self.last.store(Arc::clone(&snapshot));
                snapshot
            }
            Err(error) => {
                self.failed(&error);
                self.last.load_full()
            }
        }
    }

    /// The last totals in the shape of a generation that ended, of the moment when it did.
    pub(crate) fn last_of(&self, ended: Ended) -> Arc<Snapshot> {
        let mut reading = self.reading();
        let moment = self.chain().end(ended);
        let last = moment.and_then(|moment| self.read(&mut reading, moment).ok()).map(Arc::new);
        drop(reading);
        last.unwrap_or_else(|| self.snapshot())
    }

    /// Adds what generations up to `ended` counted to the base, if nobody records into them any
    /// more, and frees them.
    pub(crate) fn settle(&self, ended: Ended) -> Settled {
        let mut reading = self.reading();
        loop {
            let oldest = self.chain().oldest();
            let Some(stage) = oldest.filter(|stage| stage.number <= ended.number) else {
                return Settled::Yes;
            };
            // Held by the chain and by `stage`. The slot let go of it before the commit returned,
            // and nobody gets it from there again; who reads holds `reading`.
            if Arc::strong_count(&stage.generation) > 2 {
                return Settled::NotYet;
            }
            // What was recorded before the last of them let go is seen by what follows.
            fence(Ordering::SeqCst);
            match stage.generation.read(Observe::No) {
                Ok(collected) => {
                    let base = std::mem::take(&mut reading.base);
                    reading.base = stage.era.carry(add(&stage, collected, base)).totals;
                }
                Err(error) => {
                    self.failed(&error);
                    return Settled::NotYet;
                }
            }
            self.chain().forget_oldest();
        }
    }

    /// How often the SDK could not be read.
    pub(crate) fn failed_collections(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// How often a callback of a declared instrument panicked.
    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// The number of the generation that is current, and how many before it still count.
    pub(crate) fn generations(&self) -> (u64, usize) {
        let chain = self.chain();
        (chain.number(), chain.retiring())
    }

    /// The shape that instruments have now.
    pub(crate) fn shape(&self) -> MetricShape {
        self.chain().shape().wanted().clone()
    }

    /// The metrics that had more attribute sets than they may, as of the last snapshot.
    pub(crate) fn overflowing(&self) -> Arc<BTreeSet<String>> {
        self.overflowing.load_full()
    }

    /// The streams that started again with the current generation.
    pub(crate) fn resets(&self) -> Arc<Vec<StreamReset>> {
        self.resets.load_full()
    }

    /// Cancelled when a callback of an instrument panicked that is not declared.
    pub(crate) fn broken(&self) -> &CancellationToken {
        self.foreign.broken()
    }

    fn resolve(&self, wanted: &MetricShape) -> (Shape, Vec<ViewFinding>) {
        let foreign = self.foreign.kinds();
        let others = foreign.values().flatten().map(|(name, kind)| (name.as_str(), *kind));
        Shape::resolve(&self.declared, others, wanted)
    }

    /// Everything at one moment: what all of its generations counted, in the shape of the last.
    fn read(&self, reading: &mut Reading, moment: Moment) -> Result<Snapshot, ReadError> {
        let Moment { sequence, time, stages } = moment;
        let Stages { ended, last } = stages;
        let mut totals = reading.base.clone();
        for stage in ended {
            let collected = stage.generation.read(Observe::No)?;
            totals = stage.era.carry(add(&stage, collected, totals)).totals;
        }
        let current = last.generation.read(Observe::Yes)?;
        let mut overflowing = overflow::overflowing(&current);
        totals = add(&last, current, totals);
        last.generation.exemplars().attach(&mut totals, &self.declared);
        match self.foreign.read() {
            Ok(foreign) => reading.foreign = foreign,
            Err(error) => self.failed(&error),
        }
        overflowing.extend(overflow::overflowing(&reading.foreign));
        // Of now: what overflowed before a limit was raised stays in the totals.
        self.overflowing.store(Arc::new(overflowing));
        for foreign in reading.foreign.clone() {
            let same = |it: &&mut ScopeMetrics| {
                it.scope == foreign.scope && it.schema_url == foreign.schema_url
            };
            match totals.iter_mut().find(same) {
                Some(scope) => scope.metrics.extend(foreign.metrics),
                None => totals.push(foreign),
            }
        }
        let snapshot = Snapshot::of(sequence, time, totals, last.era);
        Ok(snapshot.with_kinds(self.foreign.kinds()))
    }

    fn failed(&self, error: &ReadError) {
        if self.failed.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::error!(%error, "metrics cannot be collected, totals stand still");
        }
    }

    fn reading(&self) -> MutexGuard<'_, Reading> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a generation counted, with what those before it did: `base`, in its shape.
fn add(
    stage: &Stage,
    mut collected: Vec<ScopeMetrics>,
    base: Vec<ScopeMetrics>,
) -> Vec<ScopeMetrics> {
    stage.era.stamp(&mut collected);
    merge(&mut collected, base, stage.era.shapes());
    collected
}

/// A generation that is ready to take over.
pub(crate) struct Rebuild {
    generation: Arc<Generation>,
    resets: Vec<StreamReset>,
}

// === impl Rebuild ===

impl Rebuild {
    /// The streams that will start again.
    pub(crate) fn resets(&self) -> &[StreamReset] {
        &self.resets
    }
}

#[cfg(test)]
mod tests;
