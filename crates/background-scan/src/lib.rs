//! Background scans: what is in the cluster already, judged by the same policies, and told in reports.
//!
//! Enter by [`BackgroundScan`], which wires the parts and ends them in order. Without a cluster:
//!
//! - `target` says what is scanned, `share` who scans it, `snapshot` by which policies;
//! - `request` makes an object the review that it would come in, `judge` asks the policies, and
//!   `pharos_reports` makes a report of what they say;
//! - `known` holds what stays of an object, and `scan` decides what is done next.
//!
//! `edge` reads, watches and writes; `run` ties all of it. [`scan_now()`] and [`status()`] are for whoever
//! looks from outside. It must not evaluate policies by itself, nor
//! hold objects for longer than it takes to judge them.

mod edge;
mod judge;
mod known;
mod namespaces;
mod now;
mod pace;
mod record;
mod request;
mod run;
mod scan;
mod share;
mod snapshot;
mod status;
mod target;

pub use now::{Extent, Found, Looking, ScanError, scan_now};
pub use pharos_policy_cache::{ExceptionNamespaces, NoNamespace};
pub use run::{BackgroundScan, Error, Options, PolicySource};
pub use scan::Keeping;
pub use status::{ScanStatus, TargetStatus, status};
