//! Bodies that mean harm: whatever the bytes are, they are refused in a few words or can be judged.
//! What memory they may take is tested where they are parsed.
//!
//! What is generated is the same in every run; `PROPTEST_CASES` tries more.

use pharos_testkit::try_on;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use super::memory::Memory;
use super::*;

fn review() -> Value {
    crate::testing::review(json!({
        "requestKind": {"group": "", "version": "v1", "kind": "Pod"},
        "requestResource": {"group": "", "version": "v1", "resource": "pods"},
        "dryRun": false,
        "userInfo": {"username": "jane", "groups": ["a"], "extra": {"scopes": ["b"]}},
        "object": {"metadata": {"name": "web", "labels": {"app": "web"}}},
    }))
}

/// Parses and reads a body.
fn read(body: &[u8]) -> Result<(), String> {
    let mut share = Memory::new(0).share();
    let document = parse(body, &mut share).map_err(|why| why.to_string());
    let read = document.and_then(|it| request(&it).map(drop).map_err(|why| why.to_string()));
    if let Err(why) = &read {
        assert!(why.len() < 1 << 10, "the answer is {} bytes long", why.len());
    }
    read
}

#[test]
fn bytes_are_refused_or_read() {
    try_on(2000, &vec(any::<u8>(), 0..300), |bytes| {
        assert!(read(&bytes).is_err());
    });
    // What stands where something else is expected.
    let values = select(vec![
        "null",
        "true",
        "-0",
        "1e999",
        "18446744073709551616",
        "\"\"",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "{}",
        "[]",
        "[[[[]]]]",
        "{\"\":{}}",
        "\"a\",\"uid\":\"b\"",
        "NaN",
        "\u{feff}",
        "}",
        "",
    ]);
    let spoils = vec((any::<Index>(), any::<Index>(), values), 1..4);
    let right = review().to_string();
    assert_eq!(read(right.as_bytes()), Ok(()));
    try_on(2000, &spoils, |spoils| {
        let mut body = right.clone().into_bytes();
        for (start, length, by) in &spoils {
            let start = start.index(body.len());
            let end = body.len().min(start + length.index(12));
            body.splice(start..end, by.bytes());
        }
        drop(read(&body));
    });
    for end in 0..right.len() {
        assert!(read(&right.as_bytes()[..end]).is_err());
    }
}

#[test]
fn the_last_of_two_fields_counts_as_for_the_api_server() {
    let twice = review().to_string().replace("\"uid\":", "\"uid\":\"first\",\"uid\":");
    let mut share = Memory::new(0).share();
    let document = parse(twice.as_bytes(), &mut share).unwrap();
    assert_eq!(request(&document).unwrap().uid, "705ab4f5");
}

fn nested(depth: usize, (open, close): (&str, &str)) -> String {
    format!("{}0{}", open.repeat(depth), close.repeat(depth))
}

#[test]
fn what_is_nested_without_end_is_refused() {
    for brackets in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [200, 10_000, 1 << 18] {
            let body = review().to_string().replace("\"web\"", &nested(depth, brackets));
            let mut share = Memory::new(0).share();
            let why = parse(body.as_bytes(), &mut share).map(drop).unwrap_err().to_string();
            assert!(why.contains("recursion limit"), "{why}");
        }
    }
}
