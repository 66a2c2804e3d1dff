//! Why a connection is of no use: what a request that fails is told, whoever finds out.
//!
//! What goes wrong in TLS after the handshake (a client certificate that is refused, in TLS 1.3)
//! the layers between a connection and a request pass on as text, or not at all. So whoever sees
//! the typed error leaves it here, and whoever wonders why a request failed looks here first.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::outcome::ExportOutcome;

/// Why a connection is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// One of the two sides does not accept the other. Nothing that was sent has been processed.
    #[error("{0}")]
    Tls(String),
    /// There is nobody, or somebody else. Nothing that was sent has been processed.
    #[error("{0}")]
    Unreachable(String),
    /// It ended, and nobody knows what became of what was sent.
    #[error("{0}")]
    Lost(String),
}

/// The fault of the newest connection of a client.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults(Arc<Mutex<Option<Fault>>>);

// === impl Faults ===

impl Faults {
    /// A new connection begins, without faults.
    pub(super) fn clear(&self) {
        *self.lock() = None;
    }

    /// The first fault of a connection is the cause of the others.
    pub(super) fn note(&self, fault: Fault) {
        self.lock().get_or_insert(fault);
    }

    pub(super) fn get(&self) -> Option<Fault> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Fault ===

impl From<Fault> for ExportOutcome {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Tls(why) => Self::Tls { why },
            Fault::Unreachable(why) => Self::Unreachable { why },
            Fault::Lost(why) => Self::Ambiguous { why },
        }
    }
}
