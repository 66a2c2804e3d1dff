//! Handles to declared instruments: what a program records with.
//!
//! Recording loads the current generation, for the time of the call and no longer, and never waits.

use std::sync::Arc;

use opentelemetry::KeyValue;

use super::{Recorders, Slot};

macro_rules! handles {
    ($($(#[$about:meta])* $Handle:ident { $(#[$how:meta])* $verb:ident($value:ty) in $kind:ident })*) => {$(
        $(#[$about])*
        ///
        /// Cheap to clone, valid through every reload. Measurements made before the pipeline
        /// starts go nowhere.
        #[derive(Clone, Debug)]
        pub struct $Handle {
            pub(super) slot: Slot,
            pub(super) index: usize,
        }

        impl $Handle {
            pub(super) fn new(slot: &Slot, index: usize) -> Self {
                Self { slot: Arc::clone(slot), index }
            }

            $(#[$how])*
            ///
            /// `attributes` are exactly those that are declared, in the order in which they are:
            /// views go by their position.
            pub fn $verb(&self, value: $value, attributes: &[KeyValue]) {
                if let Some(generation) = &*self.slot.load() {
                    let Recorders { $kind: recorders, .. } = generation.recorders();
                    if let Some(Some(recorder)) = recorders.get(self.index) {
                        recorder.record(generation.exemplars(), value, attributes);
                    }
                }
            }
        }
    )*};
}

handles! {
    /// Counts things.
    Counter {
        /// Counts `value` more.
        add(u64) in counters
    }
    /// Counts things that come and go.
    UpDownCounter {
        /// Counts `value` more, or less.
        add(i64) in up_down_counters
    }
    /// Distributes values over buckets.
    Histogram {
        /// Counts one more value. What is not finite is left out.
        record(f64) in histograms
    }
    /// Keeps the last value.
    Gauge {
        /// Sets the value. What is not finite is left out.
        record(f64) in gauges
    }
}
