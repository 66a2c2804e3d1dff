//! What tests come to.

use std::process::ExitCode;

use serde::Serialize;

use super::compare::{Check, Outcome};
use crate::judge::{ObjectId, PolicyId, Refusal};

/// What came out of every test.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) suites: Vec<SuiteReport>,
    pub(super) summary: Summary,
}

/// What came out of one.
#[derive(Debug, Serialize)]
pub(super) struct SuiteReport {
    /// Its file.
    pub(super) file: String,
    /// Its name; empty where it has none.
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) tested: Tested,
}

/// Whether a test could be run.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Tested {
    /// It could not, and why.
    Broken(String),
    /// It could.
    #[serde(untagged)]
    Ran {
        policies: Vec<PolicyId>,
        /// Those of them that admission refuses: only the test's context makes them compile.
        #[serde(rename = "refusedByAdmission", skip_serializing_if = "Vec::is_empty")]
        refused: Vec<Refusal>,
        /// Objects that came twice, of which the first counts.
        #[serde(skip)]
        repeated: Vec<ObjectId>,
        checks: Vec<Check>,
    },
}

/// How many of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Summary {
    /// Tests that were run.
    pub(super) suites: usize,
    /// Tests that could not be run.
    pub(super) broken: usize,
    /// Checks that came out as they were to.
    pub(super) passed: usize,
    /// Checks about resources that the policy is not about.
    pub(super) excluded: usize,
    /// Checks that came out otherwise.
    pub(super) failed: usize,
    /// Checks of what this version does not evaluate.
    pub(super) unsupported: usize,
    /// Policies that were judged with a context and are refused by admission.
    #[serde(rename = "refusedByAdmission")]
    pub(super) refused: usize,
}

/// What follows from checks of what is not evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsupported {
    /// Something could not be checked.
    Refuse,
    /// It is known.
    Allow,
}

/// Everything came out as it was to.
const HOLDS: u8 = 0;
/// Something came out otherwise.
const FAILS: u8 = 1;
/// Something could not be checked.
const UNCHECKED: u8 = 2;

// === impl Report ===

impl Report {
    pub(super) fn of(suites: Vec<SuiteReport>) -> Self {
        let mut summary = Summary::default();
        for suite in &suites {
            match &suite.tested {
                Tested::Broken(_) => summary.broken += 1,
                Tested::Ran { checks, refused, .. } => {
                    summary.suites += 1;
                    summary.refused += refused.len();
                    checks.iter().for_each(|check| summary.count(check.outcome));
                }
            }
        }
        Self { suites, summary }
    }
}

// === impl Summary ===

impl Summary {
    fn count(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Pass => &mut self.passed,
            Outcome::Excluded => &mut self.excluded,
            Outcome::Fail => &mut self.failed,
            Outcome::Unsupported => &mut self.unsupported,
        } += 1;
    }

    /// What the exit code says.
    pub(super) fn code(self, unsupported: Unsupported) -> ExitCode {
        self.worst(unsupported).into()
    }

    fn worst(self, unsupported: Unsupported) -> u8 {
        let unchecked = self.broken > 0
            || self.suites == 0
            || (self.unsupported > 0 && unsupported == Unsupported::Refuse);
        match (self.failed > 0, unchecked) {
            (true, _) => FAILS,
            (false, true) => UNCHECKED,
            (false, false) => HOLDS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_counts_for_more_than_what_cannot_be_checked_and_that_for_more_than_nothing() {
        let good = Summary { suites: 1, passed: 2, excluded: 1, ..Summary::default() };
        let code = |summary: Summary| summary.worst(Unsupported::Refuse);
        assert_eq!(code(good), 0);
        assert_eq!(code(Summary { unsupported: 1, ..good }), 2);
        assert_eq!(code(Summary { broken: 1, ..good }), 2);
        assert_eq!(code(Summary { broken: 1, unsupported: 1, failed: 1, ..good }), 1);
        assert_eq!(code(Summary::default()), 2, "nothing was tested");
    }

    #[test]
    fn what_is_not_evaluated_can_be_allowed_and_what_is_broken_cannot() {
        let code = |summary: Summary| summary.worst(Unsupported::Allow);
        let unsupported = Summary { suites: 1, unsupported: 1, ..Summary::default() };
        assert_eq!(code(unsupported), 0);
        assert_eq!(code(Summary { broken: 1, ..unsupported }), 2);
    }
}
