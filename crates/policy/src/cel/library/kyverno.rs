//! The functions that Kyverno adds to CEL and that need nothing from outside.

use super::Library;

/// Declares them.
pub(super) fn declare(_library: &mut Library) {}
