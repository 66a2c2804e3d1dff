//! Verdicts as text: a line for each finding, then what each object comes to.

use std::fmt::Write as _;

use super::verdict::{Finding, Severity, Verdict, Verdicts};
use crate::arguments::telemetry::OutputFormat;
use crate::table::{Table, printable};

/// The verdicts as they were asked for.
pub(super) fn rendered(verdicts: &Verdicts, format: OutputFormat) -> anyhow::Result<String> {
    Ok(match format {
        OutputFormat::Text => text(verdicts),
        OutputFormat::Json => serde_json::to_string_pretty(verdicts)? + "\n",
    })
}

fn text(verdicts: &Verdicts) -> String {
    let mut text = String::new();
    for broken in &verdicts.broken {
        let line = broken.line.map(|line| format!(":{line}")).unwrap_or_default();
        let said = printable(&format!("{}{line}: {}", broken.file, broken.message));
        let _ = writeln!(text, "{said}");
    }
    // What matters most stands first, whichever object it is about.
    let all = || verdicts.objects.iter().flat_map(|it| it.findings.iter().map(move |f| (it, f)));
    for severity in Severity::ALL {
        for (object, finding) in all().filter(|(_, finding)| finding.severity == severity) {
            text.push_str(&line(object, finding));
        }
    }
    for skipped in &verdicts.skipped {
        let said = printable(&format!("note: {}: skipped {}", skipped.file, skipped.kind));
        let _ = writeln!(text, "{said}");
    }
    let tables = [objects(verdicts), probes(verdicts)];
    for table in tables.iter().filter(|table| !table.is_empty()) {
        let separator = if text.is_empty() { "" } else { "\n" };
        let _ = write!(text, "{separator}{}", table.text(""));
    }
    let _ = writeln!(text, "\n{}", sum(verdicts));
    text
}

fn line(object: &Verdict, finding: &Finding) -> String {
    let word = match finding.severity {
        Severity::Problem => "",
        Severity::Unchecked => "not checked: ",
        Severity::Warning => "warning: ",
        Severity::Note => "note: ",
    };
    let Finding { field, message, .. } = finding;
    let name = if object.name.is_empty() { "(no name)" } else { &object.name };
    printable(&format!("{word}{}: {name}: {field}: {message}", object.file)) + "\n"
}

fn objects(verdicts: &Verdicts) -> Table {
    let mut table = Table::new(&["NAMESPACE", "NAME", "ACCEPTED", "REFERENCES", "DECIDES FOR"]);
    for Verdict { namespace, name, accepted, resolved_refs, components, .. } in &verdicts.objects {
        let components: Vec<_> = components.iter().map(|it| it.as_str()).collect();
        table.row([
            namespace.clone(),
            name.clone(),
            (*accepted).to_owned(),
            (*resolved_refs).to_owned(),
            components.join(", "),
        ]);
    }
    table
}

fn probes(verdicts: &Verdicts) -> Table {
    let mut table = Table::new(&["NAME", "EXPORTER", "SIGNAL", "PROBE", "TOOK"]);
    for object in &verdicts.objects {
        for probed in &object.probes {
            table.row([
                object.name.clone(),
                probed.exporter.clone(),
                format!("{:?}", probed.signal),
                probed.reason.to_owned(),
                format!("{} ms", probed.milliseconds),
            ]);
        }
    }
    table
}

fn sum(verdicts: &Verdicts) -> String {
    let findings = || verdicts.objects.iter().flat_map(|object| &object.findings);
    let count = |severity| findings().filter(|it| it.severity == severity).count();
    let counted = [
        (count(Severity::Problem) + verdicts.broken.len(), "problem", "problems"),
        (count(Severity::Unchecked), "thing not checked", "things not checked"),
        (count(Severity::Warning), "warning", "warnings"),
    ];
    let counted: Vec<_> = counted
        .iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, more)| format!("{count} {}", if *count == 1 { one } else { more }))
        .collect();
    let checked = match verdicts.objects.len() {
        1 => "1 TelemetryConfig".to_owned(),
        count => format!("{count} TelemetryConfigs"),
    };
    match &counted[..] {
        [] => format!("{checked}: no problem found"),
        counted => format!("{checked}: {}", counted.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::documents::Skipped;
    use super::super::verdict::Probed;
    use super::*;
    use crate::documents::Broken;
    use pharos_api::telemetryconfig::{Component, Signal};

    fn object(findings: Vec<Finding>) -> Verdict {
        Verdict {
            file: "telemetry.yaml".to_owned(),
            namespace: "pharos".to_owned(),
            name: "default".to_owned(),
            accepted: "Accepted",
            resolved_refs: "NotRead",
            components: vec![Component::Admission, Component::BackgroundScan],
            findings,
            probes: Vec::new(),
        }
    }

    #[test]
    fn a_good_object_is_short() {
        let verdicts = Verdicts::of(vec![object(Vec::new())], Vec::new(), Vec::new());
        let expected = "\
NAMESPACE   NAME      ACCEPTED   REFERENCES   DECIDES FOR
pharos      default   Accepted   NotRead      Admission, BackgroundScan

1 TelemetryConfig: no problem found
";
        assert_eq!(text(&verdicts), expected);
    }

    #[test]
    fn problems_stand_first_and_everything_is_counted() {
        let finding = |severity, field: &str, message: &str| {
            Finding::new(severity, "Invalid", field, message)
        };
        let mut first = object(vec![
            finding(
                Severity::Note,
                "spec.exporters[a].otlp.tls.caRef",
                "not read: ConfigMap \"a\"",
            ),
            finding(Severity::Problem, "spec.metrics.exporters", "is required"),
        ]);
        first.probes.push(Probed {
            exporter: "gateway".to_owned(),
            signal: Signal::Metrics,
            reason: "Unauthenticated",
            message: "no".to_owned(),
            milliseconds: 12,
        });
        let second = Verdict {
            name: String::new(),
            components: Vec::new(),
            findings: vec![finding(Severity::Warning, "spec.metrics.views[v]", "odd")],
            ..object(Vec::new())
        };
        let broken = Broken { file: "b.yaml".to_owned(), line: Some(3), message: "no".to_owned() };
        let skipped = Skipped { file: "b.yaml".to_owned(), kind: "v1 Secret".to_owned() };
        let verdicts = Verdicts::of(vec![first, second], vec![broken], vec![skipped]);
        let expected = "\
b.yaml:3: no
telemetry.yaml: default: spec.metrics.exporters: is required
warning: telemetry.yaml: (no name): spec.metrics.views[v]: odd
note: telemetry.yaml: default: spec.exporters[a].otlp.tls.caRef: not read: ConfigMap \"a\"
note: b.yaml: skipped v1 Secret

NAMESPACE   NAME      ACCEPTED   REFERENCES   DECIDES FOR
pharos      default   Accepted   NotRead      Admission, BackgroundScan
pharos      -         Accepted   NotRead      -

NAME      EXPORTER   SIGNAL    PROBE             TOOK
default   gateway    Metrics   Unauthenticated   12 ms

2 TelemetryConfigs: 2 problems, 1 warning
";
        assert_eq!(text(&verdicts), expected);
    }
}
