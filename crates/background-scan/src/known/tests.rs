use super::*;

const OBJECTS: usize = 30_000;

fn uid(number: usize) -> Uid {
    // Spread like those that an API server makes, and the same in every run.
    let spread = pharos_reports::digest::of(&number.to_be_bytes());
    Uid(Uuid::from_u64_pair(spread, number as u64))
}

fn objects(known: &Known) -> usize {
    known.iter().filter(|(_, entry)| entry.target.is_some()).count()
}

fn fill(known: &mut Known, objects: usize) {
    for number in 0..objects {
        let namespace = format!("team-{}", number % 200);
        let name = format!("storefront-7d4b9c8f6d-{number:05}-x2x4z");
        let entry = known.object(uid(number), TargetId::FIRST, &namespace, &name);
        entry.seen = Version(number as u64);
        entry.report = Version(number as u64);
    }
}

/// At the worst moment of a table that grows by doubling: just after it grew.
#[test]
fn an_object_takes_no_more_than_200_bytes() {
    for objects in [1_000, 3_600, 14_400, 20_000, 28_700, OBJECTS] {
        let mut known = Known::default();
        let took = allocation_counter::measure(|| fill(&mut known, objects));
        let each = took.bytes_current / objects as i64;
        println!("{objects} objects: {each} bytes each");
        assert!(each <= 200, "{each} bytes for each of {objects} objects");
    }
}

#[test]
fn what_is_removed_takes_nothing() {
    let mut known = Known::default();
    let left = allocation_counter::measure(|| {
        fill(&mut known, 1_000);
        (0..1_000).for_each(|number| known.remove(uid(number)));
        known.entries.shrink_to_fit();
        known.names = Names::default();
    });
    assert_eq!((objects(&known), left.bytes_current), (0, 0));
}

#[test]
fn a_uid_is_written_as_it_was_read_or_not_read_at_all() {
    let text = "2e8b0e9c-0cbd-4f6c-a1a3-5a4d41ba3a37";
    assert_eq!(Uid::parse(text).unwrap().to_string(), text);
    let upper = text.to_uppercase();
    for other in ["", "my-uid", &upper, "2e8b0e9c0cbd4f6ca1a35a4d41ba3a37", &format!("{{{text}}}")]
    {
        assert_eq!(Uid::parse(other), None, "{other}");
    }
}

#[test]
fn versions_are_ordered_as_numbers_and_told_apart_if_they_are_none() {
    let version = Version::parse;
    assert!(version("10").is_after(version("9")) && !version("9").is_after(version("10")));
    assert!(!version("9").is_after(version("9")) && version("1").is_after(Version::default()));
    assert!(version("a").is_after(version("b")) && version("b").is_after(version("a")));
    assert!(!version("a").is_after(version("a")));
    assert_ne!(Version::parse("a"), Version::parse("b"));
    assert_eq!(Version::parse("a"), Version::parse("a"));
    assert!(!Version::parse("a").is_none());
    assert_eq!(Version::parse("10").text().as_deref(), Some("10"));
    assert_eq!(Version::parse("a").text(), None);
}

#[test]
fn a_stamp_tells_a_report_with_results_of_admissions_from_one_without() {
    let said = |text: &str| {
        let annotations = [(DIGEST, "1f"), (ADMISSION, text)];
        let annotations = annotations.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Stamp::of(Some(&annotations.into()))
    };
    assert_eq!(said("a").digest, Digest(0x1f));
    assert!(said("a").admitted.is_some() && said("a") == said("a"));
    assert_ne!(said("a"), said("b"));
    assert_eq!(Stamp::of(None), Stamp::default());
    let each = (0..1000_u32).map(|number| said(&number.to_string()).admitted);
    assert!(each.into_iter().all(Admissions::is_some), "none is taken for none");
}

#[test]
fn a_report_becomes_that_of_an_object_once_the_object_is_known() {
    let mut known = Known::default();
    known.report(uid(1), "shop", None).report = Version(7);
    assert_eq!(objects(&known), 0);
    let entry = known.object(uid(1), TargetId::FIRST, "shop", "web");
    assert_eq!((entry.report, entry.name()), (Version(7), "web"));
    assert_eq!(objects(&known), 1);
    let entry = known.get(uid(1)).unwrap();
    assert_eq!(known.namespace(entry), "shop");
}

#[test]
fn how_often_a_report_was_contested_is_counted_beside_the_flags() {
    let mut state = State::default();
    state.mark(Flag::Ours);
    state.mark(Flag::Stale);
    let counts: Vec<u8> = (0..9)
        .map(|_| {
            state.contest();
            state.contests()
        })
        .collect();
    assert_eq!(counts, [1, 2, 3, 4, 5, 6, 7, 7, 7]);
    state.clear(Flag::Stale);
    assert!(state.is(Flag::Ours) && !state.is(Flag::Stale) && state.contests() == 7);
    state.forgive();
    assert!(state.is(Flag::Ours) && state.contests() == 0);
}
