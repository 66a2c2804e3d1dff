//! JUnit's XML, as build servers read it: a suite for each test, a case for each check. What is not
//! evaluated is skipped; a test that cannot be run is an error.

use std::fmt::Write as _;

use super::Shown;
use crate::judge::Refusal;
use crate::test::compare::{Check, Outcome};
use crate::test::report::{Report, SuiteReport, Tested};

pub(super) fn junit(report: &Report, shown: Shown) -> String {
    let summary = &report.summary;
    let checks =
        summary.passed + summary.excluded + summary.failed + summary.unsupported + summary.broken;
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites tests=\"{checks}\" failures=\"{}\" \
         errors=\"{}\" skipped=\"{}\">\n",
        summary.failed, summary.broken, summary.unsupported,
    );
    report.suites.iter().for_each(|it| text.push_str(&suite(it, shown)));
    text + "</testsuites>\n"
}

fn suite(suite: &SuiteReport, shown: Shown) -> String {
    let SuiteReport { file, name, tested } = suite;
    let name = if name.is_empty() { file } else { name };
    let (tests, cases) = match tested {
        Tested::Broken(why) => {
            let case = format!(
                "    <testcase classname=\"{}\" name=\"run\">\n      <error message=\"{}\"/>\n    \
                 </testcase>\n",
                escaped(name),
                escaped(why)
            );
            (Counts { tests: 1, errors: 1, ..Counts::default() }, case)
        }
        Tested::Ran { refused, checks, .. } => {
            let mut counts = Counts { tests: checks.len(), ..Counts::default() };
            let count = |outcome| checks.iter().filter(|it| it.outcome == outcome).count();
            counts.failures = count(Outcome::Fail);
            counts.skipped = count(Outcome::Unsupported);
            let cases: String = checks.iter().filter(|it| shown.shows(it)).map(case).collect();
            (counts, cases + &refusals(refused))
        }
    };
    let Counts { tests, failures, errors, skipped } = tests;
    format!(
        "  <testsuite name=\"{}\" file=\"{}\" tests=\"{tests}\" failures=\"{failures}\" \
         errors=\"{errors}\" skipped=\"{skipped}\">\n{cases}  </testsuite>\n",
        escaped(name),
        escaped(file),
    )
}

/// What a build server shows beside the cases.
fn refusals(refused: &[Refusal]) -> String {
    if refused.is_empty() {
        return String::new();
    }
    let line = |Refusal { policy, message }: &Refusal| {
        escaped(&format!("{policy} needs the context; admission refuses it: {message}")) + "\n"
    };
    let lines: String = refused.iter().map(line).collect();
    format!("    <system-out>{lines}</system-out>\n")
}

#[derive(Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}

fn case(check: &Check) -> String {
    let Check { policy, rule, resource, outcome, reason, message } = check;
    let class = match rule.as_str() {
        "" => escaped(policy),
        rule => escaped(&format!("{policy}.{rule}")),
    };
    let mut text = format!("    <testcase classname=\"{class}\" name=\"{}\"", escaped(resource));
    let (reason, message) = (escaped(reason), escaped(message));
    let _ = match outcome {
        Outcome::Pass | Outcome::Excluded => writeln!(text, "/>"),
        Outcome::Fail => writeln!(
            text,
            ">\n      <failure message=\"{reason}\">{message}</failure>\n    </testcase>"
        ),
        Outcome::Unsupported => {
            writeln!(text, ">\n      <skipped message=\"{message}\"/>\n    </testcase>")
        }
    };
    text
}

/// The text where XML allows any, and none of the characters that XML allows nowhere.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => escaped.push(' '),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            character if character.is_control() => escaped.push('\u{fffd}'),
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_leaves_its_place() {
        assert_eq!(escaped("a<b>&\"c\"\n]]>"), "a&lt;b&gt;&amp;&quot;c&quot; ]]&gt;");
        assert_eq!(escaped("\u{0}\u{1b}[2J\u{ffff}"), "\u{fffd}\u{fffd}[2J\u{fffd}");
    }
}
