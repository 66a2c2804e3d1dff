//! The memory that parsed bodies may take, all of them together.
//!
//! JSON can take thirty times its length while it is parsed, and half of that afterwards. So its length
//! says little, and every part of it is paid for before it is made.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::routes::BODY_LIMIT;

/// What there is at least: enough for the longest body, if its parts are not many.
const LEAST: usize = 12 * BODY_LIMIT;

/// What all bodies may take together.
#[derive(Debug)]
pub(crate) struct Memory {
    free: AtomicUsize,
}

/// What one body has taken. It is given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    memory: Arc<Memory>,
    taken: usize,
}

/// Why there is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Shortage {
    /// No body may take so much.
    #[error("the body has so many parts that it would take more than {LEAST} bytes of memory")]
    TooLarge,
    /// Others have it.
    #[error("too much is being answered already")]
    Taken,
}

// === impl Memory ===

impl Memory {
    /// So many bytes, or what there is at least.
    pub(crate) fn new(bytes: usize) -> Arc<Self> {
        Arc::new(Self { free: AtomicUsize::new(bytes.max(LEAST)) })
    }

    /// For one body, which has taken nothing yet.
    pub(crate) fn share(self: &Arc<Self>) -> Share {
        Share { memory: self.clone(), taken: 0 }
    }
}

// === impl Share ===

impl Share {
    /// Takes so many bytes.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), Shortage> {
        if bytes > LEAST - self.taken {
            return Err(Shortage::TooLarge);
        }
        let less = |free: usize| free.checked_sub(bytes);
        let taken = self.memory.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.map_err(|_| Shortage::Taken)?;
        self.taken += bytes;
        Ok(())
    }

    /// How many bytes it has taken.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    /// Gives back all but so many bytes.
    pub(crate) fn keep(&mut self, bytes: usize) {
        let kept = bytes.min(self.taken);
        self.memory.free.fetch_add(self.taken - kept, Ordering::Relaxed);
        self.taken = kept;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.keep(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_has_taken_is_there_for_others_when_it_is_dropped() {
        let memory = Memory::new(LEAST + 10);
        let [mut one, mut other] = [memory.share(), memory.share()];
        one.take(LEAST).unwrap();
        other.take(10).unwrap();
        assert_eq!(other.take(1), Err(Shortage::Taken));
        one.keep(LEAST - 1);
        other.take(1).unwrap();
        assert_eq!(other.take(1), Err(Shortage::Taken));
        drop(one);
        other.take(LEAST - 11).unwrap();
    }

    #[test]
    fn what_no_body_may_take_is_told_from_what_does_not_fit_in_now() {
        let memory = Memory::new(0);
        let mut one = memory.share();
        one.take(1).unwrap();
        assert_eq!(one.take(LEAST), Err(Shortage::TooLarge));
        assert_eq!(one.take(usize::MAX), Err(Shortage::TooLarge));
        assert_eq!(memory.share().take(LEAST), Err(Shortage::Taken));
        one.take(LEAST - 1).unwrap();
    }
}
