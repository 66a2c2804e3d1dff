//! The functions that Kyverno adds to CEL: those that need nothing from outside, and, where a context
//! answers them, those that look something up.
//!
//! Where Kyverno has a variable with functions, such as `json`, the functions have its name before a
//! dot here. Source: Kyverno's SDK, whose documentation tells less than its tests.

use super::Library;

mod gzip;
mod hash;
mod image;
mod json;
mod lookup;
mod math;
mod random;
mod regex;
mod time;
mod transform;
mod user;
mod x509;
mod yaml;

pub(super) use lookup::{declare_for_cluster, declare_for_namespace};

/// Declares those that need nothing from outside.
pub(super) fn declare(library: &mut Library) {
    image::declare(library);
    json::declare(library);
    yaml::declare(library);
    hash::declare(library);
    time::declare(library);
    math::declare(library);
    random::declare(library);
    user::declare(library);
    x509::declare(library);
    transform::declare(library);
    gzip::declare(library);
    regex::declare(library);
}
