//! The TelemetryConfig loop: from what was applied to what runs, and back into status.
//!
//! Every process runs [`Operator::run`]: it watches the TelemetryConfigs of its namespace,
//! [`select`]s the one that this process obeys, [`resolve`]s it, with the Secrets and ConfigMaps that
//! it refers to, to a pipeline configuration, has the pipeline prepare and commit it and
//! [`report`]s the outcome in its heartbeat Lease. What to do next is decided in [`reconcile`], for
//! whatever happens; `apply` does it. The leader alone turns the reports of all replicas into
//! conditions ([`judge`]) and writes them (`leader`).
//!
//! `reconcile`, `select`, `resolve` and `judge` are pure. This crate must not know policies or
//! webhooks.

mod apply;
pub mod judge;
mod leader;
mod manifest;
mod operator;
pub mod reconcile;
mod replicas;
pub mod report;
pub mod resolve;
pub mod select;
pub mod statistics;

pub use manifest::{Manifest, ManifestError};
pub use operator::{Error, Operator, Replica, Stopped};
