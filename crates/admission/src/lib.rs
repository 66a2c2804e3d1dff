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
mod enforce;
mod error;
mod namespaces;
mod policies;
mod policy_status;
mod readiness;
mod record;
mod review;
#[cfg(feature = "testing")]
mod reviewer;
mod routes;
mod run;
mod server;
mod target;
mod tasks;
#[cfg(test)]
mod testing;
mod tls;
mod traced;
mod webhook;
mod webhook_configuration;

pub use error::Error;
#[cfg(feature = "testing")]
pub use reviewer::Reviewer;
pub use run::{Admission, Options};
pub use target::{TargetError, WebhookService, WebhookTarget, WebhookUrl};
