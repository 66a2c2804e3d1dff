//! What time it is: an argument, so that an evaluation is a function of values.

use std::time::Instant;

use jiff::Timestamp;

/// Tells the time.
pub trait Clock {
    /// For durations.
    fn instant(&self) -> Instant;

    /// The time of day: what expressions see, and what decides whether an exception has expired.
    fn now(&self) -> Timestamp;
}

/// The clock of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

// === impl SystemClock ===

impl Clock for SystemClock {
    fn instant(&self) -> Instant {
        Instant::now()
    }

    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
