//! The admission webhook: AdmissionReviews in, verdicts out, and its own registration.
//!
//! Enter by [`Admission`], which wires the parts and ends them in order. `routes` is the way of one
//! review; `certificate_secret`, `policies`, `webhook_configuration`, `policy_status`, `tls` and
//! `readiness` each own one task that keeps one thing true, reading the others through
//! `tokio::sync::watch`. What each decides is a pure function beside it.
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
mod policies;
mod policy_review;
mod policy_status;
mod readiness;
mod record;
mod registered;
mod review;
#[cfg(feature = "testing")]
mod reviewer;
mod roles;
mod routes;
mod run;
mod server;
mod serving;
mod target;
mod tasks;
#[cfg(test)]
mod testing;
mod tls;
mod traced;
mod webhook;
mod webhook_configuration;

pub use error::Error;
pub use events::{EventOptions, EventReason};
pub use inspect::{InspectError, Inspected, Problem, inspect};
pub use policy_status::PolicyStatus;
pub use registered::{Registered, registered, unregister};
#[cfg(feature = "testing")]
pub use reviewer::Reviewer;
pub use run::{Admission, Options};
pub use server::Limits;
pub use target::{TargetError, WebhookService, WebhookTarget, WebhookUrl};
