//! Reports as people and programs read them.

use std::fmt::Write as _;

use super::compare::{Check, Outcome};
use super::report::{Report, SuiteReport, Summary, Tested};
use crate::arguments::test::TestOutput;
use crate::judge::Refusal;
use crate::table::{Table, printable};

mod junit;

/// Which checks are shown; all are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    All,
    /// All, each with what the policy said.
    Detailed,
    /// Those that did not come out as they were to, or not at all.
    Failures,
}

/// The report as it was asked for.
pub(super) fn rendered(
    report: &Report,
    output: TestOutput,
    shown: Shown,
) -> anyhow::Result<String> {
    Ok(match output {
        TestOutput::Table => tables(report, shown),
        TestOutput::Json => serde_json::to_string_pretty(report)? + "\n",
        TestOutput::Yaml => serde_saphyr::to_string(report)?,
        TestOutput::Junit => junit::junit(report, shown),
    })
}

fn tables(report: &Report, shown: Shown) -> String {
    let mut text = String::new();
    for suite in &report.suites {
        text.push_str(&of_suite(suite, shown));
    }
    text + &sum(&report.summary)
}

fn of_suite(suite: &SuiteReport, shown: Shown) -> String {
    let SuiteReport { file, name, tested } = suite;
    let head = match name.as_str() {
        "" => printable(file),
        name => printable(&format!("{name} ({file})")),
    };
    match tested {
        Tested::Broken(why) => format!("{head}\n\n  cannot be run: {}\n\n", printable(why)),
        Tested::Ran { refused, repeated, checks, .. } => {
            let checks: Vec<_> = checks.iter().filter(|check| shown.shows(check)).collect();
            if checks.is_empty() && shown == Shown::Failures {
                return String::new();
            }
            let mut text = format!("{head}\n\n");
            for Refusal { policy, message } in refused {
                let refused =
                    format!("{policy} needs the context; admission refuses it: {message}");
                let _ = writeln!(text, "  {}", printable(&refused));
            }
            for object in repeated {
                let object = printable(&object.to_string());
                let _ = writeln!(text, "  {object} is there twice: the first counts");
            }
            text.push_str(&table(&checks).text("  "));
            text.push_str(&messages(&checks, shown));
            text.push('\n');
            text
        }
    }
}

fn table(checks: &[&Check]) -> Table {
    let mut table = Table::new(&["ID", "POLICY", "RULE", "RESOURCE", "RESULT", "REASON"]);
    for (index, check) in checks.iter().enumerate() {
        table.row([
            (index + 1).to_string(),
            check.policy.clone(),
            check.rule.clone(),
            check.resource.clone(),
            check.outcome.as_str().to_owned(),
            check.reason.clone(),
        ]);
    }
    table
}

/// What the policies said, where it was not what they were to say or all is asked for.
fn messages(checks: &[&Check], shown: Shown) -> String {
    let mut text = String::new();
    let is_shown = |check: &Check| shown == Shown::Detailed || Shown::Failures.shows(check);
    let with_message = checks.iter().enumerate().filter(|(_, it)| is_shown(it));
    let mut said = Vec::new();
    for (index, check) in with_message.filter(|(_, it)| !it.message.is_empty()) {
        // One reason may hold for every check of a policy.
        if check.outcome == Outcome::Unsupported && said.contains(&&check.message) {
            continue;
        }
        said.push(&check.message);
        let _ = writeln!(text, "  {}: {}", index + 1, printable(&check.message));
    }
    text
}

fn sum(summary: &Summary) -> String {
    let Summary { suites, broken, passed, excluded, failed, unsupported, refused } = summary;
    let mut text = format!(
        "{suites} tests: {} checks passed ({excluded} of them because the policy is not about the \
         resource), {failed} failed",
        passed + excluded
    );
    if *unsupported > 0 {
        let _ = write!(
            text,
            ", {unsupported} not checked: this version does not evaluate what they are about"
        );
    }
    if *refused > 0 {
        let _ = write!(text, "; {refused} policies need a context and are refused by admission");
    }
    if *broken > 0 {
        let _ = write!(text, "; {broken} tests cannot be run");
    }
    text + "\n"
}

// === impl Shown ===

impl Shown {
    fn shows(self, check: &Check) -> bool {
        match (self, check.outcome) {
            (Self::All | Self::Detailed, _)
            | (Self::Failures, Outcome::Fail | Outcome::Unsupported) => true,
            (Self::Failures, Outcome::Pass | Outcome::Excluded) => false,
        }
    }
}

#[cfg(test)]
mod tests;
