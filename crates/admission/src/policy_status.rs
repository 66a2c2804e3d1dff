//! What is said about policies: whether each is evaluated, and why not.
//!
//! [`desired::desired`] is pure; [`StatusWriter`] writes it while this process leads, by server-side apply
//! with the resourceVersion that it was computed from, and only when it differs: a leader that wakes
//! late gets a 409, and the watch then brings what to compute from.
//!
//! **Beside other engines.** The condition is of a type of our own, each engine has a field manager
//! of its own, and conditions of others are handed on as they are: Kyverno's CRDs hold them as one
//! list, of which there is one owner. `ready` and `message` are one for all engines: the last writer's
//! value stands. Who finds its own replaced writes it again three times, and then every ten minutes,
//! so that two engines that disagree do not keep the API server busy. With
//! [`PolicyStatus::Kyverno`] nothing is written, and what is wrong is told by Events.

use std::str::FromStr;

mod desired;
mod stands;
mod writer;

pub(crate) use writer::StatusWriter;

/// Who writes the status of policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PolicyStatus {
    /// This engine.
    #[default]
    Pharos,
    /// Kyverno, which runs beside it: no status is touched.
    Kyverno,
}

// === impl PolicyStatus ===

impl FromStr for PolicyStatus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "Pharos" => Ok(Self::Pharos),
            "Kyverno" => Ok(Self::Kyverno),
            _ => Err(format!("{text:?} is neither Pharos nor Kyverno")),
        }
    }
}

#[cfg(test)]
mod tests;
