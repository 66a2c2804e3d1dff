//! What functions take of the meter is what they take of the machine.

use std::hint::black_box;

use allocation_counter::measure;

use super::*;
use crate::cel::library::{Library, Overload, Style};
use crate::cel::meter::Budget;
use crate::cel::types::Type;

const PLENTY: Budget = Budget { steps: 500_000, bytes: 1 << 30 };
/// How long the texts and lists are that functions are given.
const LONG: usize = 1 << 16;

/// What may be held beyond twice what is charged (a text that grows and is then copied): errors, and
/// what compiling a pattern takes while it is done.
const MORE: u64 = 16 << 10;
const MORE_FOR_A_PATTERN: u64 = 640 << 10;

/// Every way to call a function, over `object.a`, `object.b` and so on.
fn calls() -> impl Iterator<Item = (&'static Overload, String)> {
    Library::shared().functions().flat_map(|(name, overloads)| {
        overloads.iter().map(move |overload| {
            let arguments = ["object.a", "object.b", "object.c", "object.d", "object.e"];
            let arguments = &arguments[..overload.parameters.len()];
            let call = match (overload.style, arguments) {
                (Style::Member, [receiver, rest @ ..]) => {
                    format!("{receiver}.{name}({})", rest.join(","))
                }
                (_, arguments) => format!("{name}({})", arguments.join(",")),
            };
            (overload, call)
        })
    })
}

fn calls_and_operators() -> Vec<(String, u64)> {
    let calls = calls().map(|(overload, call)| {
        (call, if overload.literal.is_some() { MORE_FOR_A_PATTERN } else { MORE })
    });
    let operators = [
        "object.a + object.b",
        "object.a == object.b",
        "object.a < object.b",
        "object.a in object.b",
        "object.a[object.b]",
        "object.a.all(x, true)",
        "object.a.map(x, x)",
        "object.a.transformList(k, v, v)",
        "object.a.transformMap(k, v, v)",
        "object.a.sortBy(x, x)",
        "{object.a: object.b}",
        "object.a.map(x, {x: x})",
        "object.a.map(x, [x])",
        "object.a.map(x, optional.of(x))",
        "[object].map(x, x.?a)",
        "object.a.map(x, quantity('1'))",
        "object.a.map(x, ip('::1'))",
        "object.a.map(x, semver('1.2.3-a.b+c'))",
        "object.a.map(x, '%s %s'.format([x, x]))",
    ];
    let operators = operators.map(|source| (source.to_owned(), MORE));
    let mut calls: Vec<_> = calls.chain(operators).collect();
    calls.sort();
    calls.dedup();
    calls
}

/// What an evaluation takes.
struct Cost {
    steps: u64,
    /// Bytes, as the meter counted them.
    charged: u64,
    /// The most bytes that were really held.
    held: u64,
}

impl Cost {
    fn of(policy: &Policy, object: &Value) -> Self {
        let object = Json::from(object.clone());
        let inputs = Inputs::new(&object, &Json::Null, &Json::Null, NamespaceObject::None);
        let bindings = Bindings::new(&inputs, &policy.program);
        let allowance = Allowance::of(PLENTY);
        let scope = Scope::new(&bindings, &allowance);
        let real = measure(|| drop(black_box(scope.truth(&policy.expression))));
        Self { steps: scope.steps(), charged: scope.meter().bytes(), held: real.bytes_max }
    }
}

fn compiled(call: &str) -> Policy {
    Policy::new(&[], &format!("dyn({call})"))
}

/// What makes functions work: every one of them takes some of these.
fn arguments() -> Vec<(&'static str, Value)> {
    let text = |piece: &str| piece.repeat(LONG / piece.len());
    let words: Vec<_> = (0..LONG / 64).map(|index| format!("word-{index:08}")).collect();
    let fields: serde_json::Map<_, _> =
        words.iter().map(|word| (word.clone(), json!(word))).collect();
    let objects = vec![json!({"name": "n", "value": "v"}); LONG / 64];
    vec![
        ("one text", json!({"a": text("x"), "b": "x", "c": text("y"), "d": 1, "e": 1})),
        ("texts", json!({"a": text("x"), "b": text("x"), "c": text("y"), "d": "x"})),
        ("many pieces", json!({"a": text("a,"), "b": ",", "c": text("b"), "d": -1})),
        ("many bytes", json!({"a": text("ä😀"), "b": "", "c": "", "d": LONG})),
        ("digits", json!({"a": text("9"), "b": text("1"), "c": 1, "d": 1})),
        ("a quantity", json!({"a": format!("{}Ki", text("9")), "b": 1})),
        ("YAML", json!({"a": text("- a\n"), "b": 1})),
        ("JSON", json!({"a": format!("[{}0]", text("0,")), "b": 1})),
        ("JSON objects", json!({"a": format!("[{}0]", text("{\"\":0},")), "b": 1})),
        ("a URL", json!({"a": format!("https://a/{}?{}", text("%41"), text("a=b&")), "b": 1})),
        ("an address", json!({"a": text("1:"), "b": text("1.")})),
        ("an image", json!({"a": format!("a.b/{}:tag", text("c/")), "b": 1})),
        ("base64", json!({"a": text("QUJD"), "b": 1})),
        ("a format", json!({"a": text("%d"), "b": vec![1; LONG / 2]})),
        ("a time", json!({"a": text("1h"), "b": text("1h")})),
        ("words", json!({"a": words, "b": ["word"], "c": words, "d": "name", "e": 1})),
        ("words twice", json!({"a": words, "b": words, "c": "name", "d": "name"})),
        ("a separator", json!({"a": words, "b": text(",")})),
        ("numbers", json!({"a": (0..LONG / 8).collect::<Vec<_>>(), "b": 7, "c": LONG / 8})),
        ("lists", json!({"a": vec![vec![1; 8]; LONG / 64], "b": 1, "c": 1})),
        ("a map", json!({"a": fields, "b": fields, "c": "x"})),
        ("objects", json!({"a": objects, "b": objects, "c": "name", "d": "value"})),
        ("a number", json!({"a": LONG, "b": LONG})),
        ("a pattern", json!({"a": text("x"), "b": "(x+x+)+y", "c": "z"})),
        ("an expensive pattern", json!({"a": text("x"), "b": "x{900}", "c": text("$1")})),
    ]
}

#[test]
fn what_functions_hold_is_what_they_said_they_would() {
    let arguments = arguments();
    let mut more = Vec::new();
    for (call, slack) in calls_and_operators() {
        let policy = compiled(&call);
        for (what, object) in &arguments {
            let Cost { charged, held, .. } = Cost::of(&policy, object);
            if held > 2 * charged + slack {
                more.push(format!("{call} of {what}: {held} bytes held, {charged} charged"));
            }
        }
    }
    assert!(more.is_empty(), "{}\n{}", more.len(), more.join("\n"));
}

/// What texts are given to that a few bytes decide, or the length.
const CHEAP: [&str; 11] = [
    "bool(object.a)",
    "bytes(object.a)",
    "cidr(object.a)",
    "format.named(object.a)",
    "ip(object.a)",
    "ip.isCanonical(object.a)",
    "isCIDR(object.a)",
    "isIP(object.a)",
    "random(object.a)",
    "random.random(object.a)",
    "string(object.a)",
];

#[test]
fn what_functions_look_at_takes_steps() {
    let over = |length: usize| {
        let digits = "0".repeat(length);
        json!({"a": digits, "b": digits, "c": "y", "d": "y"})
    };
    let (long, short) = (over(LONG), over(1));
    let of_texts = calls().filter(|(overload, _)| {
        let parameters = &overload.parameters;
        let has_pattern = overload.literal.is_some();
        !has_pattern && !parameters.is_empty() && parameters.iter().all(|it| *it == Type::String)
    });
    let cheap = of_texts.map(|(_, call)| call).filter(|call| {
        let policy = compiled(call);
        let [long, short] = [&long, &short].map(|object| Cost::of(&policy, object).steps);
        long < short + LONG as u64 / 64
    });
    let mut cheap: Vec<_> = cheap.collect();
    cheap.sort();
    cheap.dedup();
    assert_eq!(cheap, CHEAP);
}
