//! The page.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::explained::explanation;
use super::results::{Outcome, Results, Suite};

/// How many of everything, of one kind of policy.
#[derive(Debug, Default)]
struct Figures {
    suites: usize,
    holding: usize,
    passed: usize,
    excluded: usize,
    failed: usize,
    unsupported: usize,
}

const HEAD: &str = "\
# Conformance

Written by `make conformance`; not edited by hand.

The suites are tests of the policy library of Kyverno: policies, resources, and what Kyverno 1.19.1 says about them. `pharos test`
runs them with the engine that admission runs on. A check is one result about one resource; *excluded* are those whose policy is
not about the resource, which Kyverno takes for a pass; *not evaluated* are those of policies that this version refuses by name. A
suite holds if every check of it passes. `make conformance` fails if a suite without a sentence below does not hold.

";

const COUNTED: &str = "
A result is a check for each object that it names, and for each rule that it is about; a name that several objects have is a check
for each of them, and a result that names none is about all objects of the test. An object that is in the files twice counts
once. Kyverno's command line counts lines of its report, another number of them each time: four runs over these suites came to
2127, 2128, 2131 and 2138. Where rules are generated for the controllers of Pods, it goes through them in no order, and adds a line
`Excluded` if those that are not about a CronJob come before the one that is. All its other lines are the same each time: for
ValidatingPolicies and ClusterPolicies the checks of the table, one by one.
";

const BY_A_CONTEXT: &str = "\
Their policies look something up, and the test brings the answers (`context`). They are judged with these. Admission gives no
policy anything to look up, and refuses these by name:
";

/// All of the page.
pub(super) fn page(results: &Results) -> String {
    let mut text = format!("{HEAD}{}{COUNTED}{}", table(results), by_a_context(&results.suites));
    let failing: Vec<_> = results.suites.iter().filter(|suite| !suite.holds()).collect();
    if failing.is_empty() {
        return text;
    }
    text.push_str("\n## Suites that do not hold\n\n");
    for suite in failing {
        let why = explanation(suite).unwrap_or("Nobody has said why.");
        let _ = writeln!(text, "- `{}`: {why}", suite.file);
    }
    text
}

/// Suites whose policies only a context makes compile, and why admission refuses them.
fn by_a_context(suites: &[Suite]) -> String {
    let mut text = String::new();
    for suite in suites {
        for refusal in &suite.refused {
            let _ = writeln!(text, "- `{}`: {}", suite.file, refusal.message);
        }
    }
    match text.is_empty() {
        true => text,
        false => format!("\n## Suites that are answered by a context\n\n{BY_A_CONTEXT}\n{text}"),
    }
}

/// The figures in one line for each kind.
pub(super) fn figures(results: &Results) -> String {
    let mut text = String::new();
    for (kind, it) in by_kind(&results.suites) {
        let _ = writeln!(text, "{kind}: {} of {} suites hold", it.holding, it.suites);
    }
    text
}

fn table(results: &Results) -> String {
    let mut text = "\
| policies | suites | hold | rate | checks | passed | excluded | failed | not evaluated |
|---|---|---|---|---|---|---|---|---|
"
    .to_owned();
    let mut all = Figures::default();
    for (kind, figures) in by_kind(&results.suites) {
        text.push_str(&figures.row(&kind));
        all.add(&figures);
    }
    text + &all.row("all")
}

fn by_kind(suites: &[Suite]) -> BTreeMap<String, Figures> {
    let mut kinds = BTreeMap::<String, Figures>::new();
    for suite in suites {
        let kind = match suite.kinds().join(", ") {
            none if none.is_empty() => "none".to_owned(),
            kinds => kinds,
        };
        kinds.entry(kind).or_default().add(&Figures::of(suite));
    }
    kinds
}

// === impl Figures ===

impl Figures {
    fn of(suite: &Suite) -> Self {
        Self {
            suites: 1,
            holding: usize::from(suite.holds()),
            passed: suite.count(Outcome::Pass),
            excluded: suite.count(Outcome::Excluded),
            failed: suite.count(Outcome::Fail),
            unsupported: suite.count(Outcome::Unsupported),
        }
    }

    fn add(&mut self, other: &Self) {
        let Self { suites, holding, passed, excluded, failed, unsupported } = other;
        self.suites += suites;
        self.holding += holding;
        self.passed += passed;
        self.excluded += excluded;
        self.failed += failed;
        self.unsupported += unsupported;
    }

    fn row(&self, name: &str) -> String {
        let Self { suites, holding, passed, excluded, failed, unsupported } = self;
        let checks = passed + excluded + failed + unsupported;
        // Down, so that 100 % means all.
        let rate = (1000 * holding).checked_div(*suites).unwrap_or_default();
        format!(
            "| {name} | {suites} | {holding} | {}.{} % | {checks} | {passed} | {excluded} | {failed} \
             | {unsupported} |\n",
            rate / 10,
            rate % 10
        )
    }
}
