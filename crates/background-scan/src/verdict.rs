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
pub(crate) struct About {
    pub(crate) category: String,
    pub(crate) severity: Option<Severity>,
    pub(crate) scoring: Scoring,
}

/// Whether violations of a policy count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Scoring {
    #[default]
    Counts,
    /// They are warnings.
    Advises,
}

/// How results of policies are to be read; a policy that is not there says nothing about it.
pub(crate) type Abouts = HashMap<PolicyKey, About>;

const CATEGORY: &str = "policies.kyverno.io/category";
const SEVERITY: &str = "policies.kyverno.io/severity";
const SCORED: &str = "policies.kyverno.io/scored";
/// How long a message may be: several policies have several rules, and a report is one object.
const MAX_MESSAGE: usize = 4 << 10;
/// The rule that Kyverno names where an exception decides about a policy that is a rule by itself.
const EXCEPTION: &str = "exception";

// === impl About ===

impl About {
    pub(crate) fn of(annotations: Option<&BTreeMap<String, String>>) -> Self {
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

/// What is reported of an evaluation, in the order of reports.
pub(crate) fn results(
    evaluation: &Evaluation<'_>,
    abouts: &Abouts,
    now: Timestamp,
) -> Vec<ReportResult> {
    let unknown = About::default();
    let mut results = Vec::new();
    for outcome in &evaluation.outcomes {
        let key = outcome.policy.key();
        let about = abouts.get(key).unwrap_or(&unknown);
        let told = outcome.rules.iter().filter(|rule| is_told(key.kind, rule));
        results.extend(told.map(|rule| result(key, about, rule, now)));
    }
    results.sort_by(|one, other| order(one).cmp(&order(other)));
    results
}

/// The order in which Kyverno writes results.
fn order(result: &ReportResult) -> (&str, &str, &str) {
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
    ReportResult {
        source: source(key.kind).to_owned(),
        policy: match &key.namespace {
            Some(namespace) => format!("{namespace}/{}", key.name),
            None => key.name.to_string(),
        },
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
        message: clipped(message(key, rule, outcome)),
        properties: properties(key, rule),
        ..ReportResult::default()
    }
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

fn properties(key: &PolicyKey, rule: &RuleOutcome<'_>) -> BTreeMap<String, String> {
    let annotations = rule.audit_annotations.iter();
    let mut properties: BTreeMap<_, _> =
        annotations.map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    let validation = match &rule.result {
        RuleResult::Fail { validation, .. } => Some(*validation),
        RuleResult::Error { validation, .. } => *validation,
        RuleResult::Pass | RuleResult::Skip { .. } => None,
    };
    if let Some(validation) = validation.filter(|_| !is_of_rules(key.kind)) {
        properties.entry("validationIndex".to_owned()).or_insert_with(|| validation.to_string());
    }
    properties.insert("process".to_owned(), "background scan".to_owned());
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
    if is_of_rules(kind) { "kyverno" } else { "KyvernoValidatingPolicy" }
}

/// Whether a policy of this kind has any number of named rules.
fn is_of_rules(kind: PolicyKind) -> bool {
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
