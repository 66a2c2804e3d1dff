use pharos_api::report::{Outcome, Summary};
use pharos_policy::{CompiledPolicy, Json, Origin, PolicySet, Request, SystemClock, evaluate};
use serde_json::json;

use super::*;
use crate::report::{Desired, Own, tidied};
use crate::testing::{creation, validating};

const UID: &str = "2e8b0e9c-0cbd-4f6c-a1a3-5a4d41ba3a37";
const API: ReportApi = ReportApi::PolicyReports;
const SUBJECT: Subject<'static> =
    Subject { api_version: "v1", kind: "Pod", namespace: "shop", name: "web", uid: UID };
const LATE: Timestamp = at(1000);

const fn at(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanos: 0 }
}

fn metadata(name: &str, generation: i64) -> ObjectMeta {
    let (uid, generation) = (Some(name.to_owned()), Some(generation));
    ObjectMeta { uid, generation, ..ObjectMeta::default() }
}

/// What a policy says at that second about a Pod with these labels.
fn said(policy: CompiledPolicy, generation: i64, labels: &serde_json::Value, now: i64) -> Said {
    let pod = json!({"metadata": {"name": "web", "namespace": "shop", "labels": labels}});
    let raw = Json::from(creation(&pod));
    let policies = [std::sync::Arc::new(policy)];
    let set = PolicySet::new(Origin::Admission, policies, []);
    let evaluation = evaluate(&set, &Request::parse(&raw).unwrap(), &SystemClock);
    let outcome = &evaluation.outcomes[0];
    let key = outcome.policy.key();
    Said::of(key, &metadata(&key.name, generation), &outcome.rules, at(now))
}

fn fails(name: &str, now: i64) -> Said {
    said(validating(name, json!({})), 1, &json!({}), now)
}

fn passes(name: &str, now: i64) -> Said {
    said(validating(name, json!({})), 1, &json!({"app": "x"}), now)
}

fn standing(policies: &[(&str, i64)]) -> Standing {
    Standing::of(
        policies.iter().map(|(name, generation)| Revision::of(&metadata(name, *generation))),
    )
}

fn told(report: &Report) -> Vec<(&str, Outcome, i64)> {
    let of = |it: &'_ ReportResult| (it.result.unwrap(), it.timestamp.seconds);
    report.results.iter().map(|it| (&*it.policy, of(it).0, of(it).1)).collect()
}

fn replaced(change: Change) -> Report {
    match change {
        Change::Replace(report) => *report,
        other => panic!("{other:?}"),
    }
}

fn scanned(policy: &str, outcome: Outcome) -> Desired {
    let source = "KyvernoValidatingPolicy".to_owned();
    let (policy, result) = (policy.to_owned(), Some(outcome));
    let properties = [("process".to_owned(), "background scan".to_owned())].into();
    let result = ReportResult { source, policy, result, properties, ..ReportResult::default() };
    Desired::of(&SUBJECT, API, vec![result]).unwrap()
}

#[test]
fn an_admission_makes_a_report_that_is_the_objects_and_says_whose_results_it_has() {
    let report = report(&SUBJECT, API, &[fails("a", 1), passes("b", 1)]).unwrap();
    assert_eq!(told(&report), [("a", Outcome::Fail, 1), ("b", Outcome::Pass, 1)]);
    assert_eq!(report.summary, Summary { fail: 1, pass: 1, ..Summary::default() });
    assert_eq!(report.metadata.name.as_deref(), Some(UID));
    assert_eq!(report.metadata.owner_references.as_ref().unwrap()[0].uid, UID);
    assert_eq!(report.results[0].properties["process"], "admission review");
    let annotations = report.metadata.annotations.as_ref().unwrap();
    assert!(annotations[ADMISSION].contains("KyvernoValidatingPolicy/a"), "{annotations:?}");
    assert!(!annotations.contains_key(DIGEST));
    assert_eq!(super::report(&SUBJECT, API, &[]), None);
}

#[test]
fn what_is_said_again_changes_nothing_and_what_is_said_otherwise_is_of_now() {
    let there = report(&SUBJECT, API, &[fails("a", 1), fails("b", 1)]).unwrap();
    assert_eq!(over(&there, &SUBJECT, API, &[fails("a", 5)]), Change::Nothing);
    let report = replaced(over(&there, &SUBJECT, API, &[passes("a", 5)]));
    assert_eq!(told(&report), [("a", Outcome::Pass, 5), ("b", Outcome::Fail, 1)]);
    let annotation =
        |report: &Report| report.metadata.annotations.as_ref().unwrap()[ADMISSION].clone();
    assert_ne!(annotation(&report), annotation(&there), "a watch of metadata sees it");
}

#[test]
fn a_policy_that_has_nothing_to_say_any_more_takes_its_result_along() {
    let there = report(&SUBJECT, API, &[fails("a", 1)]).unwrap();
    let unmatched = json!({"matchConditions": [{"name": "c", "expression": "false"}]});
    let silent = said(validating("a", unmatched), 1, &json!({}), 5);
    assert!(!silent.tells());
    assert_eq!(over(&there, &SUBJECT, API, &[silent]), Change::Delete);
}

#[test]
fn scans_and_admissions_leave_each_other_what_they_say() {
    let admitted = report(&SUBJECT, API, &[fails("a", 1)]).unwrap();
    let desired = scanned("s", Outcome::Pass);
    let both = replaced(desired.over(&admitted, &standing(&[("a", 1)]), LATE));
    assert_eq!(both.results.len(), 2);
    assert_eq!(both.summary, Summary { fail: 1, pass: 1, ..Summary::default() });
    assert_eq!(desired.over(&both, &standing(&[("a", 1)]), LATE), Change::Nothing);
    let digest = |report: &Report| report.metadata.annotations.as_ref().unwrap()[DIGEST].clone();
    assert_eq!(digest(&both), desired.digest.to_string(), "it covers what the scan says");
    let later = replaced(over(&both, &SUBJECT, API, &[passes("a", 5)]));
    assert_eq!(told(&later), [("a", Outcome::Pass, 5), ("s", Outcome::Pass, 0)]);
    assert_eq!(digest(&later), digest(&both));
}

#[test]
fn of_a_policy_that_scans_ask_only_their_result_is_kept() {
    let there = report(&SUBJECT, API, &[fails("a", 1), fails("b", 1)]).unwrap();
    let both = standing(&[("a", 1), ("b", 1)]);
    let report = replaced(scanned("a", Outcome::Pass).over(&there, &both, LATE));
    assert_eq!(told(&report), [("a", Outcome::Pass, 0), ("b", Outcome::Fail, 1)]);
}

#[test]
fn results_go_with_their_policy_and_when_it_becomes_another() {
    let there = report(&SUBJECT, API, &[fails("a", 1), fails("b", 1)]).unwrap();
    let tidy = |standing: &Standing, now| tidied(&there, Own::Keep, standing, now);
    assert_eq!(tidy(&standing(&[("a", 1), ("b", 1)]), LATE), Change::Nothing);
    let report = replaced(tidy(&standing(&[("a", 2), ("b", 1)]), LATE));
    assert_eq!(told(&report), [("b", Outcome::Fail, 1)]);
    assert_eq!(tidy(&standing(&[]), LATE), Change::Delete);
}

#[test]
fn a_policy_that_is_not_known_yet_is_waited_for_and_one_that_is_gone_is_not() {
    let there = report(&SUBJECT, API, &[fails("a", 1)]).unwrap();
    let soon = at(30);
    assert_eq!(tidied(&there, Own::Keep, &Standing::default(), soon), Change::Nothing);
    let gone = Standing::default().after(&standing(&[("a", 1)]));
    assert_eq!(tidied(&there, Own::Keep, &gone, soon), Change::Delete);
    assert!(Standing::default().has_lost_some(&standing(&[("a", 1)])));
    assert!(!standing(&[("a", 1), ("b", 1)]).has_lost_some(&standing(&[("a", 1)])));
}

#[test]
fn where_scans_have_nothing_to_say_any_more_admissions_stay() {
    let admitted = report(&SUBJECT, API, &[fails("a", 1)]).unwrap();
    let both = replaced(scanned("s", Outcome::Pass).over(&admitted, &standing(&[("a", 1)]), LATE));
    let left = replaced(tidied(&both, Own::Drop, &standing(&[("a", 1)]), LATE));
    assert_eq!(told(&left), [("a", Outcome::Fail, 1)]);
    assert!(!left.metadata.annotations.unwrap().contains_key(DIGEST));
    let scanned = scanned("s", Outcome::Pass).report().clone();
    assert_eq!(tidied(&scanned, Own::Drop, &Standing::default(), LATE), Change::Delete);
}

#[test]
fn what_another_engine_left_goes() {
    let mut theirs = report(&SUBJECT, API, &[fails("theirs", 1)]).unwrap();
    theirs.metadata.annotations = None;
    theirs
        .metadata
        .labels
        .as_mut()
        .unwrap()
        .insert("app.kubernetes.io/managed-by".to_owned(), "kyverno".to_owned());
    let ours = replaced(over(&theirs, &SUBJECT, API, &[fails("a", 5)]));
    assert_eq!(told(&ours), [("a", Outcome::Fail, 5)]);
    assert_eq!(ours.metadata.labels.unwrap()["app.kubernetes.io/managed-by"], "pharos");
}

#[test]
fn an_annotation_that_somebody_broke_vouches_for_nothing() {
    let whole = report(&SUBJECT, API, &[fails("a", 1)]).unwrap();
    for broken in ["", "{}", "[1]", r#"{"policies": {"KyvernoValidatingPolicy/a": "no hex"}}"#] {
        let mut there = whole.clone();
        let annotations = there.metadata.annotations.as_mut().unwrap();
        annotations.insert(ADMISSION.to_owned(), broken.to_owned());
        let change = tidied(&there, Own::Keep, &standing(&[("a", 1)]), LATE);
        assert_eq!(change, Change::Delete, "{broken}");
    }
}

#[test]
fn of_two_requests_the_later_one_counts_rule_by_rule() {
    let rules = |asked: &[&str], outcome, now| {
        let result = |rule: &&str| ReportResult {
            source: OF_RULES.to_owned(),
            policy: "r".to_owned(),
            rule: (*rule).to_owned(),
            result: Some(outcome),
            timestamp: at(now),
            ..ReportResult::default()
        };
        Said {
            name: "kyverno/r".to_owned(),
            revision: Revision(Digest(1)),
            asked: Asked::Rules(asked.iter().map(|it| (*it).to_owned()).collect()),
            results: asked.iter().map(result).collect(),
        }
    };
    let earlier = rules(&["x", "y"], Outcome::Fail, 1);
    let later = rules(&["y"], Outcome::Pass, 2).after(earlier.clone());
    let told: Vec<_> = later.results.iter().map(|it| (&*it.rule, it.result.unwrap())).collect();
    assert_eq!(told, [("y", Outcome::Pass), ("x", Outcome::Fail)]);
    assert_eq!(later.asked, earlier.asked);
    let changed = Said { revision: Revision(Digest(2)), ..rules(&["y"], Outcome::Pass, 2) };
    assert_eq!(changed.clone().after(earlier), changed);
}

#[test]
fn a_report_holds_no_more_results_than_there_is_room_for() {
    let many: Vec<_> = (0..MAX_RESULTS + 9).map(|number| fails(&format!("p{number}"), 1)).collect();
    let report = report(&SUBJECT, API, &many).unwrap();
    assert_eq!(report.results.len(), MAX_RESULTS);
    let annotation = &report.metadata.annotations.unwrap()[ADMISSION];
    assert!(annotation.len() < 128 << 10, "{} bytes", annotation.len());
}

/// Something that writes into a report.
#[derive(Clone, Copy, Debug)]
enum Event {
    Scan(Option<Outcome>),
    Admission(&'static str, Outcome),
}

#[test]
fn in_whatever_order_they_come_nothing_that_scans_or_admissions_say_is_lost() {
    use Event::{Admission, Scan};
    let events = [
        Scan(None),
        Scan(Some(Outcome::Pass)),
        Scan(Some(Outcome::Fail)),
        Admission("a", Outcome::Pass),
        Admission("a", Outcome::Fail),
        Admission("b", Outcome::Fail),
    ];
    let standing = standing(&[("a", 1), ("b", 1)]);
    let each = [("a", passes("a", 1)), ("a", fails("a", 1)), ("b", fails("b", 1))];
    let said = |policy, outcome| {
        let is_it =
            |(of, said): &&(&str, Said)| *of == policy && said.results[0].result == Some(outcome);
        each.iter().find(is_it).unwrap().1.clone()
    };
    let write = |there: Option<Report>, event| match (there, event) {
        (None, Scan(outcome)) => outcome.map(|it| scanned("s", it).report().clone()),
        (None, Admission(policy, outcome)) => report(&SUBJECT, API, &[said(policy, outcome)]),
        (Some(there), event) => {
            let change = match event {
                Scan(Some(outcome)) => scanned("s", outcome).over(&there, &standing, LATE),
                Scan(None) => tidied(&there, Own::Drop, &standing, LATE),
                Admission(policy, outcome) => over(&there, &SUBJECT, API, &[said(policy, outcome)]),
            };
            match change {
                Change::Nothing => Some(there),
                Change::Replace(report) => Some(*report),
                Change::Delete => None,
            }
        }
    };
    for order in 0..events.len().pow(4) {
        let order: Vec<_> =
            (0..4).map(|nth| events[order / events.len().pow(nth) % events.len()]).collect();
        let mut expected = BTreeMap::new();
        let mut there = None;
        for event in &order {
            match *event {
                Scan(Some(outcome)) => drop(expected.insert("s", outcome)),
                Scan(None) => drop(expected.remove("s")),
                Admission(policy, outcome) => drop(expected.insert(policy, outcome)),
            }
            there = write(there, *event);
            assert_eq!(write(there.clone(), *event), there, "{event:?} twice, in {order:?}");
        }
        let results = there.iter().flat_map(|report| &report.results);
        let told: Vec<_> = results.map(|it| (&*it.policy, it.result.unwrap())).collect();
        assert_eq!(told, expected.into_iter().collect::<Vec<_>>(), "{order:?}");
    }
}
