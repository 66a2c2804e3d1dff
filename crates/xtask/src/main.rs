//! `cargo xtask VERB`: generates files and checks what the compiler cannot.
//!
//! Each verb is a module; [`check`] runs all checks. The Makefile is where people enter.
#![expect(clippy::print_stdout, reason = "it is a command line: what it finds is its output")]

use std::process::ExitCode;

use clap::Parser;

use crate::workspace::Workspace;

mod arrows;
mod check;
mod crds;
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
        Verb::Crds { check: false } => crds::write(&workspace)?,
        Verb::Crds { check: true } => crds::check(&workspace)?,
        Verb::Arrows => arrows::check(&workspace)?,
        Verb::Check => check::check(&workspace)?,
        Verb::Parts => parts::build()?,
    };
    findings.iter().for_each(|finding| println!("{finding}"));
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
