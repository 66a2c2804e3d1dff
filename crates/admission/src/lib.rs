//! x
mod certificate;
mod certificate_secret;
mod target;
pub use target::{TargetError, WebhookService, WebhookTarget, WebhookUrl};
