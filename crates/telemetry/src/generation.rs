//! The half of the pipeline that aggregates: permanent, and unaware of where metrics go.
//!
//! Instruments stay bound to the provider that made them, and a provider's readers are fixed, so
//! neither is ever replaced by a reload: one reader is read here, for every sink there is. A change
//! that an aggregation cannot follow (views) will be a second generation beside the first.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{
    InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Temporality,
};
use tokio_util::sync::CancellationToken;

use crate::snapshot::Snapshot;

/// What happened when a generation is broken, and what to do about it.
pub(crate) const BROKEN: &str =
    "a callback of an observable instrument panicked; restart the process";

/// A provider, the one reader that it has, and what was read last.
pub(crate) struct Generation {
    provider: SdkMeterProvider,
    reader: Reader,
    /// How often it was read. Held while reading, so that numbers tell what is newer.
    reads: Mutex<u64>,
    last: ArcSwap<Snapshot>,
    failed: AtomicU64,
    /// Cancelled when a callback panicked.
    broken: CancellationToken,
}

/// The SDK takes its reader by value; this is one that can be read from here, too.
#[derive(Clone, Debug)]
struct Reader(Arc<ManualReader>);

// === impl Generation ===

impl Generation {
    pub(crate) fn start() -> Self {
        let reader = Reader(Arc::new(
            ManualReader::builder().with_temporality(Temporality::Cumulative).build(),
        ));
        let provider = SdkMeterProvider::builder()
            // The default would read the environment. The resource is the sink's affair.
            .with_resource(Resource::builder_empty().build())
            .with_reader(reader.clone())
            .build();
        Self {
            provider,
            reader,
            reads: Mutex::new(0),
            last: ArcSwap::default(),
            failed: AtomicU64::new(0),
            broken: CancellationToken::new(),
        }
    }

    pub(crate) fn meter(&self, scope: &'static str) -> Meter {
        self.provider.meter(scope)
    }

    #[cfg(test)]
    pub(crate) fn meter_with_scope(&self, scope: opentelemetry::InstrumentationScope) -> Meter {
        self.provider.meter_with_scope(scope)
    }

    /// The totals of now. Every total is at least that of any snapshot taken before.
    ///
    /// Where the SDK cannot be read, this is what could be read last: a total that stands still
    /// is better than a series that ends, and [`Self::failed_collections`] tells. A callback that
    /// panics makes that permanent, see [`Self::broken`].
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        match self.collect() {
            Ok((sequence, collected)) => {
                let snapshot = Arc::new(Snapshot::new(sequence, &collected));
                // Whoever read before, and is late to say so, must not take it back.
                self.last.rcu(|last| {
                    Arc::clone(if snapshot.is_newer_than(last) { &snapshot } else { last })
                });
                snapshot
            }
            Err(error) => {
                if self.failed.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::error!(%error, "metrics cannot be collected, totals stand still");
                }
                self.last.load_full()
            }
        }
    }

    /// How often the SDK could not be read.
    pub(crate) fn failed_collections(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Cancelled when a callback of an observable instrument panicked. That is permanent: it
    /// poisons a lock of the SDK, which cannot be read from then on. Only a new process helps.
    pub(crate) fn broken(&self) -> &CancellationToken {
        &self.broken
    }

    fn collect(&self) -> Result<(u64, ResourceMetrics), OTelSdkError> {
        let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        *reads += 1;
        let mut collected = ResourceMetrics::default();
        // A panic in the callback of somebody's observable instrument must not end the exports.
        match catch_unwind(AssertUnwindSafe(|| self.reader.collect(&mut collected))) {
            Ok(read) => read.map(|()| (*reads, collected)),
            Err(_) => {
                self.broken.cancel();
                Err(OTelSdkError::InternalFailure(BROKEN.into()))
            }
        }
    }
}

// === impl Reader ===

impl MetricReader for Reader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, collected: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(collected)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn a_callback_that_panics_once_leaves_the_last_totals_for_good() {
        let generation = Generation::start();
        let meter = generation.meter("scope");
        let counter = meter.u64_counter("c").build();
        counter.add(1, &[]);
        let last = generation.snapshot();
        let panicked = AtomicBool::new(false);
        meter
            .u64_observable_gauge("g")
            .with_callback(move |_| assert!(panicked.swap(true, Ordering::Relaxed), "a bug"))
            .build();
        assert!(!generation.broken().is_cancelled());
        for failed in 1..=2 {
            assert!(Arc::ptr_eq(&generation.snapshot(), &last));
            assert_eq!(generation.failed_collections(), failed);
            assert!(generation.broken().is_cancelled());
            counter.add(1, &[]);
        }
    }

    #[test]
    fn what_could_be_read_last_never_goes_back() {
        let generation = Generation::start();
        let newer = Arc::new(Snapshot::new(u64::MAX, &ResourceMetrics::default()));
        generation.last.store(Arc::clone(&newer));
        generation.snapshot();
        assert!(Arc::ptr_eq(&generation.last.load_full(), &newer));
    }
}
