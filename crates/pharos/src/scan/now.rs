//! `pharos scan -n NAMESPACE`: everything there judged, with a bar that says how far it is.

use std::process::ExitCode;

use pharos_api::report::{Outcome, Report, Summary};
use pharos_background_scan::{Extent, Found, Looking, scan_now};

use crate::arguments::policies::PolicyOutput;
use crate::arguments::scan::ScanNowArguments;
use crate::console::{self, Line};
use crate::table::{Table, printable};

/// How many characters the bar has.
const BAR: u64 = 30;
/// What the exit code says where something could not be read.
const UNREAD: u8 = 2;

/// Judges what there is.
pub(super) fn run(arguments: &ScanNowArguments) -> anyhow::Result<ExitCode> {
    let ScanNowArguments { namespace, exception_namespace, all, kubeconfig, output } = arguments;
    let extent = namespace.as_deref().map_or(Extent::Cluster, Extent::Namespace);
    let mut line = Line::default();
    let found = console::runtime()?.block_on(async {
        let client = console::client(kubeconfig.as_deref()).await?;
        let exceptions = exception_namespace.clone();
        anyhow::Ok(scan_now(&client, exceptions, extent, |looking| line.show(&bar(looking))).await?)
    });
    line.clear();
    let found = found?;
    let text = match output {
        PolicyOutput::Json => serde_json::to_string_pretty(&found.reports)? + "\n",
        PolicyOutput::Yaml => serde_saphyr::to_string(&found.reports)?,
        PolicyOutput::Table => table(&found, *all),
    };
    console::print(&text)?;
    Ok(code(&found))
}

fn bar(looking: &Looking) -> String {
    let Looking { resource, judged, of } = looking;
    let done = (judged * BAR).checked_div(*of).unwrap_or(BAR).min(BAR);
    let (full, empty) = ("#".repeat(done as usize), ".".repeat((BAR - done) as usize));
    format!("[{full}{empty}] {judged} of {of} {}", printable(resource))
}

/// A row for each result that is no pass, or for each; below, how many there are of each.
fn table(found: &Found, all: bool) -> String {
    let mut table = Table::new(&["RESOURCE", "POLICY", "RULE", "RESULT", "MESSAGE"]);
    let mut summary = Summary::default();
    for report in &found.reports {
        add(&mut summary, report.summary);
        let told = report.results.iter().filter(|it| all || it.result != Some(Outcome::Pass));
        for result in told {
            table.row([
                resource(report),
                result.policy.clone(),
                result.rule.clone(),
                result.result.map_or_else(String::new, |it| format!("{it:?}").to_lowercase()),
                result.message.clone(),
            ]);
        }
    }
    let mut text = if table.is_empty() { String::new() } else { table.text("") + "\n" };
    let Summary { pass, fail, warn, error, skip } = summary;
    text.push_str(&format!(
        "{} objects: {pass} pass, {fail} fail, {warn} warn, {error} error, {skip} skip\n",
        found.objects
    ));
    for unread in &found.unread {
        text.push_str(&format!("not read: {}\n", printable(unread)));
    }
    text
}

fn resource(report: &Report) -> String {
    let scope = report.scope.clone().unwrap_or_default();
    let namespace = Some(scope.namespace).filter(|it| !it.is_empty());
    let place = namespace.map_or_else(String::new, |namespace| namespace + "/");
    format!("{} {place}{}", scope.kind, scope.name)
}

fn add(total: &mut Summary, summary: Summary) {
    total.pass += summary.pass;
    total.fail += summary.fail;
    total.warn += summary.warn;
    total.error += summary.error;
    total.skip += summary.skip;
}

fn code(found: &Found) -> ExitCode {
    let violated = found.reports.iter().any(|it| it.summary.fail + it.summary.error > 0);
    match (violated, found.unread.is_empty()) {
        (_, false) => ExitCode::from(UNREAD),
        (true, true) => ExitCode::FAILURE,
        (false, true) => ExitCode::SUCCESS,
    }
}

#[cfg(test)]
mod tests {
    use pharos_api::report::{ReportResult, ResourceReference};

    use super::*;

    fn found() -> Found {
        let result = |policy: &str, outcome| ReportResult {
            policy: policy.to_owned(),
            result: Some(outcome),
            message: "no\u{1b}[2J label".to_owned(),
            ..ReportResult::default()
        };
        let results = vec![result("a", Outcome::Pass), result("b", Outcome::Fail)];
        let scope = ResourceReference {
            kind: "Pod".to_owned(),
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
            ..ResourceReference::default()
        };
        let summary = Summary::of(&results);
        let report = Report { scope: Some(scope), summary, results, ..Report::default() };
        Found { reports: vec![report], objects: 7, unread: Vec::new() }
    }

    #[test]
    fn what_does_not_pass_is_shown_and_what_passes_if_asked_for() {
        let shown = table(&found(), false);
        assert!(shown.contains("Pod shop/web   b        -      fail     no [2J label"), "{shown}");
        assert!(!shown.contains("   a   "), "{shown}");
        assert!(shown.ends_with("7 objects: 1 pass, 1 fail, 0 warn, 0 error, 0 skip\n"), "{shown}");
        assert_eq!(table(&found(), true).lines().count(), 5);
    }

    #[test]
    fn a_bar_is_as_full_as_the_objects_are_judged() {
        let bar = |judged, of| bar(&Looking { resource: "pods.v1".to_owned(), judged, of });
        assert_eq!(bar(0, 0), format!("[{}] 0 of 0 pods.v1", "#".repeat(30)));
        assert!(bar(50, 100).starts_with(&format!("[{}{}] 50", "#".repeat(15), ".".repeat(15))));
    }

    #[test]
    fn what_could_not_be_read_counts_for_more_than_a_violation() {
        let of = |code: ExitCode| format!("{code:?}");
        let mut found = found();
        assert_eq!(of(code(&found)), of(ExitCode::FAILURE));
        found.unread.push("pods.v1: forbidden".to_owned());
        assert_eq!(of(code(&found)), of(ExitCode::from(UNREAD)));
        assert_eq!(of(code(&Found::default())), of(ExitCode::SUCCESS));
    }
}
