//! The Kubernetes API of Pharos: the kinds that users write, and the definitions that an API server
//! needs to store them.
//!
//! Enter at [`telemetryconfig::TelemetryConfig`], [`policy`] and [`report`]; [`crds`] returns
//! their definitions and [`yaml`] renders one as YAML.
//!
//! The types mirror the stored objects and mean nothing by themselves: a value that decodes is not
//! yet a value that works. Turning it into one that does is the reader's first step. There is no
//! client here and no runtime, so that everything may depend on this crate.

#![expect(
    unreachable_pub,
    reason = "the schema derive copies every struct, with its visibility, into a function"
)]

pub mod condition;
pub mod name;
pub mod policy;
pub mod report;
pub mod telemetryconfig;

mod crd;
mod schema;

pub use crd::{crds, yaml};
