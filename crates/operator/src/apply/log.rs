//! What a person who reads the log should know of reloads. Nothing is said twice.

use crate::reconcile::{Candidate, Event, Target};
use crate::report::{ConfigReport, Report, State};

/// Says what the reports do not: what became of the defaults.
pub(super) fn event(event: &Event) {
    let is_default = |candidate: &Candidate| candidate.object().is_none();
    match event {
        Event::Committed { candidate, .. } if is_default(candidate) => tracing::info!(
            "running the command line's defaults: no TelemetryConfig is known that decides for this process"
        ),
        Event::Refused { candidate, message } if is_default(candidate) => {
            tracing::error!("cannot run the command line's defaults, retrying: {message}");
        }
        _ => {}
    }
}

/// Says how far the target is, if that changed since `before`.
pub(super) fn report(target: &Target, before: Option<&Report>, now: &Report) {
    let before = before.and_then(|before| before.config.as_ref());
    let (Target::Object { name, .. }, Some(config)) = (target, &now.config) else { return };
    if before.map(about) == Some(about(config)) {
        return;
    }
    let ConfigReport { generation, state, references, .. } = config;
    match state {
        State::Applying => {}
        State::Programmed if references.is_resolved() => {
            tracing::info!(telemetryconfig = name, generation, "programmed");
        }
        State::Programmed => {
            let (reason, message) = (&references.reason, &references.message);
            tracing::warn!(telemetryconfig = name, generation, reason, "{message}");
        }
        State::Failed { message, .. } => {
            tracing::warn!(
                telemetryconfig = name,
                generation,
                "refused, what ran before runs on: {message}"
            );
        }
    }
}

/// What is worth a line where it changes.
fn about(config: &ConfigReport) -> (&str, i64, &str, &State, &str) {
    let ConfigReport { uid, generation, config_hash, state, references, .. } = config;
    (uid, *generation, config_hash, state, &references.reason)
}
