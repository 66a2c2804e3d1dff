use jiff::Timestamp;

use super::*;
use crate::judge::tests::namespace::about;
use crate::replicas::LiveReplica;
use crate::report::{CertificateReport, Report};

/// Replicas, the versions of their Secrets, and whether they say that they are programmed.
type Replicas<'a> = &'a [(&'a str, &'a [(&'a str, &'a str)], State)];

fn observe(certificates: &mut Certificates, replicas: Replicas<'_>) -> Vec<String> {
    let replicas: Vec<_> = replicas
        .iter()
        .map(|(name, versions, state)| {
            let mut config = about("a", 1, state.clone()).unwrap();
            config.references.certificates = versions
                .iter()
                .map(|(secret, version)| CertificateReport {
                    secret: (*secret).to_owned(),
                    version: (*version).to_owned(),
                    not_after: Timestamp::UNIX_EPOCH,
                })
                .collect();
            let report = Report { components: [].into(), config: Some(config) };
            LiveReplica { name: (*name).to_owned(), report }
        })
        .collect();
    let obeying: Vec<_> = replicas
        .iter()
        .map(|replica| Obeying { replica, report: replica.report.config.as_ref() })
        .collect();
    certificates.observe(&obeying)
}

const NOTHING: [String; 0] = [];

#[test]
fn a_rotation_is_complete_when_the_last_replica_follows_and_is_told_once() {
    use State::Programmed;
    let mut certificates = Certificates::default();
    let old: &[_] = &[("c", "1"), ("d", "1")];
    let new: &[_] = &[("c", "2"), ("d", "1")];
    let mut see = |first, second| {
        observe(&mut certificates, &[("r1", first, Programmed), ("r2", second, Programmed)])
    };
    assert_eq!(see(old, old), NOTHING, "a new leader takes what it finds for settled");
    assert_eq!(see(new, old), NOTHING);
    assert_eq!(see(new, new), ["c"]);
    assert_eq!(see(new, new), NOTHING);
    assert_eq!(see(&[("c", "3"), ("d", "9")], &[("c", "3"), ("d", "9")]), ["c", "d"]);
}

#[test]
fn a_leader_that_takes_over_within_a_rotation_tells_its_end() {
    use State::Programmed;
    let mut certificates = Certificates::default();
    let mut see = |first, second| {
        let (first, second): (&[_], &[_]) = (&[("c", first)], &[("c", second)]);
        observe(&mut certificates, &[("r1", first, Programmed), ("r2", second, Programmed)])
    };
    assert_eq!(see("2", "1"), NOTHING);
    assert_eq!(see("2", "2"), ["c"]);
}

#[test]
fn replicas_that_come_and_go_rotate_nothing() {
    use State::Programmed;
    let mut certificates = Certificates::default();
    let at = |version| -> Vec<(&str, &str)> { vec![("c", version)] };
    let (one, other) = (at("1"), at("2"));
    assert_eq!(observe(&mut certificates, &[("r1", &one, Programmed)]), NOTHING);
    // It read the same content in a version with other labels.
    let both: Replicas<'_> = &[("r1", &one, Programmed), ("r2", &other, Programmed)];
    assert_eq!(observe(&mut certificates, both), NOTHING);
    assert_eq!(observe(&mut certificates, &[("r2", &other, Programmed)]), NOTHING);
    assert_eq!(observe(&mut certificates, both), NOTHING);
    assert_eq!(observe(&mut certificates, &[]), NOTHING);
    assert_eq!(observe(&mut certificates, both), NOTHING);
}

#[test]
fn a_replica_that_is_at_it_is_waited_for_and_one_without_the_secret_is_not() {
    use State::{Applying, Programmed};
    let mut certificates = Certificates::default();
    let (old, new): (&[_], &[_]) = (&[("c", "1")], &[("c", "2")]);
    let mut see = |first, second, state| {
        observe(&mut certificates, &[("r1", first, Programmed), ("r2", second, state)])
    };
    assert_eq!(see(old, old, Programmed), NOTHING);
    assert_eq!(see(new, &[], Applying), NOTHING);
    assert_eq!(see(new, &[], Programmed), ["c"]);
}
