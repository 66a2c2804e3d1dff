//! Whatever happens in whatever order: once nothing happens any more, what runs is what the last
//! spec and Secrets ask for, and stays.

use super::world::World;
use super::*;
use crate::report::CertificateReport;

const SEEDS: u64 = 400;
const LENGTH: usize = 120;

#[test]
fn every_schedule_ends_in_what_was_asked_for_last_and_stays_there() {
    let (short, long) = (pair(DAY / 24), pair(DAY * 90));
    let now = Timestamp::now();
    let mut ends = BTreeMap::<_, usize>::new();
    for seed in 0..SEEDS {
        let mut world = World::new(seed, [short.clone(), long.clone()], now);
        for _ in 0..LENGTH {
            world.disturb();
        }
        world.settle();
        *ends.entry(end_of(seed, &world)).or_default() += 1;
        assert_eq!(world.poke(), [], "seed {seed}: it does not stay");
        assert!(world.commits > 0, "seed {seed}");
    }
    println!("{ends:?}");
    assert_eq!(ends.len(), 5, "a kind of end that no schedule had: {ends:?}");
}

/// Checks the end of a schedule; which kind of end it is.
fn end_of(seed: u64, world: &World) -> &'static str {
    let core = &world.process.core;
    let Candidate { config, source } = &core.running;
    let said = world.process.said.as_ref().and_then(|report| report.config.as_ref());
    assert_eq!(core.target, world.target(), "seed {seed}");
    let mut needed = world.process.wanted.clone();
    for spec in core.target.spec().into_iter().chain(source.as_ref().map(|it| &*it.spec)) {
        let wanted = wanted_by(spec);
        assert!(wanted.keys().all(|it| world.process.wanted.contains_key(it)), "seed {seed}");
        needed.retain(|object, _| !wanted.contains_key(object));
    }
    let Target::Object { uid, generation, spec, .. } = &core.target else {
        assert_eq!((config, source, said), (&Config::prometheus(), &None, None), "seed {seed}");
        assert!(needed.is_empty(), "seed {seed}: {needed:?}");
        return "defaults";
    };
    let said = said.expect("an object is reported");
    assert_eq!((&said.uid, said.generation), (uid, *generation), "seed {seed}");
    if let Some(resolved) = spec.as_ref().ok().and_then(|spec| world.resolved(spec)) {
        assert_eq!((config, &said.state), (&resolved.config, &State::Programmed), "seed {seed}");
        assert!(said.references.is_resolved() && needed.is_empty(), "seed {seed}: {needed:?}");
        let ends =
            |all: &[CertificateReport]| all.iter().map(|it| it.not_after).collect::<Vec<_>>();
        let certificates = (&said.references.certificates, &resolved.expiry.certificates);
        assert_eq!(ends(certificates.0), ends(certificates.1), "seed {seed}");
        return "programmed";
    }
    let Some(source) = source else {
        assert_eq!(config, &Config::prometheus(), "seed {seed}");
        assert_eq!(world.usable_revision(uid, *generation), None, "seed {seed}: it was not read");
        let State::Failed { running: Running::Defaults, .. } = said.state else {
            panic!("seed {seed}: {said:?}")
        };
        return "refused, defaults";
    };
    assert!(needed.is_empty(), "seed {seed}: {needed:?}");
    if let Some(resolved) = world.resolved(&source.spec) {
        assert_eq!(config, &resolved.config, "seed {seed}: what runs was not followed");
    }
    if source.is_of(uid, *generation) && spec.is_ok() {
        assert_eq!(said.state, State::Programmed, "seed {seed}");
        assert!(!said.references.is_resolved(), "seed {seed}");
        return "programmed, with what was read before";
    }
    let State::Failed { running: Running::PreviousConfig, .. } = said.state else {
        panic!("seed {seed}: {said:?}")
    };
    "refused, what ran before"
}
