use super::*;
use crate::known::KindInGroup;

const FAILED: Read = Read::Failed(Trouble::Overloaded);

#[test]
fn what_failed_is_done_again() {
    let mut world = World::with(3);
    let Some(Job::Page(page)) = world.scan.next() else { panic!("a page is read first") };
    let Some(rest) = world.scan.page_read(&page, FAILED) else { panic!("it has to rest") };
    assert_eq!(world.scan.next(), None);
    assert_eq!(world.scan.status().resources[0].trouble.as_deref(), Some("Overloaded"));
    world.scan.rested(rest);
    let Some(Job::Page(again)) = world.scan.next() else { panic!("and again") };
    assert_eq!(again, page);
    let objects = (1..=3).map(|number| world.judged(number)).collect();
    let rest = world.scan.page_read(&again, Read::Judged { objects, more: None });
    assert_eq!(rest, None);
    assert_eq!(world.scan.status().resources[0].trouble, None);
    let Some(Job::Write(write)) = world.scan.next() else { panic!("a report is written") };
    world.scan.written(write.uid, Written::Failed);
    world.settle();
    assert_eq!(world.reports.len(), 3);
    assert_eq!(world.scan.counts().failed, 2);
}

#[test]
fn a_token_that_is_too_old_begins_its_place_anew() {
    let mut world = World::with(5);
    let Some(Job::Page(first)) = world.scan.next() else { panic!("a page is read first") };
    let objects = vec![world.judged(1), world.judged(2)];
    world.scan.page_read(&first, Read::Judged { objects, more: Some("2".to_owned()) });
    let mut page = world.scan.next();
    while matches!(page, Some(Job::Write(_))) {
        page = world.scan.next();
    }
    let Some(Job::Page(second)) = page else { panic!("another page") };
    assert_eq!(second.token.as_deref(), Some("2"));
    world.scan.page_read(&second, Read::Expired);
    let Some(Job::Page(third)) = world.scan.next() else { panic!("another page") };
    assert_eq!(third, first);
}

#[test]
fn a_list_that_says_of_its_first_page_that_it_is_too_old_is_left_alone_for_a_while() {
    let mut world = World::with(1);
    let Some(Job::Page(page)) = world.scan.next() else { panic!("a page is read first") };
    assert!(world.scan.page_read(&page, Read::Expired).is_some());
    assert_eq!(world.scan.next(), None);
}

#[test]
fn who_serves_one_resource_and_fails_keeps_no_other_waiting() {
    let mut world = World::with(5);
    let watches = world.scan.set_targets(&[target("pods"), target("loads")].into());
    let [(loads, _)] = watches.begin[..] else { panic!("one more") };
    let load = Seen {
        uid: uid(100),
        namespace: "n0".to_owned(),
        name: "load".to_owned(),
        version: version(1),
    };
    world.scan.listed(loads, vec![load.clone()]);
    let mut rest = None;
    for _ in 0..100 {
        match world.scan.next() {
            None => break,
            Some(Job::Page(page)) if page.id == loads => {
                assert_eq!(rest, None, "it is left alone");
                rest = world.scan.page_read(&page, FAILED);
            }
            Some(job) => world.do_job(&job),
        }
    }
    assert_eq!(world.reports.len(), 5);
    // What changes meanwhile is not asked for either.
    world.scan.applied(loads, &Seen { version: version(2), ..load });
    assert_eq!(world.scan.next(), None);
    let Some(rest) = rest else { panic!("it was asked for once") };
    world.scan.rested(rest);
    assert!(matches!(world.scan.next(), Some(Job::Page(page)) if page.id == loads));
}

#[test]
fn targets_take_turns() {
    let mut world = World::with(5);
    let watches = world.scan.set_targets(&[target("pods"), target("loads")].into());
    let [(loads, _)] = watches.begin[..] else { panic!("one more") };
    let load = |number| Seen {
        uid: uid(number),
        namespace: "n0".to_owned(),
        name: format!("load-{number}"),
        version: version(1),
    };
    world.scan.listed(loads, (100..105).map(load).collect());
    let mut order = Vec::new();
    while order.len() < 4 {
        match world.scan.next() {
            Some(Job::Page(page)) if page.id == loads => {
                order.push("loads");
                let more = Some("more".to_owned());
                assert!(
                    world.scan.page_read(&page, Read::Judged { objects: vec![], more }).is_none()
                );
            }
            Some(job) => {
                order.extend(matches!(job, Job::Page(_)).then_some("pods"));
                world.do_job(&job);
            }
            None => panic!("there is more to read"),
        }
    }
    assert_eq!(order, ["pods", "loads", "pods", "loads"]);
}

#[test]
fn what_is_refused_is_tried_again_a_few_at_a_time_and_not_at_once() {
    let mut world = World::with(5);
    let mut refused = 0;
    while let Some(job) = world.scan.next() {
        match job {
            Job::Write(write) => {
                refused += 1;
                world.scan.written(write.uid, Written::Refused);
            }
            other => world.do_job(&other),
        }
    }
    // Once, and once more at the end of the sweep.
    assert!((5..=10).contains(&refused), "{refused}");
    assert_eq!(world.scan.progress().stale, 5);
    assert_eq!(world.scan.try_again(2), 2);
    assert_eq!(world.writes().len(), 2);
    assert_eq!(world.scan.try_again(10), 3);
    assert_eq!(world.writes().len(), 3);
    assert_eq!((world.scan.try_again(10), world.scan.progress().stale), (0, 0));
}

#[test]
fn a_report_without_an_object_stays_where_its_kind_is_not_served_or_cannot_be_looked_at() {
    let mut world = World::with(1);
    world.settle();
    let pods = KindInGroup::of("pods", "");
    let owners = [(7, pods.clone()), (8, KindInGroup::of("Load", "example.com"))];
    for (number, owner) in owners {
        let report = SeenReport {
            uid: uid(number),
            namespace: namespace(number),
            version: version(1),
            owner: Some(owner),
            stamp: stamp(Digest(1)),
        };
        world.reports.insert(number, (1, Digest(1)));
        world.scan.report_applied(&report);
    }
    let looked_twice = |world: &mut World, served: &[KindInGroup]| {
        let served = served.iter().cloned().collect();
        world.scan.look_for_orphans(&served);
        world.scan.look_for_orphans(&served);
        world.writes()
    };
    assert!(looked_twice(&mut world, &[]).is_empty(), "nothing is served");
    world.scan.unlisted(world.id, Trouble::Unreachable);
    let loads = KindInGroup::of("Load", "example.com");
    assert!(looked_twice(&mut world, std::slice::from_ref(&pods)).is_empty());
    assert_eq!(looked_twice(&mut world, &[pods.clone(), loads]), ["delete 8"]);
    world.list();
    assert_eq!(looked_twice(&mut world, &[pods]), ["delete 7"]);
}
