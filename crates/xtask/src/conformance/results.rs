//! What `pharos test --output json` says.

use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub(super) struct Results {
    pub(super) suites: Vec<Suite>,
}

/// What came out of one suite.
#[derive(Debug, Deserialize)]
pub(super) struct Suite {
    /// Its file; once it is named after it, its folder among the suites.
    pub(super) file: String,
    /// Why it could not be run.
    broken: Option<String>,
    #[serde(default)]
    policies: Vec<Policy>,
    /// Policies that only the suite's context makes compile.
    #[serde(default, rename = "refusedByAdmission")]
    pub(super) refused: Vec<Refusal>,
    #[serde(default)]
    checks: Vec<Check>,
}

#[derive(Debug, Deserialize)]
struct Policy {
    kind: String,
}

/// A policy that is judged with a context and refused by admission.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    pub(super) message: String,
}

#[derive(Debug, Deserialize)]
struct Check {
    outcome: Outcome,
    reason: String,
    #[serde(default)]
    message: String,
}

/// What a check comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Pass,
    Excluded,
    Fail,
    Unsupported,
}

// === impl Suite ===

impl Suite {
    /// Its name in the page: the folder that has the policy, from that of all suites.
    pub(super) fn name_after_its_folder(&mut self, root: &str) {
        let name = self.file.strip_prefix(root).unwrap_or(&self.file);
        let (folder, _) = name.rsplit_once('/').unwrap_or((name, ""));
        let folder = folder.strip_suffix("/.kyverno-test").unwrap_or(folder);
        self.file = folder.trim_start_matches('/').to_owned();
    }

    /// The kinds of its policies, each once.
    pub(super) fn kinds(&self) -> Vec<&str> {
        let mut kinds: Vec<_> = self.policies.iter().map(|policy| policy.kind.as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// Whether it was run, checks something, and all of that came out as it was to.
    pub(super) fn holds(&self) -> bool {
        let good = |check: &Check| matches!(check.outcome, Outcome::Pass | Outcome::Excluded);
        self.broken.is_none() && !self.checks.is_empty() && self.checks.iter().all(good)
    }

    /// How many checks came to that.
    pub(super) fn count(&self, outcome: Outcome) -> usize {
        self.checks.iter().filter(|check| check.outcome == outcome).count()
    }

    /// What is wrong, in the words of the first problem.
    pub(super) fn first_problem(&self) -> Option<&str> {
        let bad = |check: &&Check| !matches!(check.outcome, Outcome::Pass | Outcome::Excluded);
        let check = self.checks.iter().find(bad);
        let said = check.map(|it| if it.message.is_empty() { &it.reason } else { &it.message });
        self.broken.as_ref().or(said).map(String::as_str)
    }
}
