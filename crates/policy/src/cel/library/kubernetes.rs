//! The functions that Kubernetes adds to CEL.
//!
//! Source: the documentation of CEL in Kubernetes and the packages of its API server that declare
//! them. What they say of every string is compared with a real API server by the differential test.

use super::Library;

mod cidr;
mod format;
mod ip;
mod lists;
mod quantity;
mod regex;
mod semver;
mod url;

pub(super) use url::{is_authority, url_parts};

/// Declares them.
pub(super) fn declare(library: &mut Library) {
    quantity::declare(library);
    url::declare(library);
    ip::declare(library);
    cidr::declare(library);
    regex::declare(library);
    format::declare(library);
    lists::declare(library);
    semver::declare(library);
}
