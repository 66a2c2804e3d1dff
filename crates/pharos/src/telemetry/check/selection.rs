//! Who would decide for which component, were the files applied: the selection of the controller,
//! over the objects of the files and those that are there already. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pharos_api::condition::AcceptedReason;
use pharos_api::telemetryconfig::Component;
use pharos_operator::select::{Candidate, Scope, Winners, select};

use super::subject::Subject;
use super::verdict::{Finding, Severity};

/// A TelemetryConfig that the API server holds.
#[derive(Clone, Debug)]
pub(super) struct Existing {
    /// When it was created.
    pub(super) created: Option<Timestamp>,
    /// The components that it asks for.
    pub(super) scope: Scope,
}

/// The TelemetryConfigs of each namespace, by name.
pub(super) type Namespaces = BTreeMap<String, BTreeMap<String, Existing>>;

/// How an object would stand among the others of its namespace.
#[derive(Debug)]
pub(super) struct Standing {
    /// The reason that Accepted would have, were there nothing wrong with the object by itself.
    pub(super) accepted: AcceptedReason,
    /// The components that it would win.
    pub(super) wins: Vec<Component>,
    /// What it loses, or takes.
    pub(super) findings: Vec<Finding>,
}

/// How each of `subjects` would stand, in their order.
pub(super) fn standings(subjects: &[Subject], namespaces: &Namespaces) -> Vec<Standing> {
    subjects.iter().map(|subject| standing(subject, subjects, namespaces)).collect()
}

fn standing(subject: &Subject, subjects: &[Subject], namespaces: &Namespaces) -> Standing {
    let existing = namespaces.get(&subject.namespace);
    let before = winners(existing.into_iter().flatten());
    // What is applied keeps the age of what it replaces, and is the youngest otherwise.
    let mut objects: BTreeMap<_, _> = existing.cloned().unwrap_or_default();
    for other in subjects.iter().filter(|other| other.namespace == subject.namespace) {
        let created = objects.get(&other.name).and_then(|existing| existing.created);
        objects.insert(other.name.clone(), Existing { created, scope: other.scope.clone() });
    }
    let after = winners(&objects);
    let mut wins = Vec::new();
    let mut lost = Vec::new();
    let mut findings: Vec<_> = twice(subject, subjects).into_iter().collect();
    for component in Component::ALL.into_iter().filter(|it| subject.scope.covers(*it)) {
        let Some(winner) = after.of(component) else { continue };
        if winner != subject.name {
            lost.push(format!("{component:?} to {winner:?}"));
            continue;
        }
        wins.push(component);
        if let Some(loser) = before.of(component).filter(|loser| *loser != winner) {
            let message = format!("takes {component:?} from {loser:?}, which decides for it now");
            findings.push(note(message));
        }
    }
    let lost = lost.join(" and ");
    let mut accepted = AcceptedReason::Accepted;
    if wins.is_empty() {
        let message = format!(
            "loses {lost}: an object that names its components beats one for all, then the oldest \
             wins, then the first by name"
        );
        accepted = AcceptedReason::Conflicted;
        findings.push(Finding::new(Severity::Problem, accepted.as_str(), COMPONENTS, message));
    } else if !lost.is_empty() {
        findings.push(note(format!("loses {lost}")));
    }
    Standing { accepted, wins, findings }
}

const COMPONENTS: &str = "spec.components";

fn note(message: String) -> Finding {
    Finding::new(Severity::Note, AcceptedReason::Accepted.as_str(), COMPONENTS, message)
}

/// The winners by name, which is all that tells objects of one namespace apart here.
fn winners<'a>(objects: impl IntoIterator<Item = (&'a String, &'a Existing)>) -> Winners {
    let candidates: Vec<_> = objects
        .into_iter()
        .map(|(name, Existing { created, scope })| Candidate {
            uid: name,
            name,
            created: *created,
            scope,
        })
        .collect();
    select(&candidates)
}

/// What is applied later replaces what is applied before.
fn twice(subject: &Subject, subjects: &[Subject]) -> Option<Finding> {
    let same = |other: &&Subject| {
        !other.name.is_empty()
            && (&other.namespace, &other.name) == (&subject.namespace, &subject.name)
    };
    let mut alike = subjects.iter().filter(same);
    let first = alike.next().filter(|first| !std::ptr::eq(*first, subject))?;
    let Subject { namespace, name, .. } = subject;
    let message =
        format!("{namespace}/{name} is in {} already; the last one would stay", first.file);
    let invalid = AcceptedReason::Invalid.as_str();
    Some(Finding::new(Severity::Problem, invalid, "metadata.name", message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Component::{Admission, BackgroundScan};

    fn subject(name: &str, components: &[Component]) -> Subject {
        Subject {
            file: format!("{name}.yaml"),
            namespace: "engine".to_owned(),
            name: name.to_owned(),
            scope: Scope::of(components),
            spec: None,
            findings: Vec::new(),
        }
    }

    fn cluster(objects: &[(&str, i64, &[Component])]) -> Namespaces {
        let existing = |(name, created, components): &(&str, i64, &[Component])| {
            let created = Some(Timestamp::from_second(*created).unwrap());
            ((*name).to_owned(), Existing { created, scope: Scope::of(components) })
        };
        [("engine".to_owned(), objects.iter().map(existing).collect())].into()
    }

    fn said(standing: &Standing) -> Vec<(Severity, &str)> {
        standing.findings.iter().map(|it| (it.severity, it.message.as_str())).collect()
    }

    #[test]
    fn one_object_alone_wins_what_it_asks_for() {
        let standings = standings(&[subject("a", &[Admission])], &Namespaces::new());
        assert_eq!(standings[0].wins, [Admission]);
        assert!(standings[0].findings.is_empty());
    }

    #[test]
    fn objects_of_the_files_compete_and_the_loser_is_told_the_winner() {
        let subjects = [subject("b", &[]), subject("a", &[]), subject("scan", &[BackgroundScan])];
        let standings = standings(&subjects, &Namespaces::new());
        assert_eq!(standings[0].wins, []);
        assert_eq!(standings[0].findings[0].reason, "Conflicted");
        assert_eq!(standings[0].accepted, AcceptedReason::Conflicted);
        assert!(said(&standings[0])[0].1.starts_with(
            "loses Admission to \"a\" and BackgroundScan to \"scan\": an object that names"
        ));
        assert_eq!(standings[1].wins, [Admission]);
        assert_eq!(said(&standings[1]), [(Severity::Note, "loses BackgroundScan to \"scan\"")]);
        assert_eq!(standings[2].wins, [BackgroundScan]);
    }

    #[test]
    fn what_is_there_is_older_and_what_is_replaced_keeps_its_age() {
        let there = cluster(&[("old", 1, &[]), ("new", 2, &[])]);
        let lost = &standings(&[subject("another", &[])], &there)[0];
        assert_eq!((lost.wins.len(), lost.findings[0].severity), (0, Severity::Problem));
        let same = &standings(&[subject("old", &[])], &there)[0];
        assert_eq!((same.wins.len(), same.findings.len()), (2, 0));
        let taken = &standings(&[subject("mine", &[Admission])], &there)[0];
        let message = "takes Admission from \"old\", which decides for it now";
        assert_eq!(said(taken), [(Severity::Note, message)]);
        assert_eq!(taken.wins, [Admission]);
    }

    #[test]
    fn other_namespaces_do_not_compete() {
        let mut elsewhere = subject("a", &[]);
        elsewhere.namespace = "other".to_owned();
        let standings = standings(&[subject("b", &[]), elsewhere], &Namespaces::new());
        assert!(standings.iter().all(|it| it.wins.len() == 2 && it.findings.is_empty()));
    }

    #[test]
    fn the_same_object_twice_is_a_problem_of_the_second() {
        let mut again = subject("a", &[]);
        again.file = "b.yaml".to_owned();
        let standings = standings(&[subject("a", &[]), again], &Namespaces::new());
        assert!(standings[0].findings.is_empty());
        let message = "engine/a is in a.yaml already; the last one would stay";
        assert_eq!(said(&standings[1]), [(Severity::Problem, message)]);
    }
}
