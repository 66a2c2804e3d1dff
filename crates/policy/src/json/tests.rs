//! Documents are what serde_json reads, and cost what they say.

use allocation_counter::measure;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::Value;

use super::*;

fn any_json() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        // Those that serde_json reads exactly.
        any::<i32>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
        Just(Value::from(1_u64 << 63)),
    ];
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        "\\PC{0,12}|[\"\\\\\n\u{0}é\u{1f600}]{0,4}".prop_map(Value::from),
    ];
    scalar.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-c\"é]{0,3}", inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, rng_seed: RngSeed::Fixed(6), ..ProptestConfig::default()
    })]

    #[test]
    fn a_document_is_what_serde_json_reads(value in any_json()) {
        let written = value.to_string();
        let read = Json::parse(written.as_bytes()).unwrap();
        prop_assert_eq!(&read, &Json::from(serde_json::from_str::<Value>(&written).unwrap()));
        prop_assert_eq!(&read.clone().into_owned(), &read);
        assert_bounded(&written);
        let again = read.to_string();
        prop_assert_eq!(Json::parse(again.as_bytes()).unwrap(), read);
    }

    #[test]
    fn what_is_no_json_is_refused_as_serde_json_refuses_it(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let expected = serde_json::from_slice::<Value>(&bytes).map_err(|error| error.to_string());
        let read = Json::parse(&bytes).map_err(|error| error.to_string());
        prop_assert_eq!(read, expected.map(Json::from));
    }

    #[test]
    fn a_spoilt_document_is_refused_as_serde_json_refuses_it(
        value in any_json(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut written = value.to_string().into_bytes();
        let at = at.index(written.len());
        written[at] = byte;
        let expected = serde_json::from_slice::<Value>(&written).map_err(|error| error.to_string());
        let read = Json::parse(&written).map_err(|error| error.to_string());
        prop_assert_eq!(read, expected.map(Json::from));
    }
}

#[test]
fn fields_are_in_order_and_the_last_of_one_name_counts() {
    let read = Json::parse(br#"{"c":1,"a":2,"b":3,"a":4,"c":5,"a":6}"#).unwrap();
    assert_eq!(read.to_string(), r#"{"a":6,"b":3,"c":5}"#);
    assert_eq!(read.get("a"), Some(&Json::Int(6)));
    assert_eq!(read.get("d"), None);
    assert_eq!(Json::parse(b"[]").unwrap().get("a"), None);
}

#[test]
fn a_pointer_follows_fields() {
    let read = Json::parse(br#"{"a":{"b":{"":true}},"c":[{"d":1}]}"#).unwrap();
    assert_eq!(read.pointer("/a/b/").and_then(Json::as_bool), Some(true));
    assert_eq!(read.pointer(""), Some(&read));
    for nowhere in ["/a/c", "/a/b/c/d", "/c/0", "/c/d"] {
        assert_eq!(read.pointer(nowhere), None, "{nowhere}");
    }
}

#[test]
fn numbers_are_what_kubernetes_makes_of_them() {
    for (written, number) in [
        ("9223372036854775807", Json::Int(i64::MAX)),
        ("-9223372036854775808", Json::Int(i64::MIN)),
        ("9223372036854775808", Json::Double(9_223_372_036_854_775_808.0)),
        ("1.0", Json::Double(1.0)),
        ("1e2", Json::Double(100.0)),
    ] {
        assert_eq!(Json::parse(written.as_bytes()).unwrap(), number, "{written}");
    }
    assert!(Json::parse(b"1e999").is_err());
}

#[test]
fn a_text_without_escapes_is_not_copied() {
    let written = br#"{"name":"web","escaped":"a\nb"}"#;
    let read = Json::parse(written).unwrap();
    let name = read.get("name").and_then(Json::as_str).unwrap();
    assert!(written.as_ptr_range().contains(&name.as_ptr()));
    assert_eq!(read.get("escaped").and_then(Json::as_str), Some("a\nb"));
}

#[test]
fn each_list_and_each_object_is_one_allocation_of_its_size() {
    let inner = r#"{"b":[1,2,3],"a":{"x":true}}"#;
    let written = format!("[{}]", [inner; 100].join(","));
    let measured = measure(|| drop(Json::parse(written.as_bytes())));
    // And the two piles, which grow with what is open at a time.
    assert!((301..330).contains(&measured.count_total), "{}", measured.count_total);
    let element = size_of::<Json<'_>>() as u64;
    let field = size_of::<(Cow<'_, str>, Json<'_>)>() as u64;
    assert_eq!((element, field), (24, 48));
    let kept = 100 * (element + 2 * field + 3 * element + field);
    let held = measure(|| std::mem::forget(Json::parse(written.as_bytes()))).bytes_current;
    assert_eq!(held, i64::try_from(kept).unwrap());
}

/// Reads what may take so many bytes; says what of it was taken, and what was held at most.
fn within(bytes: usize, written: &str) -> (Option<usize>, usize) {
    let mut taken = 0;
    let mut take = |more| {
        taken += more;
        taken <= bytes
    };
    let mut kept = None;
    let held = measure(|| {
        kept = Json::parse_within(written.as_bytes(), &mut take).ok().map(|read| {
            let bytes = read.bytes;
            std::mem::forget(read);
            bytes
        });
    });
    let most = usize::try_from(held.bytes_max).unwrap();
    // Beside it: an error, with its words.
    assert!(most <= taken.min(bytes) + 1024, "{most} bytes of {taken}: {written:.80}");
    if let Some(kept) = kept {
        let stays = usize::try_from(held.bytes_current).unwrap();
        assert!(stays <= kept && kept <= taken, "{stays} bytes stay of {kept}: {written:.80}");
    }
    (kept, taken)
}

fn assert_bounded(written: &str) {
    let (kept, taken) = within(usize::MAX, written);
    // Nothing is refused that takes much less than there is.
    assert!(
        taken <= 5 * kept.unwrap_or(taken) + 4 * written.len() + (32 << 10),
        "{taken}: {written:.80}"
    );
    for part in [1, 2, 3, 5, 8] {
        within(taken * part / 8, written);
    }
}

#[test]
fn no_document_takes_more_memory_than_it_asked_for() {
    const ELEMENTS: [&str; 16] = [
        "0",
        "-1.5e3",
        "null",
        "\"\"",
        "\"a\"",
        "[]",
        "[0]",
        "[[[[]]]]",
        "{}",
        "{\"\":0}",
        "{\"a\":\"a\"}",
        "{\"a\":1,\"a\":2}",
        "{\"b\":0,\"a\":{\"c\":[]}}",
        "\"\\n\"",
        "\"\\u00e9\\\\\"",
        "{\"\\n\":\"\\n\"}",
    ];
    for element in ELEMENTS {
        for count in [1, 2, 4, 5, 8, 9, 63, 1024, 1025, 100_000] {
            assert_bounded(&format!("[{}]", vec![element; count].join(",")));
        }
        for count in [1, 20, 21, 1000, 40_000] {
            let named = |name: usize| format!("\"{:x}\":{element}", name * 7919 % count);
            let fields: Vec<_> = (0..count).map(named).collect();
            assert_bounded(&format!("{{{}}}", fields.join(",")));
            assert_bounded(&format!("{{{}}}", vec![format!("\"a\":{element}"); count].join(",")));
        }
    }
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"\":", "}]")] {
        let deep = format!("{}0{}", open.repeat(60), close.repeat(60));
        assert_bounded(&deep);
        assert_bounded(&format!("[{}]", vec![deep; 2000].join(",")));
    }
    for text in ["x", "\\n", "\\u00e9"] {
        for length in [1, 7, 9, 1000, 1 << 16, 1 << 20] {
            let text = text.repeat(length);
            assert_bounded(&format!("[\"{text}\",{{\"{text}\":\"{text}\"}}]"));
        }
    }
}

#[test]
fn a_field_that_serde_json_has_a_meaning_for_is_one_like_another() {
    let written = br#"{"$serde_json::private::RawValue":"{\"a\":0}"}"#;
    let read = Json::parse(written).unwrap();
    assert_eq!(read.get("$serde_json::private::RawValue").unwrap().as_str(), Some(r#"{"a":0}"#));
}

#[test]
fn what_is_nested_too_deep_is_refused() {
    assert!(Json::parse(format!("{}{}", "[".repeat(127), "]".repeat(127)).as_bytes()).is_ok());
    for deep in ["[".repeat(100_000), r#"{"a":"#.repeat(100_000)] {
        let error = Json::parse(deep.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("recursion limit"), "{error}");
    }
}
