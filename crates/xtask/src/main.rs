//! `cargo xtask VERB`: generates files and checks what the compiler cannot.
//!
//! Each verb is a module; [`check`] runs all checks. The Makefile is where people enter.
#![expect(clippy::print_stdout, reason = "it is a command line: what it finds is its output")]

use std::process::ExitCode;

use clap::Parser;

use crate::workspace::Workspace;

mod arrows;
mod bench;
mod chart;
mod check;
mod conformance;
mod crds;
mod docs;
mod generated;
mod parts;
mod sizes;
mod workspace;

/// Generates files and checks what the compiler cannot.
#[derive(Parser)]
enum Verb {
    /// Write crds/ from the types.
    Crds {
        /// Write nothing; fail if a file is not what the types say.
        #[arg(long)]
        check: bool,
    },
    /// Write docs/reference/ from the declarations of metrics and spans.
    Docs {
        /// Write nothing; fail if a file is not what the declarations say.
        #[arg(long)]
        check: bool,
    },
    /// Write what of charts/pharos is generated from the types.
    Chart {
        /// Write nothing; fail if a file is not what the types say.
        #[arg(long)]
        check: bool,
    },
    /// Run the benches and write their sections of docs/benchmarks.md.
    Bench {
        /// Only the benches of this name.
        only: Option<String>,
    },
    /// Run Kyverno's own tests, where they lie beside the project, and write docs/conformance.md.
    Conformance {
        /// Write nothing; fail if the page is not what came out.
        #[arg(long)]
        check: bool,
    },
    /// Check that crates depend on each other only as drawn.
    Arrows,
    /// Check generated files, arrows, file sizes, formatting and lints.
    Check,
    /// Build the real parts that tests and demo use, where they are missing.
    Parts,
}

fn main() -> anyhow::Result<ExitCode> {
    let workspace = Workspace::load()?;
    let findings = match Verb::parse() {
        Verb::Crds { check: false } => crds::folder()?.write(&workspace)?,
        Verb::Crds { check: true } => crds::folder()?.check(&workspace)?,
        Verb::Docs { check: false } => docs::folder().write(&workspace)?,
        Verb::Docs { check: true } => docs::folder().check(&workspace)?,
        Verb::Chart { check: false } => chart::folder()?.write(&workspace)?,
        Verb::Chart { check: true } => chart::check(&workspace)?,
        Verb::Bench { only } => bench::run(&workspace, only.as_deref())?,
        Verb::Conformance { check: false } => {
            conformance::run(&workspace, conformance::Mode::Write)?
        }
        Verb::Conformance { check: true } => {
            conformance::run(&workspace, conformance::Mode::Check)?
        }
        Verb::Arrows => arrows::check(&workspace)?,
        Verb::Check => check::check(&workspace)?,
        Verb::Parts => parts::build()?,
    };
    findings.iter().for_each(|finding| println!("{finding}"));
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
