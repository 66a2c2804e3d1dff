use super::super::gather::Gathered;
use super::super::picture::tests::{at, counted, lease, observed, programmed};
use super::*;
use serde_json::{Value, json};

fn condition(r#type: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({
        "type": r#type, "status": status, "reason": reason, "message": message,
        "observedGeneration": 7, "lastTransitionTime": at(300).to_string(),
    })
}

fn status() -> Value {
    json!({
        "observedGeneration": 7, "programmedReplicas": "2/2",
        "nextCertificateExpiryTime": at(-864_000).to_string(),
        "components": [
            {"component": "Admission", "state": "Active", "replicasProgrammed": 2, "replicasLive": 2},
            {"component": "BackgroundScan", "state": "Overridden", "by": "scans",
             "reason": "Conflicted", "replicasProgrammed": 0, "replicasLive": 0},
        ],
        "conditions": [
            condition("Ready", "True", "Ready", ""),
            condition("ExportHealthy", "False", "EndpointUnreachable", "exporter \"gateway\""),
        ],
    })
}

fn picture(replicas: usize) -> Picture {
    let leader = lease("pharos-0_abc", 4, &json!({}), &json!({}));
    let healthy = programmed(json!({"state": "healthy"}));
    let message = "no connection to the receiver: refused";
    let failing = json!({"state": "failing", "reason": "EndpointUnreachable", "message": message});
    let mut leases: Vec<_> = (0..replicas - 1)
        .map(|index| lease(&format!("pharos-{index}"), 3, &healthy, &counted(2, 120, 0)))
        .collect();
    leases.push(lease("pharos-x", 5, &programmed(failing), &counted(400, 7, 31)));
    let gathered = Gathered { objects: vec![observed(7, status())], leases, leader: Some(leader) };
    Picture::of("engine", &gathered, at(0))
}

#[test]
fn two_replicas_fit_one_screen() {
    let text = text(&picture(2), Shown::Few, at(0));
    let expected = "\
Namespace engine: 1 TelemetryConfig, 2 replicas; leader pharos-0_abc, renewed 4 s ago

default, generation 7: 2/2 programmed
  CONDITION       STATUS   REASON                SINCE   MESSAGE
  Ready           True     Ready                 5 min   -
  ExportHealthy   False    EndpointUnreachable   5 min   exporter \"gateway\"
  decides for Admission: 2/2 replicas
  overridden for BackgroundScan by scans (Conflicted)
  the next certificate expires in 10 d (2026-10-01T14:13:20Z)

REPLICA    COMPONENTS   RUNS      STATE        GENERATION   HASH     SEEN      MESSAGE
pharos-x   Admission    default   Programmed   7            c0ffee   5 s ago   -
pharos-0   Admission    default   Programmed   7            c0ffee   3 s ago   -

EXPORTER   SIGNAL    REPLICA    STATE       LAST SUCCESS   TOOK    SENT   FAILED   DROPPED   MESSAGE
gateway    Metrics   all 2      1 Failing   6 min ago      -       127    31       0         -
gateway    Metrics   pharos-x   Failing     6 min ago      12 ms   7      31       0         EndpointUnreachable for 4 min: no connection to the receiver: refused
gateway    Metrics   pharos-0   Healthy     2 s ago        12 ms   120    0        0         -
";
    assert_eq!(text, expected);
}

#[test]
fn of_many_replicas_those_that_need_a_look_are_shown_and_the_others_counted() {
    let picture = picture(300);
    let few = text(&picture, Shown::Few, at(0));
    assert!(few.lines().count() < 40, "{few}");
    let sum = few.lines().find(|line| line.contains("all 300")).unwrap();
    let cells: Vec<_> = sum.split_whitespace().collect();
    assert_eq!(cells[2..6], ["all", "300", "1", "Failing"]);
    assert_eq!(cells[10..13], ["35887", "31", "0"], "{sum}");
    assert!(few.find("pharos-x") < few.find("pharos-1 "), "{few}");
    let rest = "and 290 more replicas, none of which needs a look; --all shows every one\n";
    assert!(few.ends_with(rest), "{few}");
    let all = text(&picture, Shown::All, at(0));
    assert!(all.contains("pharos-298 ") && !all.contains("more replicas"));
}

#[test]
fn what_runs_without_an_object_is_said() {
    let defaults = json!({"components": ["Admission"], "config": null});
    let leases = vec![
        lease("local-1", 500, &defaults, &json!({})),
        lease("local-2", 1, &defaults, &json!({})),
    ];
    let gathered = Gathered { objects: Vec::new(), leases, leader: None };
    let text = text(&Picture::of("engine", &gathered, at(0)), Shown::Few, at(0));
    let expected = "\
Namespace engine: no TelemetryConfig, 2 replicas; no leader: nobody writes status
Where no TelemetryConfig decides, the command line's defaults run: metrics for Prometheus to scrape, no traces, no logs.

REPLICA   COMPONENTS   RUNS         STATE      GENERATION   HASH   SEEN        MESSAGE
local-1   Admission    -            Silent     -            -      8 min ago   -
local-2   Admission    (defaults)   Defaults   -            -      1 s ago     -
";
    assert_eq!(text, expected);
}

#[test]
fn messages_are_one_line_and_bounded() {
    assert_eq!(cut("a\nb\u{1b}c"), "a b c");
    let long = cut(&"x".repeat(1000));
    assert!(long.len() == LONGEST_MESSAGE && long.ends_with("..."));
}
