//! One object, judged.

use super::*;
use crate::reconcile::candidate::{Identity, Source};
use crate::reconcile::verdict::{Outcome, Verdict, follow, judge};
use crate::resolve::ViewRemark;

const OBJECT: Identity<'_> = Identity { uid: "u", name: "x", generation: 1 };

fn at(spec: Value, read: &References, in_force: Option<&Source>, now: Timestamp) -> Verdict {
    let inspect = nothing_odd();
    let facts = Facts { references: read, inspect: &*inspect, now };
    judge(OBJECT, &Ok(super::spec(spec)), in_force, &facts)
}

fn followed(source: &Source, read: &References, now: Timestamp) -> Candidate {
    let inspect = nothing_odd();
    follow(source, &Facts { references: read, inspect: &*inspect, now }).unwrap()
}

fn to_run(verdict: &Verdict) -> Candidate {
    verdict.outcome.candidate().unwrap().clone()
}

fn serving(valid: Duration) -> References {
    references([certificate("serving", "1", &pair(valid))])
}

#[test]
fn a_certificate_that_expires_meanwhile_stays_and_is_told_and_a_renewed_one_is_taken() {
    let (read, now) = (serving(DAY), Timestamp::now());
    let judged = |read: &References, in_force, now| at(scraped("serving"), read, in_force, now);
    let first = judged(&read, None, now);
    assert!(first.references.is_resolved());
    let first = to_run(&first);
    let source = first.source.clone().unwrap();

    let soon = judged(&read, Some(&source), now + DAY * 9 / 10);
    assert_eq!(soon.references.reason, "CertificateExpiringSoon");
    assert_eq!(to_run(&soon), first, "there is nothing to reload");

    let later = now + DAY * 2;
    let expired = judged(&read, Some(&source), later);
    assert_eq!(expired.references.reason, "CertificateExpired");
    assert_eq!(expired.outcome, Outcome::Keep);
    assert_eq!(followed(&source, &read, later), first);
    // A process that starts now has nothing that could stay.
    let Outcome::Refuse(why) = judged(&read, None, later).outcome else { panic!("it was taken") };
    assert!(why.starts_with("spec.exporters[p].prometheus.tls.certificateRef: "), "{why}");

    let renewed = judged(&serving(DAY * 30), Some(&source), later);
    assert!(renewed.references.is_resolved());
    assert_ne!(to_run(&renewed).config, first.config);
}

#[test]
fn equal_facts_give_an_equal_verdict() {
    let (read, now) = (serving(DAY), Timestamp::now());
    let first = at(scraped("serving"), &read, None, now);
    let source = to_run(&first).source.unwrap();
    let minute = Duration::from_secs(60);
    assert_eq!(at(scraped("serving"), &read, Some(&source), now + minute), first);
    let waits = at(scraped("serving"), &References::default(), None, now);
    assert_eq!(waits.outcome, Outcome::Wait);
    assert_eq!(at(scraped("serving"), &References::default(), None, now + DAY), waits);
}

#[test]
fn a_view_that_the_pipeline_refuses_keeps_a_generation_from_being_put_in_force() {
    let refuse = |_: &MetricShape| {
        let (view, message) = ("v".to_owned(), "no".to_owned());
        vec![ViewRemark { view, refuses: true, message }]
    };
    let read = serving(DAY);
    let facts = Facts { references: &read, inspect: &refuse, now: Timestamp::now() };
    let refused = judge(OBJECT, &Ok(spec(scraped("serving"))), None, &facts);
    assert_eq!(refused.outcome, Outcome::Refuse("spec.metrics.views[v]: no".to_owned()));
    assert_eq!(refused.spec.reason, "UnsupportedValue");
    assert!(refused.references.is_resolved(), "nothing is wrong with those");
}

#[test]
fn what_is_good_goes_on_rotating_beside_what_expired() {
    let mut both = scraped("serving");
    let exporter = with_token(4317, "token")["exporters"][0].clone();
    both["exporters"].as_array_mut().unwrap().push(exporter);
    both["metrics"]["exporters"] = json!(["p", "o"]);
    let (pair, now) = (pair(DAY), Timestamp::now());
    let with = |token| references([certificate("serving", "1", &pair), token]);
    let first = to_run(&at(both, &with(token("token", "1", "old")), None, now));
    let source = first.source.clone().unwrap();

    let rotated = followed(&source, &with(token("token", "2", "new")), now + DAY * 2);
    assert_ne!(first.config, rotated.config, "the new token is in use");
    assert_eq!(
        first.config.metrics.sinks["p"], rotated.config.metrics.sinks["p"],
        "and so is the last certificate that was good"
    );
}
