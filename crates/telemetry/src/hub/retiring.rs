//! Generations of instruments that ended: looked after until nobody records into them any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::generation::{Ended, Settled, Totals};

/// Recording takes less than this, unless the thread has to wait for a processor.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// Frees generations that ended, whether or not somebody reads totals.
pub(super) struct Retiring {
    totals: Arc<Totals>,
    next: Option<Look>,
}

/// When to look whether they can be freed.
#[derive(Clone, Copy)]
struct Look {
    newest: Ended,
    at: Instant,
    pause: Duration,
}

// === impl Retiring ===

impl Retiring {
    pub(super) fn new(totals: Arc<Totals>) -> Self {
        Self { totals, next: None }
    }

    /// One more generation ended; those before it did already.
    pub(super) fn ended(&mut self, newest: Ended) {
        self.next = Some(Look { newest, at: Instant::now() + FIRST_PAUSE, pause: FIRST_PAUSE });
    }

    /// Waits until it is time to look; for ever if there is nothing to look after. Cancel-safe.
    pub(super) async fn due(&self) {
        match self.next {
            Some(Look { at, .. }) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// Frees what can be freed, and looks again later if there is more.
    pub(super) fn settle(&mut self) {
        let settled = |it: &Look| self.totals.settle(it.newest) == Settled::Yes;
        self.next = self.next.filter(|it| !settled(it)).map(|it| {
            let pause = (it.pause * 2).min(LAST_PAUSE);
            Look { at: Instant::now() + pause, pause, ..it }
        });
    }
}
