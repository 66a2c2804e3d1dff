//! `docs/conformance.md`: Kyverno's own tests, run by `pharos test`.
//!
//! The suites lie beside the project; where they do not, nothing is run. A suite that fails and is
//! not [`explained`] is a finding, and so is an explanation of one that holds: what once held is not
//! lost in silence, and what is mended is not kept as broken.

use std::path::Path;
use std::process::Stdio;
use std::{fs, io};

use anyhow::{Context, bail};

use crate::workspace::{Findings, Workspace, cargo};

mod explained;
mod page;
mod results;

use explained::explanation;
use results::{Results, Suite};

/// Where the suites are, from the root of the workspace.
const SUITES: &str = "../shared/conformance";
const PAGE: &str = "docs/conformance.md";

/// Whether the page is written or compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Write,
    Check,
}

/// Runs the suites, finds what should hold and does not, and writes or compares the page.
pub(crate) fn run(workspace: &Workspace, mode: Mode) -> anyhow::Result<Findings> {
    if !workspace.root.join(SUITES).is_dir() {
        println!("skipped: there are no suites at {SUITES}");
        return Ok(Findings::new());
    }
    let results = results(&workspace.root)?;
    let mut findings = unexplained(&results.suites);
    let text = page::page(&results);
    let path = workspace.root.join(PAGE);
    let present = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {PAGE}")),
    };
    match mode {
        Mode::Write if present != text => {
            fs::write(&path, &text).with_context(|| format!("cannot write {PAGE}"))?;
            println!("wrote {PAGE}");
        }
        Mode::Check if present != text => {
            findings.push(format!("{PAGE} is stale: run `make conformance`"));
        }
        Mode::Write | Mode::Check => {}
    }
    print!("{}", page::figures(&results));
    Ok(findings)
}

/// What `pharos test` says. Its exit code is no error: that something fails is a result.
fn results(root: &Path) -> anyhow::Result<Results> {
    let output = cargo()
        .current_dir(root)
        .args(["run", "--quiet", "--locked", "--package", "pharos", "--"])
        .args(["test", "--output", "json", SUITES])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo")?;
    if output.stdout.is_empty() {
        bail!("pharos test said nothing and ended with {}", output.status);
    }
    let mut results: Results =
        serde_json::from_slice(&output.stdout).context("cannot read what pharos test says")?;
    for suite in &mut results.suites {
        suite.name_after_its_folder(SUITES);
    }
    Ok(results)
}

/// Failures that nobody explains, and explanations of what holds.
fn unexplained(suites: &[Suite]) -> Findings {
    let finding = |suite: &Suite| {
        let file = &suite.file;
        match (suite.holds(), explanation(suite)) {
            (true, None) | (false, Some(_)) => None,
            (true, Some(_)) => Some(format!(
                "{file} holds: take its explanation out of crates/xtask/src/conformance/explained.rs"
            )),
            (false, None) => Some(format!(
                "{file} does not hold: {}",
                suite.first_problem().unwrap_or("it has no checks")
            )),
        }
    };
    suites.iter().filter_map(finding).collect()
}

#[cfg(test)]
mod tests;
