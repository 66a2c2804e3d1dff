//! Series: instruments bound to attributes that are recorded again and again.
//!
//! A handle looks its attributes up in the SDK at every measurement, which costs ten times what the
//! measurement itself does. A series remembers what it found, for as long as the generation that it
//! was found in is current: after that it looks again. So a view that changes reaches a series as it
//! reaches a handle.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram};
use opentelemetry::trace::SpanContext;

use super::recorder::{Bound, BoundMeasured};
use super::{Counter, Histogram, Recorders, Slot};
use crate::exemplar::Span;
use crate::generation::Generation;

macro_rules! series {
    ($($(#[$about:meta])* $Series:ident of $Handle:ident, $Bound:ty { $(#[$how:meta])* $verb:ident($value:ty) in $kind:ident })*) => {$(
        $(#[$about])*
        #[derive(Debug)]
        pub struct $Series {
            slot: Slot,
            index: usize,
            attributes: Arc<[KeyValue]>,
            found: ArcSwapOption<Found<$Bound>>,
        }

        impl $Handle {
            /// Its series with these attributes: exactly those that are declared, in their order.
            pub fn series(&self, attributes: &Arc<[KeyValue]>) -> $Series {
                let (slot, attributes) = (Arc::clone(&self.slot), Arc::clone(attributes));
                $Series { slot, index: self.index, attributes, found: ArcSwapOption::empty() }
            }
        }

        impl $Series {
            $(#[$how])*
            ///
            /// Inside of `span`, if there is one and it is sampled, the measurement is kept as an
            /// exemplar, too. Which span is current does not matter.
            pub fn $verb(&self, value: $value, span: Option<&SpanContext>) {
                let Some(generation) = &*self.slot.load() else { return };
                let span = span.and_then(Span::of);
                let found = self.found.load();
                match &*found {
                    Some(found) if found.generation == generation.number() => {
                        found.record(generation, value, span);
                    }
                    _ => self.find(generation).record(generation, value, span),
                }
            }

            fn find(&self, generation: &Generation) -> Arc<Found<$Bound>> {
                let Recorders { $kind: recorders, .. } = generation.recorders();
                let recorder = recorders.get(self.index).and_then(Option::as_ref);
                let bound = recorder.and_then(|recorder| recorder.bind(&self.attributes));
                let found = Arc::new(Found { generation: generation.number(), bound });
                self.found.store(Some(Arc::clone(&found)));
                found
            }
        }
    )*};
}

series! {
    /// One series of a [`Counter`].
    CounterSeries of Counter, BoundCounter<u64> {
        /// Counts `value` more.
        add(u64) in counters
    }
    /// One series of a [`Histogram`].
    HistogramSeries of Histogram, BoundHistogram<f64> {
        /// Counts one more value. What is not finite is left out.
        record(f64) in histograms
    }
}

/// What a series is in one generation; nothing where its instrument or the series is dropped.
#[derive(Debug)]
struct Found<B> {
    generation: u64,
    bound: Option<Bound<B>>,
}

// === impl Found ===

impl<B: BoundMeasured> Found<B> {
    fn record(&self, generation: &Generation, value: B::Value, span: Option<Span>) {
        if let Some(bound) = &self.bound {
            bound.record(generation.exemplars(), value, span);
        }
    }
}
