//! `pharos telemetry check` as CI runs it: exit codes, and what is printed, without a cluster.

#![expect(clippy::print_stdout, reason = "a test says what it goes without")]

#[path = "support/command.rs"]
mod command;

use std::path::{Path, PathBuf};

use command::{Ended, run};
use serde_json::Value;

fn check(arguments: &[&str], input: &str) -> anyhow::Result<Ended> {
    let mut command = command::pharos();
    run(command.args(["telemetry", "check"]).args(arguments).env_remove("POD_NAMESPACE"), input)
}

fn object(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: telemetry.pharos.dev/v1alpha1\nkind: TelemetryConfig\n\
         metadata: {{name: {name}}}\nspec: {spec}\n"
    )
}

const PROMETHEUS: &str = "{exporters: [{name: p, type: Prometheus}], metrics: {exporters: [p]}}";

/// The examples of this kind: the project's own, and the shared ones where they lie beside it.
fn examples(kind: &str) -> anyhow::Result<Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files = Vec::new();
    for place in ["docs", "../shared"] {
        let folder = root.join(place).join("examples/telemetryconfig").join(kind);
        if place != "docs" && !folder.is_dir() {
            println!("without the shared examples: {} is not there", folder.display());
            continue;
        }
        for entry in std::fs::read_dir(&folder)? {
            files.push(entry?.path());
        }
    }
    files.sort();
    anyhow::ensure!(files.len() > 5, "{files:?}");
    Ok(files)
}

#[test]
fn every_good_example_passes() {
    for file in examples("good").unwrap() {
        let checked = check(&["-f", file.to_str().unwrap()], "").unwrap();
        assert_eq!(checked.code, 0, "{}{}", checked.stdout, checked.stderr);
        assert!(checked.stdout.contains("Accepted"), "{}", checked.stdout);
    }
}

#[test]
fn every_bad_example_is_refused_with_a_field() {
    for file in examples("bad").unwrap() {
        let checked = check(&["-f", file.to_str().unwrap()], "").unwrap();
        assert_eq!(checked.code, 1, "{}: {}{}", file.display(), checked.stdout, checked.stderr);
        let first = checked.stdout.lines().next().unwrap();
        let named = first.strip_prefix(&format!("{}: ", file.display()));
        assert!(named.is_some_and(|rest| rest.contains(": spec")), "{first}");
    }
}

#[test]
fn all_problems_of_all_objects_are_told_at_once() {
    let bad = "{exporters: [{name: o, type: OTLP, otlp: {protocol: GRPC, endpoint: 'http://c', \
        timeoutSeconds: 0, retries: 5}}], metrics: {exporters: [o, nowhere]}}";
    let input =
        object("a", bad) + &object("b", "{metrics: {exporters: 5}}") + "---\nkind: Secret\n";
    let checked = check(&["-f", "-"], &input).unwrap();
    assert_eq!(checked.code, 1);
    for line in [
        "-: a: spec.exporters[o].otlp.timeoutSeconds: must be at least 1",
        "-: a: spec.exporters[o].otlp.retries: unknown field",
        "-: a: spec.exporters[o].otlp.endpoint: ",
        "-: a: spec.metrics.exporters: \"nowhere\" is not the name of an entry of spec.exporters",
        "-: b: spec.metrics.exporters: must be an array",
        "-: b: spec.components: loses Admission to \"a\" and BackgroundScan to \"a\": ",
        "note: -: skipped Secret",
        "2 TelemetryConfigs: 6 problems",
    ] {
        assert!(checked.stdout.contains(line), "{line} is missing:\n{}", checked.stdout);
    }
}

#[test]
fn programs_get_json() {
    let spec = "{exporters: [{name: o, type: OTLP, otlp: {protocol: GRPC, endpoint: 'https://c:1', \
        headers: [{name: authorization, valueFrom: {secretKeyRef: {name: token, key: value}}}]}}], \
        metrics: {exporters: [o]}}";
    let checked = check(&["-f", "-", "-o", "json", "-n", "engine"], &object("a", spec)).unwrap();
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    let verdicts: Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!(verdicts["outcome"], "Good");
    let verdict = &verdicts["objects"][0];
    assert_eq!(verdict["namespace"], "engine");
    assert_eq!(
        (&verdict["accepted"], &verdict["resolvedRefs"]),
        (&"Accepted".into(), &"NotRead".into())
    );
    let finding = &verdict["findings"][0];
    assert_eq!(finding["severity"], "Note");
    assert_eq!(finding["message"], "not read: Secret \"token\", \"value\"");
}

#[test]
fn views_are_judged_although_references_are_not_read() {
    let spec = "{exporters: [{name: o, type: OTLP, otlp: {protocol: GRPC, endpoint: 'https://c:1', \
        tls: {caRef: {name: ca}}}}], metrics: {exporters: [o], views: [\
        {name: nothing, selector: {instrumentName: nowhere}, stream: {cardinalityLimit: 5}}, \
        {name: buckets, selector: {instrumentName: kyverno_admission_requests}, stream: \
        {aggregation: {type: ExplicitBucketHistogram, explicitBucketHistogram: {boundaries: ['1']}}}}]}}";
    let checked = check(&["-f", "-"], &object("a", spec)).unwrap();
    assert_eq!(checked.code, 1, "{}", checked.stdout);
    for line in [
        "-: a: spec.metrics.views[buckets]: ",
        "warning: -: a: spec.metrics.views[nothing]: ",
        "UnsupportedValue   NotRead",
    ] {
        assert!(checked.stdout.contains(line), "{line} is missing:\n{}", checked.stdout);
    }
}

#[test]
fn what_cannot_be_checked_is_another_exit_code() {
    let nothing = check(&["-f", "-"], "kind: Secret\nstringData: {a: planted}\n").unwrap();
    assert_eq!(nothing.code, 2);
    assert!(nothing.stderr.contains("no TelemetryConfig"), "{}", nothing.stderr);
    let nowhere = check(&["-f", "/nowhere/telemetry.yaml"], "").unwrap();
    assert_eq!(nowhere.code, 2);
    assert!(nowhere.stderr.contains("cannot open /nowhere/telemetry.yaml"), "{}", nowhere.stderr);
    let usage = check(&[], "").unwrap();
    assert_eq!(usage.code, 2);
    let kubeconfig = ["-f", "-", "--cluster", "--kubeconfig", "/nowhere/config"];
    let cluster = check(&kubeconfig, &object("a", PROMETHEUS)).unwrap();
    assert_eq!(cluster.code, 2);
    assert!(cluster.stderr.contains("--kubeconfig"), "{}", cluster.stderr);
}

#[test]
fn what_was_found_is_printed_although_the_api_server_is_not_there() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let dir = tempfile::tempdir().unwrap();
    let kubeconfig = dir.path().join("kubeconfig");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
         clusters: [{{name: c, cluster: {{server: 'http://{address}'}}}}]\n\
         users: [{{name: c, user: {{}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: c}}}}]\n"
    );
    std::fs::write(&kubeconfig, text).unwrap();
    let arguments = ["-f", "-", "--cluster", "--kubeconfig", kubeconfig.to_str().unwrap()];
    let good = check(&arguments, &object("a", PROMETHEUS)).unwrap();
    assert_eq!(good.code, 2, "{}{}", good.stdout, good.stderr);
    let unread = "not checked: -: a: spec.components: cannot read the TelemetryConfigs";
    assert!(good.stdout.contains(unread), "{}", good.stdout);
    let bad = check(&arguments, &object("a", "{metrics: {exporters: 5}}")).unwrap();
    assert_eq!(bad.code, 1, "{}{}", bad.stdout, bad.stderr);
    for line in ["-: a: spec.metrics.exporters: must be an array", unread] {
        assert!(bad.stdout.contains(line), "{line} is missing:\n{}", bad.stdout);
    }
}

#[test]
fn a_broken_document_is_told_by_line_without_a_piece_of_it() {
    let input = object("a", PROMETHEUS) + "---\nkind: Secret\nstringData: {a: planted]\n";
    let checked = check(&["-f", "-"], &input).unwrap();
    assert_eq!(checked.code, 1, "{}", checked.stdout);
    let first = checked.stdout.lines().next().unwrap();
    assert!(first.starts_with("-:8: "), "{first}");
    assert!(!checked.stdout.contains("planted"), "{}", checked.stdout);
}

#[test]
fn a_receiver_that_is_not_there_is_a_problem_to_a_probe() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let otlp = |name: &str, more: &str| {
        format!(
            "{{name: {name}, type: OTLP, otlp: {{protocol: GRPC, endpoint: 'http://127.0.0.1:{port}'{more}}}}}"
        )
    };
    let secret = ", headers: [{name: a, valueFrom: {secretKeyRef: {name: s, key: k}}}]";
    let spec = format!(
        "{{exporters: [{}, {}], metrics: {{exporters: [o, s]}}, logs: {{exporters: [o]}}}}",
        otlp("o", ""),
        otlp("s", secret)
    );
    let checked = check(&["-f", "-", "--probe"], &object("a", &spec)).unwrap();
    assert_eq!(checked.code, 1, "{}", checked.stdout);
    for line in [
        "-: a: spec.exporters[o]: Metrics: no connection to the receiver",
        "-: a: spec.exporters[o]: Logs: no connection to the receiver",
        "not checked: -: a: spec.exporters[s]: not probed: it refers to Secrets or ConfigMaps",
        "o          Logs      EndpointUnreachable",
    ] {
        assert!(checked.stdout.contains(line), "{line} is missing:\n{}", checked.stdout);
    }
}
