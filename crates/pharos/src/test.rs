//! `pharos test`: Kyverno's policy tests, judged by the engine that admission runs on.
//!
//! ```text
//! folders -> find -> suite -> run: policies, objects, circumstances -> judge -> compare -> report -> render
//! ```
//!
//! A test that cannot be run, and a policy that this version does not evaluate, are counted and
//! named; neither passes for a test that holds.

use std::process::ExitCode;

use crate::arguments::test::TestArguments;
use crate::console;

mod compare;
mod find;
mod render;
mod report;
mod run;
mod select;
mod suite;

use render::Shown;
use report::{Report, Unsupported};

/// Runs tests, prints what came out, and says by the exit code what it comes to.
pub(crate) fn run(arguments: &TestArguments) -> ExitCode {
    console::ended(tested(arguments))
}

fn tested(arguments: &TestArguments) -> anyhow::Result<ExitCode> {
    let files = find::find(&arguments.paths, &arguments.file_name)?;
    if files.is_empty() {
        anyhow::bail!("there is no {} in the folders", arguments.file_name);
    }
    let selector = &arguments.test_case_selector;
    let report = Report::of(files.iter().flat_map(|file| run::run(file, selector)).collect());
    let shown = match (arguments.fail_only, arguments.detailed_results) {
        (true, _) => Shown::Failures,
        (false, true) => Shown::Detailed,
        (false, false) => Shown::All,
    };
    console::print(&render::rendered(&report, arguments.output, shown)?)?;
    let unsupported = match arguments.allow_unsupported {
        true => Unsupported::Allow,
        false => Unsupported::Refuse,
    };
    Ok(report.summary.code(unsupported))
}
