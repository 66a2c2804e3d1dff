//! All checks, one after the other; a failure does not stop the next.

use std::time::Instant;

use anyhow::Context;

use crate::workspace::{Findings, Workspace, cargo};
use crate::{arrows, chart, crds, docs, sizes};

/// A check: what it is called in the output, and how it is done.
type Check = (&'static str, fn(&Workspace) -> anyhow::Result<Findings>);

/// The quick ones first.
const CHECKS: &[Check] = &[
    ("CRDs", |workspace| crds::folder()?.check(workspace)),
    ("reference", |workspace| docs::folder().check(workspace)),
    ("chart", chart::check),
    ("arrows", arrows::check),
    ("file sizes", sizes::check),
    ("formatting", |workspace| {
        passes(workspace, &["fmt", "--all", "--check", "--", "-l"], "run `make fmt`")
    }),
    ("lints", |workspace| {
        let clippy =
            ["clippy", "--locked", "--workspace", "--all-targets", "--", "--deny", "warnings"];
        passes(workspace, &clippy, "clippy says above what to change")
    }),
];

/// Runs every check and returns what all of them found.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<Findings> {
    let mut findings = Findings::new();
    for (name, check) in CHECKS {
        println!("check {name}");
        let start = Instant::now();
        let found = check(workspace).with_context(|| format!("cannot check {name}"))?;
        let outcome = if found.is_empty() { "ok" } else { "FAILED" };
        println!("check {name}: {outcome} ({:.1} s)", start.elapsed().as_secs_f32());
        findings.extend(found.into_iter().map(|finding| format!("{name}: {finding}")));
    }
    Ok(findings)
}

/// Runs a cargo command, which shows by itself what is wrong.
fn passes(workspace: &Workspace, arguments: &[&str], remedy: &str) -> anyhow::Result<Findings> {
    let status = cargo()
        .current_dir(&workspace.root)
        .args(arguments)
        .status()
        .context("cannot run cargo")?;
    Ok(if status.success() {
        Findings::new()
    } else {
        vec![format!("cargo {} failed: {remedy}", arguments[0])]
    })
}
