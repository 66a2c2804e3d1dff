//! The half of the pipeline that aggregates, unaware of where metrics go.
//!
//! Instruments stay bound to the SDK provider that made them, and a provider's views and readers
//! are fixed. So a [`Generation`] is a provider, its reader and the declared instruments made from
//! it; recording goes through whichever is current. [`Totals`] owns them all and reads them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use opentelemetry_proto::tonic::metrics::v1::ScopeMetrics;

use crate::exemplar::Exemplars;
use crate::instrument::{Declared, Recorders};
use crate::shape::Shape;
use crate::snapshot::convert;

mod build;
mod chain;
mod foreign;
mod source;
mod totals;

pub(crate) use chain::Ended;
pub(crate) use foreign::BROKEN;
use source::{ReadError, Source};
pub(crate) use totals::{Rebuild, Settled, Totals};

/// Everything that depends on the shape of metrics: a provider, the one reader that it has, and the
/// declared instruments made from it.
///
/// A thread that records holds one for the time of the call. Once it is neither current nor held,
/// it has counted all that it ever will.
#[derive(Debug)]
pub(crate) struct Generation {
    /// Its own, in this process.
    number: u64,
    shape: Arc<Shape>,
    source: Source,
    recorders: Recorders,
    exemplars: Exemplars,
    /// Whether observable instruments are asked when this is read.
    asking: Arc<AtomicBool>,
}

/// Who asks observable instruments: one generation at a time, or everything would be asked twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Observe {
    Yes,
    No,
}

/// The number of the next generation of any pipeline.
static NUMBERS: AtomicU64 = AtomicU64::new(0);

// === impl Generation ===

impl Generation {
    /// Instruments of the given shape, that count from zero. `panics` counts the callbacks that
    /// panic.
    fn new(declared: &[Declared], shape: Arc<Shape>, panics: &Arc<AtomicU64>) -> Self {
        let source = build::source(&shape);
        let asking = Arc::new(AtomicBool::new(false));
        let about = build::Asking { asking: Arc::clone(&asking), panics: Arc::clone(panics) };
        let recorders = build::recorders(&source, declared, &shape, &about);
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        Self { number, shape, source, recorders, exemplars: Exemplars::new(), asking }
    }

    /// Tells it from every other one.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// What is recorded with.
    pub(crate) fn recorders(&self) -> &Recorders {
        &self.recorders
    }

    /// What is kept of what is recorded inside sampled spans.
    pub(crate) fn exemplars(&self) -> &Exemplars {
        &self.exemplars
    }

    /// What was recorded so far. Only one thread may read at a time.
    fn read(&self, observe: Observe) -> Result<Vec<ScopeMetrics>, ReadError> {
        self.asking.store(observe == Observe::Yes, Ordering::Relaxed);
        self.source.read().map(|collected| convert(&collected))
    }
}
