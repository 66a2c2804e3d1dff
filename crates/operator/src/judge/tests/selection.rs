//! Every pair of objects, in one process and in two: who wins, what each process runs, and what
//! both statuses say.

use super::*;
use crate::reconcile::{Target, choose};
use crate::select::{Scopes, Winners, select};

const ALL: &[&str] = &[];
const ADM: &[&str] = &["Admission"];
const SCAN: &[&str] = &["BackgroundScan"];

/// The processes, by what they run.
const ONE: &[&[Component]] = &[&[Admission, BackgroundScan]];
const TWO: &[&[Component]] = &[&[Admission], &[BackgroundScan]];

const ACTIVE: &str = "Accepted | Programmed | NoExporters";
const LOST: &str = "Conflicted | Conflicted | NotYetExported";
const SHARED: &str = "Accepted | NoReplicas | NotYetExported";

/// What is expected of one pair: what each process runs, then the old object and the new one, by
/// what they are to each component that they ask for and by the reasons of three conditions.
type Row<'a> = (&'a [&'a str], &'a [&'a str], Expected<'a>, Expected<'a>);
type Expected<'a> = (&'a [&'a str], (&'a str, &'a str), (&'a str, &'a str));

fn winners(namespace: &Namespace) -> Winners {
    let mut scopes = Scopes::default();
    scopes.update(&namespace.objects);
    select(&scopes.candidates(&namespace.objects))
}

/// These processes, each running what it has to obey.
fn run_by(mut namespace: Namespace, processes: &[&[Component]]) -> Namespace {
    namespace.replicas.clear();
    let mut scopes = Scopes::default();
    scopes.update(&namespace.objects);
    processes.iter().enumerate().fold(namespace, |namespace, (n, components)| {
        let of_process = components.iter().copied().collect();
        let report = match choose(&namespace.objects, &scopes, &of_process) {
            Target::Object { uid, .. } => about(&uid, 1, State::Programmed),
            Target::Defaults => None,
        };
        namespace.replica(&format!("r{n}"), components, report)
    })
}

/// What each process runs; `-` for the command line's defaults.
fn running(namespace: &Namespace) -> Vec<&str> {
    let running = |replica: &LiveReplica| {
        let uid = replica.report.config.as_ref().map_or("-", |config| config.uid.as_str());
        namespace.objects.get_key_value(uid).map_or("-", |(uid, _)| uid)
    };
    namespace.replicas.iter().map(running).collect()
}

fn components(status: &TelemetryConfigStatus) -> String {
    let entry = |it: &pharos_api::telemetryconfig::ComponentStatus| {
        let by = it.by.as_deref().unwrap_or("-");
        match (it.state, it.reason) {
            (ComponentState::Active, None) => format!("{} Active", it.component.as_str()),
            (ComponentState::Overridden, Some(reason)) => {
                format!("{} {reason:?} by {by}", it.component.as_str())
            }
            odd => panic!("{odd:?}"),
        }
    };
    status.components.iter().map(entry).collect::<Vec<_>>().join(", ")
}

fn reasons(status: &TelemetryConfigStatus) -> String {
    let reason = |r#type: &str| {
        let condition = status.conditions.iter().find(|it| it.type_ == r#type).unwrap();
        condition.reason.clone()
    };
    ["Accepted", "Programmed", "ExportHealthy"].map(reason).join(" | ")
}

fn table() -> Vec<Row<'static>> {
    const BOTH: &str = "Admission Active, BackgroundScan Active";
    const ADM_ONLY: &str = "Admission Active";
    const SCAN_ONLY: &str = "BackgroundScan Active";
    vec![
        (
            ALL,
            ALL,
            (
                &["old"],
                (BOTH, ACTIVE),
                ("Admission Conflicted by old, BackgroundScan Conflicted by old", LOST),
            ),
            (
                &["old", "old"],
                (BOTH, ACTIVE),
                ("Admission Conflicted by old, BackgroundScan Conflicted by old", LOST),
            ),
        ),
        (
            ALL,
            ADM,
            (
                &["new"],
                ("Admission Conflicted by new, BackgroundScan SharedProcess by new", SHARED),
                (ADM_ONLY, ACTIVE),
            ),
            (
                &["new", "old"],
                ("Admission Conflicted by new, BackgroundScan Active", ACTIVE),
                (ADM_ONLY, ACTIVE),
            ),
        ),
        (
            ALL,
            SCAN,
            (
                &["old"],
                ("Admission Active, BackgroundScan Conflicted by new", ACTIVE),
                ("BackgroundScan SharedProcess by old", SHARED),
            ),
            (
                &["old", "new"],
                ("Admission Active, BackgroundScan Conflicted by new", ACTIVE),
                (SCAN_ONLY, ACTIVE),
            ),
        ),
        (
            ADM,
            ALL,
            (
                &["old"],
                (ADM_ONLY, ACTIVE),
                ("Admission Conflicted by old, BackgroundScan SharedProcess by old", SHARED),
            ),
            (
                &["old", "new"],
                (ADM_ONLY, ACTIVE),
                ("Admission Conflicted by old, BackgroundScan Active", ACTIVE),
            ),
        ),
        (
            ADM,
            ADM,
            (&["old"], (ADM_ONLY, ACTIVE), ("Admission Conflicted by old", LOST)),
            (&["old", "-"], (ADM_ONLY, ACTIVE), ("Admission Conflicted by old", LOST)),
        ),
        (
            ADM,
            SCAN,
            (&["old"], (ADM_ONLY, ACTIVE), ("BackgroundScan SharedProcess by old", SHARED)),
            (&["old", "new"], (ADM_ONLY, ACTIVE), (SCAN_ONLY, ACTIVE)),
        ),
        (
            SCAN,
            ALL,
            (
                &["new"],
                ("BackgroundScan SharedProcess by new", SHARED),
                ("Admission Active, BackgroundScan Conflicted by old", ACTIVE),
            ),
            (
                &["new", "old"],
                (SCAN_ONLY, ACTIVE),
                ("Admission Active, BackgroundScan Conflicted by old", ACTIVE),
            ),
        ),
        (
            SCAN,
            ADM,
            (&["new"], ("BackgroundScan SharedProcess by new", SHARED), (ADM_ONLY, ACTIVE)),
            (&["new", "old"], (SCAN_ONLY, ACTIVE), (ADM_ONLY, ACTIVE)),
        ),
        (
            SCAN,
            SCAN,
            (
                &["-"],
                ("BackgroundScan SharedProcess by -", SHARED),
                ("BackgroundScan Conflicted by old", LOST),
            ),
            (&["-", "old"], (SCAN_ONLY, ACTIVE), ("BackgroundScan Conflicted by old", LOST)),
        ),
    ]
}

#[test]
fn every_pair_in_one_process_and_in_two() {
    for (old, new, one, two) in table() {
        let pair = || {
            Namespace::default().with("old", 1, for_components(old)).with(
                "new",
                1,
                for_components(new),
            )
        };
        for (processes, (runs, of_old, of_new)) in [(ONE, one), (TWO, two)] {
            let namespace = run_by(pair(), processes);
            assert_eq!(running(&namespace), runs, "{old:?} {new:?}");
            for (name, (expected_components, expected_reasons)) in
                [("old", of_old), ("new", of_new)]
            {
                let status = namespace.judge(name);
                let said = (components(&status), reasons(&status));
                let expected = (expected_components.to_owned(), expected_reasons.to_owned());
                assert_eq!(said, expected, "{name} of {old:?} {new:?} in {}", processes.len());
            }
        }
    }
}

#[test]
fn what_is_lost_is_named_with_its_winner() {
    for (old, new, _, _) in table() {
        let pair = Namespace::default().with("old", 1, for_components(old)).with(
            "new",
            1,
            for_components(new),
        );
        let namespace = run_by(pair, TWO);
        let winners = winners(&namespace);
        for (name, other) in [("old", "new"), ("new", "old")] {
            let status = namespace.judge(name);
            let said = message(&status, "Accepted");
            for component in Component::ALL {
                let asks = status.components.iter().any(|entry| entry.component == component);
                let lost = asks && winners.of(component) == Some(other);
                let named = format!("{} to {other:?}", component.as_str());
                assert_eq!(said.contains(&named), lost, "{name} of {old:?} {new:?}: {said:?}");
            }
        }
    }
}

#[test]
fn the_next_follows_a_winner_that_is_deleted_and_the_defaults_follow_the_last() {
    for (old, new, _, _) in table() {
        for (gone, left, asked) in [("old", "new", new), ("new", "old", old)] {
            let mut namespace = Namespace::default().with("old", 1, for_components(old)).with(
                "new",
                1,
                for_components(new),
            );
            namespace.objects.remove(gone);
            let namespace = run_by(namespace, TWO);
            let status = namespace.judge(left);
            assert_eq!(reasons(&status), ACTIVE, "{left} of {old:?} {new:?}");
            assert!(status.components.iter().all(|it| it.state == ComponentState::Active));
            let runs: Vec<_> = TWO
                .iter()
                .map(|components| {
                    let named = asked.is_empty() || asked.contains(&components[0].as_str());
                    if named { left } else { "-" }
                })
                .collect();
            assert_eq!(running(&namespace), runs);
        }
    }
    let nothing = run_by(Namespace::default(), TWO);
    assert_eq!(running(&nothing), ["-", "-"]);
}
