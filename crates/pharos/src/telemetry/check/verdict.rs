//! What a check says: findings about objects, and the exit code that they come to. Values only;
//! [`super::render`] makes text of them.

use std::process::ExitCode;

use pharos_api::telemetryconfig::{Component, Signal};
use serde::Serialize;

use super::documents::Skipped;
use crate::documents::Broken;

/// All that a check has to say.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Verdicts {
    /// What it comes to.
    pub(super) outcome: Outcome,
    /// The TelemetryConfigs, in the order of the files.
    pub(super) objects: Vec<Verdict>,
    /// What cannot be parsed.
    pub(super) broken: Vec<Broken>,
    /// What is no TelemetryConfig.
    pub(super) skipped: Vec<Skipped>,
}

/// What a check comes to; the order is the order of weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Outcome {
    /// Nothing is wrong, but for warnings.
    #[default]
    Good,
    /// Something that was to be checked could not be.
    Unchecked,
    /// Something is wrong.
    Problems,
}

/// What there is to say about one object.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Verdict {
    /// The file that it is in.
    pub(super) file: String,
    /// Where it would be applied.
    pub(super) namespace: String,
    /// Its name; empty if it has none.
    pub(super) name: String,
    /// The reason that the condition Accepted would have.
    pub(super) accepted: &'static str,
    /// The reason that the condition ResolvedRefs would have; `NotRead` where nobody looked.
    pub(super) resolved_refs: &'static str,
    /// The components that it would win.
    pub(super) components: Vec<Component>,
    /// What is wrong, odd, or to be known.
    pub(super) findings: Vec<Finding>,
    /// What the receivers said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) probes: Vec<Probed>,
}

/// One thing about an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Finding {
    /// How much it matters.
    pub(super) severity: Severity,
    /// The path of the field.
    pub(super) field: String,
    /// A word for programs: the reason of a condition, mostly.
    pub(super) reason: &'static str,
    /// What it is and what to do.
    pub(super) message: String,
}

/// How much a finding matters; the order is the order of weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum Severity {
    /// The controller would not put it in force as it stands.
    Problem,
    /// Nobody can tell from here.
    Unchecked,
    /// It works, and not for long or not as one may think.
    Warning,
    /// What was not looked at, or what becomes of others.
    Note,
}

/// What a receiver made of an export of nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Probed {
    /// The exporter's name.
    pub(super) exporter: String,
    /// The signal.
    pub(super) signal: Signal,
    /// `Healthy`, `NotAnswered`, or the reason that the condition ExportHealthy would have.
    pub(super) reason: &'static str,
    /// What is wrong; empty where nothing is.
    pub(super) message: String,
    /// How long the answer took, or the failure.
    pub(super) milliseconds: u64,
}

/// The reason of a probe where nothing is wrong.
pub(super) const HEALTHY: &str = "Healthy";
/// The reason of a probe where the receiver was not given as long as its exporter would.
pub(super) const NOT_ANSWERED: &str = "NotAnswered";

// === impl Verdicts ===

impl Verdicts {
    /// Sums up.
    pub(super) fn of(objects: Vec<Verdict>, broken: Vec<Broken>, skipped: Vec<Skipped>) -> Self {
        let findings = || objects.iter().flat_map(|object| &object.findings);
        let any = |severity| findings().any(|finding| finding.severity == severity);
        let outcome = if any(Severity::Problem) || !broken.is_empty() {
            Outcome::Problems
        } else if any(Severity::Unchecked) {
            Outcome::Unchecked
        } else {
            Outcome::Good
        };
        Self { outcome, objects, broken, skipped }
    }
}

// === impl Outcome ===

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Good => Self::SUCCESS,
            Outcome::Problems => Self::from(1),
            Outcome::Unchecked => Self::from(2),
        }
    }
}

// === impl Severity ===

impl Severity {
    /// Every severity, the gravest first.
    pub(super) const ALL: [Self; 4] = [Self::Problem, Self::Unchecked, Self::Warning, Self::Note];
}

// === impl Finding ===

impl Finding {
    pub(super) fn new(
        severity: Severity,
        reason: &'static str,
        field: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self { severity, reason, field: field.into(), message: message.into() }
    }
}

// === impl Probed ===

impl Probed {
    /// That it failed, if it did.
    pub(super) fn finding(&self) -> Option<Finding> {
        let severity = match self.reason {
            HEALTHY => return None,
            NOT_ANSWERED => Severity::Unchecked,
            _ => Severity::Problem,
        };
        let field = format!("spec.exporters[{}]", self.exporter);
        // A receiver may refuse without a word.
        let said = if self.message.is_empty() { self.reason } else { &self.message };
        let message = format!("{:?}: {said}", self.signal);
        Some(Finding::new(severity, self.reason, field, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_judged_by_its_reason_and_not_by_what_it_says() {
        let probed = |reason, message: &str| Probed {
            exporter: "gateway".to_owned(),
            signal: Signal::Metrics,
            reason,
            message: message.to_owned(),
            milliseconds: 1,
        };
        assert_eq!(probed(HEALTHY, "").finding(), None);
        let silent = probed("Unauthenticated", "").finding().unwrap();
        assert_eq!((silent.severity, silent.reason), (Severity::Problem, "Unauthenticated"));
        assert_eq!(silent.message, "Metrics: Unauthenticated");
        let open = probed(NOT_ANSWERED, "no answer within 10 s").finding().unwrap();
        assert_eq!((open.severity, open.reason), (Severity::Unchecked, "NotAnswered"));
        let told = probed("Unauthenticated", "who are you").finding().unwrap();
        assert_eq!(told.message, "Metrics: who are you");
    }
}
