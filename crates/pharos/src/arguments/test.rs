//! The command line of `pharos test`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

pub(crate) const TEST_AFTER: &str = "\
The format is that of Kyverno's tests, and so is the comparison: resources are found by name, and a \
policy that is not about a resource passes (reason Excluded).

Exit code: 0 everything came out as it was to; 1 something did not; 2 nothing did, but something \
could not be checked: a test that cannot be run, no test at all, or a policy that this version does \
not evaluate. With --allow-unsupported the last of these does not count.

  pharos test policies/
  pharos test policies/ --fail-only
  pharos test policies/ --output junit > report.xml";

#[derive(Args, Debug)]
pub(crate) struct TestArguments {
    /// Folders, which are walked, or test files.
    #[arg(required = true, value_name = "DIR")]
    pub(crate) paths: Vec<PathBuf>,

    /// The name of test files.
    #[arg(short, long, value_name = "NAME", default_value = "kyverno-test.yaml")]
    pub(crate) file_name: String,

    /// Show only what did not come out as it was to.
    #[arg(long)]
    pub(crate) fail_only: bool,

    /// Exit with 0 if all that is not as it was to be is of a kind that is not evaluated.
    #[arg(long)]
    pub(crate) allow_unsupported: bool,

    /// How the result looks.
    #[arg(short, long, value_enum, default_value_t = TestOutput::Table)]
    pub(crate) output: TestOutput,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TestOutput {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For build servers.
    Junit,
}
