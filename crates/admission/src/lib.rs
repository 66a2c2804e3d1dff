//! The admission webhook: AdmissionReviews in, verdicts out, and its own registration.
//!
//! Enter by [`Admission`], which wires the parts and ends them in order. `server` is how a request
//! comes in, `routes` the way of one review, `policy_review` that of a policy which is to be stored.
//! What they go by is kept true by tasks, one for each thing, which read each other through
//! `tokio::sync::watch`:
//!
//! - the policy cache compiles; `configuration`, `roles` and `namespaces` hold what judging takes beside;
//! - `plan` says, purely, which webhook serves which policy; `webhook_configuration` registers that,
//!   `serving` knows what a call is for while registrations change;
//! - `certificate_secret` keeps a certificate, `tls` chooses the one that callers trust;
//! - `policy_status`, `events`, `reports`, `inventory`, `record` and `readiness` tell of it.
//!
//! What each decides is a pure function beside it. [`inspect()`] and [`registered()`] are for whoever
//! looks from outside.
//!
//! It must not know telemetry beyond recording facts, nor evaluate policies by itself.

mod certificate;
mod certificate_secret;
mod configuration;
mod enforce;
mod error;
mod events;
mod inspect;
mod inventory;
mod namespaces;
mod pace;
mod plan;
mod policy_review;
mod policy_status;
mod readiness;
mod record;
mod registered;
mod reports;
mod review;
#[cfg(any(test, feature = "testing"))]
pub mod reviewer;
mod roles;
mod routes;
mod run;
mod server;
mod serving;
mod target;
#[cfg(test)]
mod testing;
mod tls;
mod traced;
mod webhook;
mod webhook_configuration;

use pharos_policy_cache as policies;

pub use error::Error;
pub use events::{EventOptions, EventReason};
pub use inspect::{InspectError, Inspected, Problem, inspect};
pub use policies::{ExceptionNamespaces, NoNamespace};
pub use policy_status::PolicyStatus;
pub use registered::{Registered, registered, unregister};
pub use reports::Reporting;
pub use run::{Admission, Options};
pub use server::Limits;
pub use target::{TargetError, WebhookService, WebhookTarget, WebhookUrl};
