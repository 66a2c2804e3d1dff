//! Policy reports: what they say, and how one follows on another. Pure.
//!
//! Two write into the report of one object, in whatever processes they run: background scans tell what
//! policies say about it as it is, and admission what they said when it came in, where a scan never
//! asks ([`scanned`]). [`verdict`] makes results of an evaluation, for either. [`Desired`] is what a scan
//! wants a report to say; [`admitted`] is what an admission adds to it, and what becomes of that when
//! policies go.
//!
//! It must not talk to an API server, nor ask a clock.

pub mod admitted;
pub mod digest;
mod report;
pub mod scanned;
#[cfg(test)]
mod testing;
pub mod verdict;

pub use digest::Digest;
pub use report::{Change, DIGEST, Desired, KYVERNO, MANAGED_BY, Own, Subject, tidied};
