//! What policies say about one object, in the words of reports. Pure.
//!
//! The words are Kyverno's, because tools look for them: sources, the rule `exception`, the properties
//! `process`, `exceptions` and `validationIndex`. Of a policy's annotations, three say how its results
//! are to be read; they are [`About`].

use std::collections::{BTreeMap, HashMap};

use pharos_api::report::{Outcome, ReportResult, Severity, Timestamp};
use pharos_policy::{
    CompiledException, Evaluation, PolicyKey, PolicyKind, RuleOutcome, RuleResult, Skipped,
};

/// How results of a policy are to be read, by its annotations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// What the policy is about; empty where it does not say.
    pub category: String,
    /// How bad a violation is.
    pub severity: Option<Severity>,
    /// Whether violations count.
    pub scoring: Scoring,
}

/// Whether violations of a policy count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scoring {
    /// They do.
    #[default]
    Counts,
    /// They are warnings.
    Advises,
}

/// What made a result; Kyverno's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// A scan, of the object as it is.
    BackgroundScan,
    /// A request that was admitted.
    AdmissionReview,
}

/// How results of policies are to be read; a policy that is not there says nothing about it.
pub type Abouts = HashMap<PolicyKey, About>;

const CATEGORY: &str = "policies.kyverno.io/category";
const SEVERITY: &str = "policies.kyverno.io/severity";
const SCORED: &str = "policies.kyverno.io/scored";
/// How long a message may be: several policies have several rules, and a report is one object.
const MAX_MESSAGE: usize = 4 << 10;
/// The rule that Kyverno names where an exception decides about a policy that is a rule by itself.
const EXCEPTION: &str = "exception";
/// The source of results of policies that have named rules.
pub(crate) const OF_RULES: &str = "kyverno";

// === impl About ===

impl About {
    /// What these annotations say.
    pub fn of(annotations: Option<&BTreeMap<String, String>>) -> Self {
        let text = |key: &str| annotations.and_then(|it| it.get(key)).map(String::as_str);
        Self {
            category: text(CATEGORY).unwrap_or_default().to_owned(),
            severity: text(SEVERITY).and_then(Severity::parse),
            scoring: match text(SCORED) {
                Some("false") => Scoring::Advises,
                _ => Scoring::Counts,
            },
        }
    }
}

// === impl Process ===

impl Process {
    /// The property of a result that says it.
    pub const PROPERTY: &str = "process";

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BackgroundScan => "background scan",
            Self::AdmissionReview => "admission review",
        }
    }

    /// Whether this made a result.
    pub fn made(self, result: &ReportResult) -> bool {
        result.properties.get(Self::PROPERTY).is_some_and(|it| it == self.as_str())
    }
}

/// What a scan reports of an evaluation, in the order of reports.
pub fn results(evaluation: &Evaluation<'_>, abouts: &Abouts, now: Timestamp) -> Vec<ReportResult> {
    let unknown = About::default();
    let mut results = Vec::new();
    for outcome in &evaluation.outcomes {
        let key = outcome.policy.key();
        let about = abouts.get(key).unwrap_or(&unknown);
        let of = |rule| result_of(key, about, rule, Process::BackgroundScan, now);
        results.extend(outcome.rules.iter().filter_map(of));
    }
    results.sort_by(|one, other| order(one).cmp(&order(other)));
    results
}

/// What is reported of one rule, if anything is.
pub fn result_of(
    key: &PolicyKey,
    about: &About,
    rule: &RuleOutcome<'_>,
    process: Process,
    now: Timestamp,
) -> Option<ReportResult> {
    is_told(key.kind, rule).then(|| result(key, about, rule, process, now))
}

/// The source of a policy's results and its name in them, which together are no other policy's.
pub fn named(key: &PolicyKey) -> (&'static str, String) {
    let name = match &key.namespace {
        Some(namespace) => format!("{namespace}/{}", key.name),
        None => key.name.to_string(),
    };
    (source(key.kind), name)
}

/// The order in which Kyverno writes results.
pub(crate) fn order(result: &ReportResult) -> (&str, &str, &str) {
    (&result.policy, &result.rule, &result.source)
}

/// That a policy of `policies.kyverno.io` is not about an object after all is nothing to report.
fn is_told(kind: PolicyKind, rule: &RuleOutcome<'_>) -> bool {
    let unmatched = RuleResult::Skip { because: Skipped::MatchCondition };
    is_of_rules(kind) || rule.result != unmatched
}

fn result(
    key: &PolicyKey,
    about: &About,
    rule: &RuleOutcome<'_>,
    process: Process,
    timestamp: Timestamp,
) -> ReportResult {
    let outcome = match (&rule.result, about.scoring) {
        (RuleResult::Pass, _) => Outcome::Pass,
        (RuleResult::Fail { .. }, Scoring::Counts) => Outcome::Fail,
        (RuleResult::Fail { .. }, Scoring::Advises) => Outcome::Warn,
        (RuleResult::Error { .. }, _) => Outcome::Error,
        (RuleResult::Skip { .. }, _) => Outcome::Skip,
    };
    let is_exempt = matches!(rule.result, RuleResult::Pass | RuleResult::Skip { .. })
        && !rule.exceptions.is_empty();
    let (source, policy) = named(key);
    let properties = properties(key, rule, process);
    let said = substitute(&rule.result, &properties).cloned();
    ReportResult {
        source: source.to_owned(),
        policy,
        rule: if is_of_rules(key.kind) {
            rule.rule.name().to_string()
        } else if is_exempt {
            EXCEPTION.to_owned()
        } else {
            String::new()
        },
        category: about.category.clone(),
        severity: about.severity,
        timestamp,
        result: Some(outcome),
        scored: about.scoring == Scoring::Counts,
        message: clipped(said.unwrap_or_else(|| message(key, rule, outcome))),
        properties,
        ..ReportResult::default()
    }
}

/// The message that the properties have for such a result, as Kyverno reads them: one for every result
/// counts before one for this one.
fn substitute<'p>(
    result: &RuleResult,
    properties: &'p BTreeMap<String, String>,
) -> Option<&'p String> {
    let of_result = match result {
        RuleResult::Pass => "passMessage",
        RuleResult::Fail { .. } => "failMessage",
        RuleResult::Error { .. } => "errorMessage",
        RuleResult::Skip { .. } => "skipMessage",
    };
    let said = |key: &str| properties.get(key).filter(|message| !message.is_empty());
    said("message").or_else(|| said(of_result))
}

fn message(key: &PolicyKey, rule: &RuleOutcome<'_>, outcome: Outcome) -> String {
    if !rule.exceptions.is_empty() && matches!(outcome, Outcome::Pass | Outcome::Skip) {
        let verb = if outcome == Outcome::Pass { "passed" } else { "skipped" };
        let names: Vec<_> = rule.exceptions.iter().map(|it| in_namespace(it)).collect();
        return format!("rule is {verb} due to policy exception: {}", names.join(", "));
    }
    match &rule.result {
        RuleResult::Pass if is_of_rules(key.kind) => {
            format!("Validation rule '{}' passed.", rule.rule.name())
        }
        RuleResult::Pass => "success".to_owned(),
        RuleResult::Fail { message, .. } | RuleResult::Error { message, .. } => message.clone(),
        RuleResult::Skip { because: Skipped::MatchCondition } => {
            "cel preconditions not met".to_owned()
        }
        RuleResult::Skip { because: Skipped::Unjudged } => {
            "a match condition cannot be evaluated".to_owned()
        }
        RuleResult::Skip { because: Skipped::Exception } => "an exception says so".to_owned(),
    }
}

fn properties(
    key: &PolicyKey,
    rule: &RuleOutcome<'_>,
    process: Process,
) -> BTreeMap<String, String> {
    let of_policy = rule.rule.report_properties().iter();
    let annotations = rule.audit_annotations.iter();
    let mut properties: BTreeMap<_, _> = of_policy
        .map(|(key, value)| (key.clone(), clipped(value.clone())))
        .chain(annotations.map(|(key, value)| ((*key).to_owned(), value.clone())))
        .collect();
    let validation = match &rule.result {
        RuleResult::Fail { validation, .. } => Some(*validation),
        RuleResult::Error { validation, .. } => *validation,
        RuleResult::Pass | RuleResult::Skip { .. } => None,
    };
    if let Some(validation) = validation.filter(|_| !is_of_rules(key.kind)) {
        properties.entry("validationIndex".to_owned()).or_insert_with(|| validation.to_string());
    }
    properties.insert(Process::PROPERTY.to_owned(), process.as_str().to_owned());
    if !rule.exceptions.is_empty() {
        let names: Vec<_> = rule.exceptions.iter().map(|it| &**it.name()).collect();
        properties.insert("exceptions".to_owned(), names.join(","));
    }
    properties
}

fn in_namespace(exception: &CompiledException) -> String {
    format!("{}/{}", exception.namespace(), exception.name())
}

fn source(kind: PolicyKind) -> &'static str {
    if is_of_rules(kind) { OF_RULES } else { "KyvernoValidatingPolicy" }
}

/// Whether a policy of this kind has any number of named rules. One of another kind is a rule by itself.
pub fn is_of_rules(kind: PolicyKind) -> bool {
    match kind {
        PolicyKind::ClusterPolicy | PolicyKind::Policy => true,
        PolicyKind::ValidatingPolicy | PolicyKind::NamespacedValidatingPolicy => false,
    }
}

fn clipped(mut message: String) -> String {
    message.truncate(message.floor_char_boundary(MAX_MESSAGE));
    message
}

#[cfg(test)]
mod tests;
