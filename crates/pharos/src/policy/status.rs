//! `pharos policy status`: one screen about every policy, as this version would evaluate it.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use pharos_admission::Inspected;

use crate::arguments::policies::{PolicyOutput, PolicyStatusArguments};
use crate::console;
use crate::table::{Table, printable};

/// How long the API server may take for everything.
const DEADLINE: Duration = Duration::from_secs(60);
/// How many characters of an expression or a message are shown.
const LONGEST_LINE: usize = 200;

/// Shows what there is.
pub(super) fn run(arguments: &PolicyStatusArguments) -> anyhow::Result<ExitCode> {
    let PolicyStatusArguments { name, kubeconfig, exception_namespace, output } = arguments;
    let mut policies = console::runtime()?.block_on(async {
        let client = console::client(kubeconfig.as_deref()).await?;
        let asking = pharos_admission::inspect(&client, exception_namespace.clone());
        let answered = tokio::time::timeout(DEADLINE, asking).await;
        anyhow::Ok(answered.context("the API server did not answer in time")??)
    })?;
    if let Some(name) = name {
        policies.retain(|policy| is_named(policy, name));
        if policies.is_empty() {
            bail!("there is no policy {name:?}; without a name all are shown");
        }
    }
    let text = match output {
        PolicyOutput::Json => serde_json::to_string_pretty(&policies)? + "\n",
        PolicyOutput::Yaml => serde_saphyr::to_string(&policies)?,
        PolicyOutput::Table => table(&policies),
    };
    console::print(&text)?;
    let ready = policies.iter().all(|policy| policy.ready);
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn is_named(policy: &Inspected, name: &str) -> bool {
    policy.name == name || full_name(policy) == name
}

fn full_name(policy: &Inspected) -> String {
    match &policy.namespace {
        Some(namespace) => format!("{namespace}/{}", policy.name),
        None => policy.name.clone(),
    }
}

/// One row for each policy; below, what is wrong with those that are not ready.
fn table(policies: &[Inspected]) -> String {
    if policies.is_empty() {
        return "There are no policies.\n".to_owned();
    }
    let mut table = Table::new(&["POLICY", "KIND", "READY", "ACTIONS", "RULES", "REASON"]);
    for policy in policies {
        table.row([
            full_name(policy),
            policy.kind.to_owned(),
            if policy.ready { "True" } else { "False" }.to_owned(),
            policy.actions.join(","),
            policy.rules.join(","),
            policy.reason.to_owned(),
        ]);
    }
    let mut text = table.text("");
    for policy in policies.iter().filter(|policy| !policy.ready) {
        text.push_str(&format!("\n{} {}:\n", policy.kind, printable(&full_name(policy))));
        for problem in &policy.problems {
            let position = problem.position.as_ref().map(|position| format!(" at {position}"));
            let place = format!("{}{}", problem.path, position.unwrap_or_default());
            let place = if place.is_empty() { place } else { place + ": " };
            text.push_str(&format!("  {place}{}\n", cut(&problem.message)));
            if let Some(expression) = &problem.expression {
                text.push_str(&format!("    in: {}\n", cut(expression.trim())));
            }
        }
    }
    text
}

/// One line, of a bounded length.
fn cut(text: &str) -> String {
    let line = printable(text);
    if line.chars().nth(LONGEST_LINE).is_none() {
        return line;
    }
    let kept: String = line.chars().take(LONGEST_LINE - 3).collect();
    kept + "..."
}

#[cfg(test)]
mod tests {
    use super::*;
    use pharos_admission::Problem;

    fn policy(name: &str, problems: Vec<Problem>) -> Inspected {
        Inspected {
            kind: "NamespacedValidatingPolicy",
            api_version: "policies.kyverno.io/v1".to_owned(),
            namespace: Some("shop".to_owned()),
            name: name.to_owned(),
            generation: Some(1),
            ready: problems.is_empty(),
            reason: if problems.is_empty() { "Succeeded" } else { "CompileError" },
            message: String::new(),
            actions: vec!["Deny".to_owned()],
            rules: vec!["autogen-defaults".to_owned()],
            problems,
        }
    }

    #[test]
    fn what_is_wrong_is_shown_with_its_place_and_commands_no_terminal() {
        let problem = Problem {
            path: "spec.validations[0].expression".to_owned(),
            expression: Some(format!("object.\u{1b}[2J\n{}", "x".repeat(1_000))),
            position: Some("1:8".to_owned()),
            message: "unexpected end".to_owned(),
            reason: "CompileError",
        };
        let shown = table(&[policy("good", vec![]), policy("bad", vec![problem])]);
        assert!(shown.contains("shop/good   NamespacedValidatingPolicy   True    Deny"), "{shown}");
        assert!(
            shown.contains("  spec.validations[0].expression at 1:8: unexpected end\n"),
            "{shown}"
        );
        assert!(shown.contains("    in: object. [2J xxx"), "{shown}");
        assert!(!shown.contains('\u{1b}') && shown.lines().all(|line| line.len() < 300), "{shown}");
    }

    #[test]
    fn a_policy_is_found_by_its_name_with_or_without_its_namespace() {
        let policy = policy("p", vec![]);
        assert!(is_named(&policy, "p") && is_named(&policy, "shop/p"));
        assert!(!is_named(&policy, "other/p") && !is_named(&policy, "shop"));
    }
}
