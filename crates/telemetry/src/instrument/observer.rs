//! What a callback of an observable instrument tells its values to.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use opentelemetry::KeyValue;
use opentelemetry::metrics::AsyncInstrument;

use super::Sieve;

/// Takes the values of one observable instrument while totals are read.
pub struct Observer<'a, T> {
    instrument: &'a dyn AsyncInstrument<T>,
    sieve: &'a Sieve,
    /// Where attributes are left out: what was observed, by what is left of the attributes. The
    /// SDK would keep the last of them only.
    united: Option<RefCell<HashMap<Vec<KeyValue>, T>>>,
    unite: fn(T, T) -> T,
}

/// One observable instrument of one generation.
pub(crate) struct Observed<T: 'static> {
    pub(crate) name: &'static str,
    pub(crate) sieve: Sieve,
    pub(crate) callbacks: Vec<Asked<T>>,
    /// How two values become one where only attributes that are left out tell them apart.
    pub(crate) unite: fn(T, T) -> T,
    /// Whether to ask at all: of several generations only one does.
    pub(crate) asking: Arc<AtomicBool>,
    /// Counts callbacks that panicked.
    pub(crate) panics: Arc<AtomicU64>,
}

/// What is asked for values.
pub(crate) type Asked<T> = Arc<dyn Fn(&Observer<'_, T>) + Send + Sync>;

// === impl Observer ===

impl<T: Copy> Observer<'_, T> {
    /// The value of now, for these attributes: exactly those that are declared, in their order.
    pub fn observe(&self, value: T, attributes: &[KeyValue]) {
        self.sieve.sift(attributes, |left| match &self.united {
            None => self.instrument.observe(value, left),
            Some(united) => {
                let mut united = united.borrow_mut();
                let unite = |before: &mut T| *before = (self.unite)(*before, value);
                united.entry(left.to_vec()).and_modify(unite).or_insert(value);
            }
        });
    }
}

// === impl Observed ===

impl<T: Copy> Observed<T> {
    /// Asks for the values of `instrument`.
    ///
    /// A callback that panics has observed what it observed before. Where attributes are left out
    /// that would be a part of a sum, so nothing is observed then. A panic never reaches the SDK,
    /// which could not be read again.
    pub(crate) fn ask(&self, instrument: &dyn AsyncInstrument<T>) {
        if !self.asking.load(Ordering::Relaxed) {
            return;
        }
        let united = self.sieve.drops_attributes().then(RefCell::default);
        let observer = Observer { instrument, sieve: &self.sieve, united, unite: self.unite };
        let mut panicked = false;
        for callback in &self.callbacks {
            if catch_unwind(AssertUnwindSafe(|| callback(&observer))).is_err() {
                panicked = true;
                if self.panics.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::error!(
                        instrument = self.name,
                        "a callback of an observable instrument panicked"
                    );
                }
            }
        }
        let united = observer.united.map(RefCell::into_inner).filter(|_| !panicked);
        for (left, value) in united.unwrap_or_default() {
            instrument.observe(value, &left);
        }
    }
}
