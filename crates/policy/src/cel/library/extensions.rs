//! The extensions of cel-go that Kubernetes and Kyverno have: strings, lists, math, encoders and
//! sets. Those that are macros are the checker's.
//!
//! Source: the documentation of cel-go's package `ext`.

use super::Library;

mod encoders;
mod format;
mod lists;
mod math;
mod sets;
mod strings;

pub(crate) use lists::sort_by_keys;

/// Declares them.
pub(super) fn declare(library: &mut Library) {
    encoders::declare(library);
    format::declare(library);
    lists::declare(library);
    math::declare(library);
    sets::declare(library);
    strings::declare(library);
}
