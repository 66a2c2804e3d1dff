//! The command line of `pharos test`.

use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

pub(crate) const TEST_AFTER: &str = "\
The format is that of Kyverno's tests, and so is the comparison: resources are found by name, and a \
policy that is not about a resource passes (reason Excluded).

Exit code: 0 everything came out as it was to; 1 something did not; 2 nothing did, but something \
could not be checked: a test that cannot be run, no test at all, or a policy that this version does \
not evaluate. With --allow-unsupported the last of these does not count.

  pharos test policies/
  pharos test policies/ --fail-only
  pharos test policies/ -t 'policy=disallow-*,resource=bad*' --detailed-results
  pharos test policies/ --output junit > report.xml";

#[derive(Args, Debug)]
pub(crate) struct TestArguments {
    /// Folders, which are walked, or test files.
    #[arg(required = true, value_name = "DIR")]
    pub(crate) paths: Vec<PathBuf>,

    /// The name of test files.
    #[arg(short, long, value_name = "NAME", default_value = "kyverno-test.yaml")]
    pub(crate) file_name: String,

    /// Only results about these, with * and ? as wildcards: policy=PATTERN, rule=PATTERN and
    /// resource=PATTERN, with commas between.
    #[arg(
        short,
        long,
        value_name = "SELECTOR",
        default_value = "policy=*,rule=*,resource=*",
        hide_default_value = true
    )]
    pub(crate) test_case_selector: TestCaseSelector,

    /// Show what the policies said where it was as it was to be, too.
    #[arg(long)]
    pub(crate) detailed_results: bool,

    /// Show only what did not come out as it was to.
    #[arg(long)]
    pub(crate) fail_only: bool,

    /// Exit with 0 if all that is not as it was to be is of a kind that is not evaluated.
    #[arg(long)]
    pub(crate) allow_unsupported: bool,

    /// How the result looks.
    #[arg(short, long, alias = "output-format", value_enum, default_value_t = TestOutput::Table)]
    pub(crate) output: TestOutput,

    /// Kyverno's; a run without a test always fails.
    #[arg(long, hide = true)]
    pub(crate) require_tests: bool,

    /// Kyverno's; nothing is in colour.
    #[arg(long, hide = true)]
    pub(crate) remove_color: bool,
}

/// Which results of a test are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TestCaseSelector {
    /// Patterns, all of which must match.
    pub(crate) policies: Vec<String>,
    pub(crate) rules: Vec<String>,
    pub(crate) resources: Vec<String>,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TestOutput {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For programs.
    Yaml,
    /// For build servers.
    Junit,
}

// === impl TestCaseSelector ===

/// As in `policy=disallow-*,resource=bad*`. Of two patterns for one thing both must match.
impl FromStr for TestCaseSelector {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (mut policies, mut rules, mut resources) = (Vec::new(), Vec::new(), Vec::new());
        for part in text.split(',').filter(|part| !part.trim().is_empty()) {
            let why = || format!("{part} must be a key, = and a pattern");
            let (key, pattern) = part.split_once('=').with_context(why)?;
            let patterns = match key.trim() {
                "policy" => &mut policies,
                "rule" => &mut rules,
                "resource" => &mut resources,
                key => bail!("there is no key {key}: it is policy, rule or resource"),
            };
            patterns.push(pattern.trim().to_owned());
        }
        Ok(Self { policies, rules, resources })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_has_patterns_for_policies_rules_and_resources() {
        let selector: TestCaseSelector = "policy=a*, resource=b".parse().unwrap();
        assert_eq!((selector.policies, selector.resources), (vec!["a*".into()], vec!["b".into()]));
        assert!(selector.rules.is_empty());
        for wrong in ["policy", "kind=Pod"] {
            assert!(wrong.parse::<TestCaseSelector>().is_err(), "{wrong}");
        }
    }
}
