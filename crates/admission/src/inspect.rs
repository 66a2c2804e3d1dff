//! What this engine makes of the policies of a cluster, asked once by whoever wants to know.
//!
//! The answer is made by the code that admission runs on, so that it says what a replica of the same
//! version says.

use kube::Client;
use pharos_policy::{CompiledPolicy, Rule};
use serde::Serialize;

use crate::policies::{self, Defect, Entry, ExceptionNamespaces, Outcome};

/// What becomes of one policy or exception.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspected {
    /// The kind.
    pub kind: &'static str,
    /// The version that it was read in.
    pub api_version: String,
    /// The namespace, if it is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
    /// The generation that was looked at.
    pub generation: Option<i64>,
    /// Whether it does what it says.
    pub ready: bool,
    /// Why, from a closed set.
    pub reason: &'static str,
    /// Why, for people.
    pub message: String,
    /// What happens when it is violated.
    pub actions: Vec<String>,
    /// Its rules, those that were generated included.
    pub rules: Vec<String>,
    /// Everything that is wrong with it.
    pub problems: Vec<Problem>,
}

/// Something wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The field.
    pub path: String,
    /// The expression, if it is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// Where in the expression: line and column, both from one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
    /// What is wrong.
    pub message: String,
    /// Which kind of problem it is, from a closed set.
    pub reason: &'static str,
}

/// Why policies cannot be inspected.
pub type InspectError = policies::ListError;

/// Everything that the API server holds of policies and exceptions, by kind, namespace and name, where
/// the exceptions of those namespaces count.
///
/// # Errors
/// If any served kind cannot be listed.
pub async fn inspect(
    client: &Client,
    exceptions: ExceptionNamespaces,
) -> Result<Vec<Inspected>, InspectError> {
    let policies = policies::list(client, exceptions).await?;
    let mut entries: Vec<_> = policies.entries().values().collect();
    let place = |entry: &Entry| (entry.kind, entry.metadata.namespace.clone());
    entries.sort_by(|one, other| {
        place(one).cmp(&place(other)).then_with(|| one.name().cmp(other.name()))
    });
    Ok(entries.into_iter().map(Inspected::of).collect())
}

// === impl Inspected ===

impl Inspected {
    fn of(entry: &Entry) -> Self {
        let compiled = match &entry.outcome {
            Outcome::InForce(compiled) => Some(compiled),
            _ => None,
        };
        let actions = compiled.iter().flat_map(|compiled| compiled.actions().iter());
        Self {
            kind: entry.kind.name(),
            api_version: entry.api_version(),
            namespace: entry.metadata.namespace.clone(),
            name: entry.name().to_owned(),
            generation: entry.metadata.generation,
            ready: entry.outcome.is_ready(),
            reason: entry.outcome.reason(),
            message: entry.outcome.message(),
            actions: actions.map(|action| format!("{action:?}")).collect(),
            rules: rules(compiled.map(AsRef::as_ref)),
            problems: Problem::of(&entry.outcome),
        }
    }
}

/// The names of rules; of those without one, what they were generated for.
fn rules(policy: Option<&CompiledPolicy>) -> Vec<String> {
    let rules = policy.into_iter().flat_map(CompiledPolicy::rules);
    let shown = |rule: &Rule| match rule.autogen() {
        Some(autogen) if rule.name().is_empty() => format!("autogen-{}", autogen.as_str()),
        _ => rule.name().to_string(),
    };
    rules.map(shown).filter(|name| !name.is_empty()).collect()
}

// === impl Problem ===

impl Problem {
    fn of(outcome: &Outcome) -> Vec<Self> {
        let Outcome::Broken(defect) = outcome else { return Vec::new() };
        match defect {
            Defect::Uncompilable(errors) => errors
                .iter()
                .map(|error| Self {
                    path: error.path().to_owned(),
                    expression: error.source_expression().map(str::to_owned),
                    position: error.position().map(|position| position.to_string()),
                    message: error.message().to_owned(),
                    reason: error.reason(),
                })
                .collect(),
            Defect::Unsupported(_) | Defect::Undecodable(_) | Defect::Elsewhere(_) => vec![Self {
                path: String::new(),
                expression: None,
                position: None,
                message: defect.to_string(),
                reason: defect.reason(),
            }],
        }
    }
}
