//! Expressions that were written to do harm, over objects that were, each with the answer that is
//! expected.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::support::{Said, on_a_workers_stack, said};

/// As long as an API server lets an object be.
const LONG: usize = 3 << 20;

/// What is expected.
enum Answer {
    /// The policy is not accepted, and says this.
    Refused(&'static str),
    Pass,
    Fail,
    /// It cannot be evaluated, and says this.
    Error(&'static str),
}

use Answer::{Error, Fail, Pass, Refused};

const EXHAUSTED: Answer = Error("the evaluation ");

fn objects() -> BTreeMap<&'static str, Value> {
    let text = |piece: &str| piece.repeat(LONG / piece.len());
    let labels: serde_json::Map<_, _> =
        (0..LONG / 24).map(|index| (format!("label-{index}"), json!(""))).collect();
    let deep = |open: &str, close: &str| {
        let text = format!("{}1{}", open.repeat(120), close.repeat(120));
        serde_json::from_str::<Value>(&text).expect("it is not too deep")
    };
    let mut aliases = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = vec![format!("*a{}", level - 1); 9].join(", ");
        let _ = writeln!(aliases, "a{level}: &a{level} [{below}]");
    }
    BTreeMap::from([
        ("empty", json!({})),
        ("text", json!({"a": text("x"), "b": text("x"), "n": 1 << 20})),
        ("pairs", json!({"a": text("a,")})),
        ("digits", json!({"a": text("9"), "dots": text("1.")})),
        ("numbers", json!({"a": vec![1; LONG / 2]})),
        ("labels", json!({"a": labels})),
        ("small objects", json!({"a": vec![json!({"": 0}); LONG / 32]})),
        ("deep", json!({"list": deep("[", "]"), "map": deep("{\"a\":", "}")})),
        (
            "brackets",
            json!({"a": text("["), "b": text("{\"a\":"), "flow": text("[{"), "dash": text("- ")}),
        ),
        ("aliases", json!({"a": aliases, "self": "a: &a [*a]"})),
        ("twice", json!({"a": r#"{"a":1,"a":2}"#, "b": "a: 1\na: 2\n"})),
        (
            "odd",
            json!({"": {"": ""}, "a": "\u{0}\u{202e}", "e": 1e300, "u": u64::MAX, "i": i64::MIN}),
        ),
    ])
}

/// Object, expression, answer.
const CORPUS: &[(&str, &str, Answer)] = &[
    // Regular expressions: those that take time elsewhere, and those that take memory.
    ("text", "object.a.matches('(x+x+)+y')", Fail),
    ("text", "object.a.matches('^(a|a)*$')", Fail),
    ("empty", "'x'.matches('(x{1000}){1000}')", Refused("a regular expression of more than")),
    ("empty", "'x'.matches('('+'x')", Error("not a regular expression")),
    ("text", "'x'.matches(object.a)", Error("a regular expression longer than 4096 bytes")),
    ("empty", "'x'.matches('(x{999}){999}' + '')", Error("a regular expression of more than")),
    ("empty", "[1, 2].all(i, 'x'.matches(string(i) + '(?P<n>x)(?P<n>y)'))", Error("not a regular")),
    ("text", "object.a.findAll('x').size() > 0", EXHAUSTED),
    ("text", "regex.replace(object.a, 'x', '\\\\0\\\\0\\\\0\\\\0') == ''", EXHAUSTED),
    ("empty", "random('[a-z]{99999999}') == ''", EXHAUSTED),
    ("empty", "random('(((a{9999}){9999}){9999}){9999}') == ''", EXHAUSTED),
    // Numbers that are large, or long.
    ("empty", "quantity('1e1000000').isInteger()", Fail),
    ("empty", "isQuantity('1e-99999999999999999999')", Fail),
    ("empty", "quantity('99999999999999999999E').add(quantity('1n')).isInteger()", Fail),
    ("digits", "isQuantity(object.a)", EXHAUSTED),
    ("digits", "double(object.a) > 0.0", Error("type conversion error")),
    ("digits", "int(object.a) > 0", Error("type conversion error")),
    ("digits", "isSemver(object.a + '.0.0')", Fail),
    ("digits", "isSemver(object.dots)", Fail),
    ("digits", "ip.isCanonical(object.dots)", Error("")),
    ("digits", "isCIDR(object.a + '/' + object.a)", Fail),
    ("digits", "duration(object.a + 'h') == duration('1h')", Error("invalid duration")),
    ("digits", "timestamp('2026-01-01T00:00:00.' + object.a + 'Z') == timestamp(0)", Error("")),
    ("empty", "9223372036854775807 * 2 > 0", Error("integer overflow")),
    ("empty", "-(-9223372036854775807 - 1) > 0", Error("integer overflow")),
    ("empty", "(-9223372036854775807 - 1) / -1 > 0", Error("integer overflow")),
    ("empty", "(-9223372036854775807 - 1) % -1 == 0", Error("overflow")),
    ("empty", "math.abs(-9223372036854775807 - 1) > 0", Error("overflow")),
    (
        "empty",
        "duration('9223372036s') + duration('9223372036s') > duration('0')",
        Error("overflow"),
    ),
    (
        "empty",
        "timestamp('9999-12-31T23:59:59Z') + duration('1h') > timestamp(0)",
        Error("overflow"),
    ),
    ("empty", "'%.999999999f'.format([1.0]) == ''", Error("")),
    ("empty", "math.bitShiftLeft(1, 9223372036854775807) == 0", Pass),
    ("odd", "object.u > object.i && object.e > 0.0", Pass),
    // Texts and lists that grow.
    ("text", "object.a.replace('', object.a) == ''", EXHAUSTED),
    ("text", "object.a.split('').map(x, object.a).join() == ''", EXHAUSTED),
    (
        "text",
        "'%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s'.format([object.a, object.a, object.a, object.a, object.a, object.a, object.a, object.a, object.a, object.a, object.a, object.a, object.a, object.a, object.a, object.a, object.a, object.a, object.a, object.a, object.a, object.a, object.a, object.a, object.a]) == ''",
        EXHAUSTED,
    ),
    (
        "text",
        "[1,2,3,4,5,6,7,8].map(a, [1,2,3,4,5,6,7,8].map(b, object.a + string(a * b))).size() > 0",
        EXHAUSTED,
    ),
    ("empty", "lists.range(100000000).size() > 0", EXHAUSTED),
    ("numbers", "object.a.distinct().size() == 1", Pass),
    ("numbers", "(object.a + object.a).size() > 0", EXHAUSTED),
    ("numbers", "object.a.map(x, {x: x}).size() > 0", EXHAUSTED),
    ("numbers", "object.a.sort().size() > 0", EXHAUSTED),
    (
        "labels",
        "object.a.map(k, k + 'x').size() > 0 && object.a.transformMap(k, v, k).size() > 0",
        Pass,
    ),
    ("labels", "object.a == object.a && object.a.all(k, k in object.a)", Pass),
    ("small objects", "object.a.map(o, o.map(k, o)).flatten().size() > 0", Pass),
    ("small objects", "json.marshal(object.a) == ''", Fail),
    // Depth, of what comes and of what is read.
    ("deep", "object.list == object.list && json.marshal(object.map) != ''", Pass),
    ("deep", "object.list.flatten(2147483647) == [1]", Pass),
    ("deep", "object.list.flatten(-1) == [1]", Error("")),
    ("brackets", "json.unmarshal(object.a) == 1", Error("not JSON")),
    ("brackets", "json.unmarshal(object.b) == 1", EXHAUSTED),
    (
        "brackets",
        "json.unmarshal(object.b.substring(0, 100000)) == 1",
        Error("not JSON: recursion limit"),
    ),
    ("brackets", "yaml.parse(object.flow.substring(0, 100000)) == 1", Error("not YAML")),
    ("brackets", "yaml.parse(object.dash.substring(0, 100000)) == 1", Error("not YAML")),
    ("brackets", "yaml.parse(object.a) == 1", Error("")),
    ("aliases", "yaml.parse(object.a) == 1", Error("not YAML")),
    ("aliases", "yaml.parse(object.self) == 1", Error("not YAML")),
    // Keys that come twice.
    ("twice", "json.unmarshal(object.a).a == 2.0", Pass),
    ("twice", "yaml.parse(object.b).a == 2.0", Pass),
    ("twice", "{'a': 1, 'a': 2}.size() == 1", Error("repeated key")),
    ("twice", "{dyn(1): 1, dyn(1u): 2}.size() == 1", Error("repeated key")),
    ("twice", "['a', 'a'].transformMapEntry(i, x, {x: i}).size() == 1", Error("repeated key")),
    // Texts that are something else to those who read them.
    ("odd", "object[''][''] == '' && object.a.size() == 2", Pass),
    ("odd", "url('http://[::1%25' + object.a + ']/').getHost() == ''", Error("")),
    ("text", "isURL('https://' + object.a + ':99999/')", Pass),
    ("text", "image(object.a).registry() == ''", Error("")),
    ("pairs", "object.a.split(',').size() > 0", EXHAUSTED),
    ("text", "string(gzip.decompress(bytes(object.a))) == ''", Error("not gzip")),
    ("text", "gzip.decompress(gzip.compress(object.a)) == object.a", Pass),
    ("odd", "object.a.format([object.e]) == ''", Fail),
    ("empty", "timestamp(0).getHours('../../etc/passwd') == 0", Error("unknown time zone")),
    ("empty", "'x'.charAt(9223372036854775807) == ''", Error("index out of range")),
    ("empty", "'x'.substring(-1) == ''", Error("index out of range")),
    ("empty", "['x'][-9223372036854775807] == ''", Error("index out of bounds")),
    // Names.
    ("empty", "__result__ == 1", Refused("no variable __result__")),
    ("empty", "[1].all(__result__, __result__ == 1)", Pass),
    ("empty", "@variable0 == 1", Refused("")),
    ("empty", "object.__proto__.constructor == 1", Error("no such key: __proto__")),
];

#[test]
fn what_was_written_to_do_harm_gets_its_answer() {
    let objects = objects();
    on_a_workers_stack(|| {
        let mut wrong = Vec::new();
        for (object, expression, answer) in CORPUS {
            let found = said(expression, &objects[object]);
            let is_right = match (&found, answer) {
                (Said::Refused(why), Refused(part)) | (Said::Error(why), Error(part)) => {
                    why.contains(part)
                }
                (Said::Pass, Pass) | (Said::Fail, Fail) => true,
                _ => false,
            };
            if !is_right {
                wrong.push(format!("{expression} over {object}: {found:?}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    });
}
