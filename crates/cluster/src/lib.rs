//! The Kubernetes edge of Pharos: the client, guarded watches, Leases and readiness.
//!
//! What is decided about objects is decided elsewhere (`operator`, `admission`); this crate only
//! brings objects in and carries Leases and revisions out. Entry points: [`connect()`] for the
//! client, [`view::keep`] for a watch that survives broken objects, [`served::follow`] for one of a kind
//! that may not be there, [`discovery::keep`] for what is served, [`references::keep`] for Secrets
//! and ConfigMaps by name, [`election::Election`] for leadership, [`heartbeat::Heartbeat`] for what
//! one replica tells the others, [`revisions`] for what all of them programmed last. Every request
//! goes through [`in_time`], and [`trouble`] says in words what goes wrong.
//!
//! It must not know policies, telemetry or conditions.

mod backoff;
mod connect;
pub mod discovery;
pub mod election;
pub mod heartbeat;
mod in_time;
mod list_watch;
pub mod membership;
pub mod metadata;
pub mod pressure;
pub mod readiness;
pub mod references;
pub mod revisions;
pub mod served;
pub mod tasks;
#[cfg(test)]
mod testing;
pub mod trouble;
pub mod view;

pub use backoff::RetryDelay;
pub use connect::{ConnectError, Transport, connect};
pub use in_time::in_time;
pub use readiness::Readiness;
