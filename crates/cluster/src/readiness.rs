//! Whether one part of the process can do its work, as `/readyz` shows it.

/// What a part of the process says of itself, published through a `tokio::sync::watch` channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// The part does its work.
    Ready,
    /// It does not yet, or no longer; the sentence is for the person who reads `/readyz`.
    NotReady(String),
}

impl Readiness {
    /// A part that waits for something, named in the sentence.
    pub fn waiting_for(what: impl std::fmt::Display) -> Self {
        Self::NotReady(format!("waiting for {what}"))
    }
}
