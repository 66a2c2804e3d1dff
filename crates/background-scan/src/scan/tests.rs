use pharos_api::report::Outcome;
use pharos_reports::Digest;

use super::*;
use crate::known::Stamp;

use world::{API, World, namespace, stamp, target, uid, version};

mod failures;
mod world;

#[test]
fn every_object_gets_a_report_and_a_second_scan_writes_nothing() {
    let mut world = World::with(5);
    let done = world.settle();
    assert_eq!(done.iter().filter(|it| it.starts_with("page")).count(), 3);
    assert_eq!(world.reports.len(), 5);
    world.scan.concern_all();
    assert_eq!(world.settle(), ["page of 2", "page of 2", "page of 1"]);
    assert_eq!(world.scan.counts().written, 5);
}

#[test]
fn reports_that_are_as_they_should_be_are_not_written_after_a_restart() {
    let mut before = World::with(5);
    before.settle();
    let mut after = World::with(0);
    (after.objects, after.reports) = (before.objects, before.reports);
    after.list_reports();
    after.list();
    assert!(after.writes().is_empty());
}

#[test]
fn an_object_that_changes_is_read_alone_and_its_report_written_if_it_differs() {
    let mut world = World::with(5);
    world.settle();
    world.change(3);
    assert_eq!(world.settle(), ["object 3"], "the verdict is the same");
    world.verdict = Outcome::Pass;
    world.change(3);
    assert_eq!(world.settle(), ["object 3", "write 3"]);
}

#[test]
fn a_report_goes_with_its_object_and_with_the_policies_about_it() {
    let mut world = World::with(3);
    world.settle();
    world.objects.remove(&2);
    world.scan.deleted(world.id, uid(2));
    assert_eq!(world.writes(), ["delete 2"]);
    world.verdict = Outcome::Skip;
    world.scan.concern_all();
    assert_eq!(world.writes(), ["delete 1", "delete 3"]);
    assert_eq!(world.scan.known.iter().count(), 2, "the objects are still known");
}

#[test]
fn reports_go_with_the_last_policy_about_a_kind() {
    let mut world = World::with(3);
    world.settle();
    let watches = world.scan.set_targets(&BTreeSet::new());
    assert_eq!(watches.end, [world.id]);
    let mut writes = world.writes();
    writes.sort();
    assert_eq!(writes, ["delete 1", "delete 2", "delete 3"]);
    assert_eq!(world.scan.known.iter().count(), 0);
}

#[test]
fn a_resource_that_is_read_in_another_version_keeps_its_reports() {
    let mut world = World::with(3);
    world.settle();
    let other = Target { version: "v2".into(), ..target("pods") };
    let watches = world.scan.set_targets(&[other.clone()].into());
    assert_eq!((watches.end, watches.begin), (vec![], vec![(world.id, other.into())]));
    assert_eq!(world.scan.next(), None, "its objects are not listed yet");
    world.list();
    let done = world.settle();
    assert_eq!(done, ["page of 2", "page of 1"], "the same verdicts");
    assert_eq!(world.reports.len(), 3);
}

#[test]
fn a_change_of_policies_during_a_sweep_makes_what_was_read_before_void() {
    let mut world = World::with(3);
    let Some(Job::Page(page)) = world.scan.next() else { panic!("a page is read first") };
    world.scan.concern(world.id, Concern::Everything);
    let objects = vec![world.judged(1), world.judged(2)];
    world.scan.page_read(&page, Read::Judged { objects, more: Some("2".to_owned()) });
    assert_eq!(world.scan.counts().judged, 0);
    world.verdict = Outcome::Pass;
    world.settle();
    assert_eq!(world.reports.len(), 3);
    assert_eq!(world.scan.progress().stale, 0);
}

#[test]
fn a_change_that_concerns_one_namespace_reads_no_other() {
    let mut world = World::with(9);
    world.settle();
    world.scan.concern(world.id, Concern::Namespaces(["n1".into()].into()));
    assert_eq!(world.settle(), ["page of 2", "page of 1"]);
}

#[test]
fn an_older_state_than_the_watch_has_told_of_is_not_believed() {
    let mut world = World::with(1);
    let Some(Job::Page(page)) = world.scan.next() else { panic!("a page is read first") };
    let stale = world.judged(1);
    world.change(1);
    world.scan.page_read(&page, Read::Judged { objects: vec![stale], more: None });
    assert_eq!(world.scan.counts().judged, 0);
    assert_eq!(world.settle(), ["object 1", "write 1"]);
}

#[test]
fn an_object_that_is_gone_is_not_asked_for_again_before_the_watch_tells() {
    let mut world = World::with(2);
    world.settle();
    world.change(1);
    world.objects.remove(&1);
    assert_eq!(world.settle(), ["object 1"]);
    world.scan.deleted(world.id, uid(1));
    assert_eq!(world.settle(), ["delete 1"]);
}

#[test]
fn a_report_that_somebody_changed_is_looked_at_and_one_that_was_deleted_written_again() {
    let mut world = World::with(2);
    world.settle();
    let (_, digest) = world.reports[&1];
    world.clock += 1;
    let edited = SeenReport {
        uid: uid(1),
        namespace: namespace(1),
        version: version(world.clock),
        owner: None,
        stamp: stamp(digest),
    };
    world.scan.report_applied(&edited);
    assert_eq!(world.settle(), ["object 1", "write 1"]);
    world.reports.remove(&2);
    world.scan.report_deleted(uid(2));
    assert_eq!(world.settle(), ["object 2", "write 2"]);
}

#[test]
fn with_an_engine_that_writes_the_same_report_nobody_fights_for_ever() {
    let mut world = World::with(1);
    world.settle();
    let mut mended = 0;
    for _ in 0..20 {
        world.clock += 1;
        let (uid, namespace) = (uid(1), namespace(1));
        let theirs = SeenReport {
            uid,
            namespace,
            version: version(world.clock),
            owner: None,
            stamp: stamp(Digest(9)),
        };
        world.scan.report_applied(&theirs);
        mended += world.writes().len();
    }
    assert_eq!(mended, 4);
    assert_eq!(world.scan.counts().contested, 20);
    world.scan.concern_all();
    assert_eq!(world.writes(), ["write 1"], "the next sweep mends it");
}

#[test]
fn being_told_of_what_it_wrote_itself_changes_nothing() {
    let mut world = World::with(2);
    world.settle();
    for number in [1, 2] {
        let (at, digest) = world.reports[&number];
        let (uid, namespace) = (uid(number), namespace(number));
        let report =
            SeenReport { uid, namespace, version: version(at), owner: None, stamp: stamp(digest) };
        world.scan.report_applied(&report);
    }
    assert!(world.settle().is_empty());
}

#[test]
fn a_report_without_an_object_goes_at_the_second_look_if_it_is_ours() {
    let mut world = World::with(1);
    world.settle();
    for (number, digest) in [(7, Digest(1)), (8, Digest::default())] {
        let (uid, namespace) = (uid(number), namespace(number));
        let report =
            SeenReport { uid, namespace, version: version(1), owner: None, stamp: stamp(digest) };
        world.reports.insert(number, (1, digest));
        world.scan.report_applied(&report);
    }
    world.scan.look_for_orphans(&HashSet::new());
    assert!(world.writes().is_empty(), "its object may be told of in a moment");
    world.scan.look_for_orphans(&HashSet::new());
    assert_eq!(world.writes(), ["delete 7"]);
}

#[test]
fn reports_of_another_engine_are_taken_over_where_policies_speak_and_left_where_not() {
    let mut world = World::with(0);
    for number in [1, 2] {
        world.objects.insert(number, 1);
        world.reports.insert(number, (1, Digest::default()));
    }
    world.list_reports();
    world.verdict = Outcome::Skip;
    world.list();
    assert!(world.writes().is_empty());
    world.verdict = Outcome::Fail;
    world.scan.concern_all();
    assert_eq!(world.writes(), ["write 1", "write 2"]);
}

#[test]
fn who_takes_over_looks_at_all_of_it_and_who_hands_over_at_nothing() {
    let mut mine = World::with(30);
    mine.settle();
    let both = ["me", "other"];
    mine.scan.set_share(Share::of("me", both));
    assert!(mine.settle().is_empty());
    mine.scan.concern_all();
    let pages = mine.settle().len();
    mine.scan.set_share(Share::of("me", ["me"]));
    let gained = mine.settle();
    assert!(gained.iter().all(|it| it.starts_with("page")), "nothing is written: {gained:?}");
    assert!(pages + gained.len() >= 15, "{pages} pages, and {} gained", gained.len());
}

#[test]
fn two_that_share_the_work_write_each_report_once() {
    let both = ["me", "other"];
    let mut written = BTreeMap::<String, usize>::new();
    for me in both {
        let mut world = World::with(30);
        world.scan.set_share(Share::of(me, both));
        for write in world.writes() {
            *written.entry(write).or_default() += 1;
        }
    }
    assert_eq!(written.len(), 30);
    assert!(written.values().all(|count| *count == 1), "{written:?}");
}

#[test]
fn nothing_is_read_before_reports_are_known_nor_while_many_wait_to_be_written() {
    let mut scan = Scan::new(Keeping::In(API), Share::of("me", ["me"]));
    let watches = scan.set_targets(&[target("pods")].into());
    scan.listed(watches.begin[0].0, Vec::new());
    assert_eq!(scan.next(), None);
    let mut world = World::with(600);
    let mut reads = 0;
    let mut waiting = 0;
    while let Some(job) = world.scan.next() {
        let Job::Page(page) = job else { continue };
        reads += 1;
        let from = reads * 100;
        let objects = (from - 99..=from).map(|number| world.judged(number)).collect();
        world.scan.page_read(&page, Read::Judged { objects, more: Some(from.to_string()) });
        waiting = waiting.max(world.scan.progress().waiting);
    }
    assert!(waiting <= WAITING + 100, "{waiting}");
    assert!(reads < 6, "{reads}");
}

#[test]
fn without_reports_to_keep_objects_are_judged_and_nothing_is_written() {
    let mut world = World::with(3);
    world.scan = Scan::new(Keeping::Nowhere, Share::of("me", ["me"]));
    let watches = world.scan.set_targets(&[target("pods")].into());
    world.id = watches.begin[0].0;
    world.list();
    assert_eq!(world.settle(), ["page of 2", "page of 1"]);
    assert_eq!(world.scan.counts().judged, 3);
}

#[test]
fn what_admissions_write_into_a_report_is_nobodys_contest() {
    let mut world = World::with(1);
    world.settle();
    world.admit(1, "a");
    assert!(world.settle().is_empty());
    world.admit(1, "b");
    assert!(world.settle().is_empty());
    assert_eq!(world.scan.counts().contested, 0);
    world.edit(1);
    assert_eq!(world.settle(), ["object 1", "write 1"], "this was somebody else");
}

#[test]
fn a_report_in_which_admissions_say_something_stays_without_what_scans_say() {
    let mut world = World::with(2);
    world.settle();
    let left = world.admit(1, "a");
    world.tidied.insert(1, Stamp { digest: Digest::default(), ..left });
    world.verdict = Outcome::Skip;
    world.scan.concern_all();
    let mut writes = world.writes();
    writes.sort();
    assert_eq!(writes, ["delete 2", "tidy 1, drop"]);
    world.scan.concern_all();
    assert!(world.writes().is_empty(), "there is nothing of scans in it");
    world.objects.remove(&1);
    world.scan.deleted(world.id, uid(1));
    assert_eq!(world.writes(), ["delete 1"], "it goes with its object");
}

#[test]
fn reports_with_results_of_admissions_are_tidied_when_policies_are_known_and_when_one_goes() {
    let mut world = World::with(3);
    world.settle();
    let left = world.admit(2, "a");
    world.tidied.insert(2, left);
    assert!(world.settle().is_empty(), "no policies are known");
    world.scan.tidy_all();
    assert_eq!(world.settle(), ["tidy 2, keep"]);
    assert!(world.settle().is_empty());
    world.scan.tidy_all();
    assert_eq!(world.settle(), ["tidy 2, keep"]);
    world.reports.remove(&2);
    world.scan.report_deleted(uid(2));
    world.settle();
    world.scan.tidy_all();
    assert!(world.settle().is_empty(), "nothing of admissions is left");
}

#[test]
fn a_report_that_is_being_written_is_tidied_after_that() {
    let mut world = World::with(1);
    world.settle();
    world.admit(1, "a");
    world.verdict = Outcome::Pass;
    world.change(1);
    let Some(Job::Object(single)) = world.scan.next() else { panic!("the object is read") };
    let objects = vec![world.judged(1)];
    world.scan.object_read(&single, Read::Judged { objects, more: None });
    let Some(Job::Write(write)) = world.scan.next() else { panic!("the report is written") };
    world.scan.tidy_all();
    assert_eq!(world.scan.next(), None);
    let stamp = world.admit(1, "b");
    let written = Stamp { digest: write.desired.digest, ..stamp };
    world.scan.written(write.uid, Written::Stored(version(world.clock), written));
    world.tidied.insert(1, written);
    assert_eq!(world.settle(), ["tidy 1, keep"]);
}

#[test]
fn a_tidying_that_failed_is_done_again() {
    let mut world = World::with(1);
    world.settle();
    let left = world.admit(1, "a");
    world.scan.tidy_all();
    let Some(Job::Tidy(tidy)) = world.scan.next() else { panic!("the report is looked at") };
    world.scan.written(tidy.removal.uid, Written::Failed);
    world.tidied.insert(1, left);
    assert!(world.settle().contains(&"tidy 1, keep".to_owned()));
}

#[test]
fn what_is_scanned_no_more_leaves_what_admissions_say_and_what_never_was_is_left_alone() {
    let mut world = World::with(1);
    world.settle();
    let left = world.admit(1, "a");
    world.admit(9, "a");
    world.tidied.insert(1, Stamp { digest: Digest::default(), ..left });
    world.scan.set_targets(&BTreeSet::new());
    world.scan.look_for_orphans(&HashSet::new());
    assert!(world.settle().is_empty());
    world.scan.look_for_orphans(&HashSet::new());
    assert_eq!(world.settle(), ["tidy 1, drop"]);
    world.scan.look_for_orphans(&HashSet::new());
    world.scan.look_for_orphans(&HashSet::new());
    assert!(world.settle().is_empty(), "they go with what owns them");
}
