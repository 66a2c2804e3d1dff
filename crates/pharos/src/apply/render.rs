//! Outcomes as people and programs read them.

use std::fmt::Write as _;

use pharos_api::policy::ValidationAction;

use super::outcome::{Outcome, Problem, Said, Summary, Unevaluated};
use crate::arguments::apply::ApplyOutput;
use crate::judge::Refusal;
use crate::table::{Table, printable};

/// The outcome as it was asked for.
pub(super) fn rendered(outcome: &Outcome, output: ApplyOutput) -> anyhow::Result<String> {
    Ok(match output {
        ApplyOutput::Table => text(outcome),
        ApplyOutput::Json => serde_json::to_string_pretty(outcome)? + "\n",
        ApplyOutput::Yaml => serde_saphyr::to_string(outcome)?,
    })
}

fn text(outcome: &Outcome) -> String {
    let mut text = String::new();
    for Problem { policy, reason, message } in &outcome.problems {
        let reason = match reason {
            Unevaluated::Unsupported => "not evaluated",
            Unevaluated::Invalid => "invalid",
        };
        let _ = writeln!(text, "{}", printable(&format!("{policy}: {reason}: {message}")));
    }
    for Refusal { policy, message } in &outcome.refused {
        let refused = format!("{policy} needs the context; admission refuses it: {message}");
        let _ = writeln!(text, "{}", printable(&refused));
    }
    let mut table = Table::new(&["POLICY", "RULE", "RESOURCE", "RESULT", "ACTIONS", "MESSAGE"]);
    for Said { policy, rule, resource, result, actions, message } in &outcome.results {
        let actions: Vec<_> = actions.iter().copied().map(word).collect();
        table.row([
            policy.to_string(),
            rule.clone(),
            resource.to_string(),
            result.as_str().to_owned(),
            actions.join(","),
            message.clone(),
        ]);
    }
    if !table.is_empty() {
        let separator = if text.is_empty() { "" } else { "\n" };
        let _ = write!(text, "{separator}{}", table.text(""));
    }
    let separator = if text.is_empty() { "" } else { "\n" };
    let Summary { pass, fail, warn, error, skip } = outcome.summary;
    let _ = writeln!(
        text,
        "{separator}pass: {pass}, fail: {fail}, warn: {warn}, error: {error}, skip: {skip}"
    );
    text
}

fn word(action: ValidationAction) -> &'static str {
    match action {
        ValidationAction::Deny => "Deny",
        ValidationAction::Audit => "Audit",
        ValidationAction::Warn => "Warn",
    }
}
