//! The functions that Kubernetes adds to CEL.
//!
//! Source: the documentation of CEL in Kubernetes and the packages of its API server that declare
//! them.

use super::Library;

/// Declares them.
pub(super) fn declare(_library: &mut Library) {}
