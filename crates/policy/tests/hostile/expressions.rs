//! Expressions that are generated: right ones, nearly right ones, and noise.

use std::cell::Cell;

use pharos_testkit::try_on;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::generate::{Entropy, Parts, Type};
use crate::support::{Said, on_a_workers_stack, said};

/// What only an expression with types that do not fit says when it is evaluated.
const UNTYPED: [&str; 4] =
    ["no such overload", "no such variable", "is not a list or a map", "unsupported key type"];

fn object() -> Value {
    json!({"metadata": {"name": "web"}, "a": [1, "x", null, {"b": 1e300}], "b": {"c": "ä"}})
}

/// Pieces that expressions are written with.
fn token() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "object",
            ".a",
            ".b",
            "[0]",
            "[?'a']",
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            ",",
            ":",
            "?",
            "&&",
            "||",
            "+",
            "-",
            "*",
            "/",
            "%",
            "!",
            "==",
            "<",
            " in ",
            ".all(x, ",
            ".map(x, x)",
            "x",
            "1",
            "1u",
            "0.5",
            "'a'",
            "b'\\xff'",
            "r'\\d'",
            "null",
            "true",
            "has(",
            "size(",
            "dyn(",
            ".matches(",
            ".orValue(",
            "optional.of(",
            "quantity(",
            "cel.bind(x, ",
            "'''",
            "\"",
            "\\",
            "\u{0}",
            "😀",
            "\u{202e}",
            "//",
            "\n",
            "`a-b`",
            "0x",
            "1e",
            "..",
            "variables.v",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ]
}

#[test]
fn what_has_a_type_can_be_evaluated() {
    let types = [Type::Int, Type::Double, Type::Text, Type::Ints, Type::Texts, Type::Map];
    on_a_workers_stack(|| {
        let judged = Cell::new(0);
        try_on(400, &vec(any::<u8>(), 0..64), |bytes| {
            let mut entropy = Entropy::new(&bytes, Parts::Right);
            let of = types[bytes.len() % types.len()];
            let expression = entropy.expression(of, 4);
            // Errors that come with values are none of the types'.
            match said(&format!("{expression} != {expression}"), &object()) {
                Said::Refused(why) if why.starts_with("TooComplex") => {}
                // A literal pattern may be none.
                Said::Refused(why) if why.contains("not a regular expression") => {}
                Said::Refused(why) => panic!("{expression}: {why}"),
                Said::Error(why) => {
                    let untyped = UNTYPED.iter().find(|untyped| why.contains(**untyped));
                    assert!(untyped.is_none(), "{expression}: {why}");
                }
                Said::Pass | Said::Fail => judged.set(judged.get() + 1),
            }
        });
        assert!(judged.get() > 100, "only {judged:?} expressions have a value");
    });
}

#[test]
fn what_the_checker_lets_through_is_typed() {
    on_a_workers_stack(|| {
        let (accepted, refused) = (Cell::new(0), Cell::new(0));
        try_on(1000, &vec(any::<u8>(), 0..48), |bytes| {
            let expression = Entropy::new(&bytes, Parts::SometimesWrong).expression(Type::Bool, 3);
            match said(&expression, &object()) {
                Said::Refused(why) => {
                    assert!(why.len() > 20, "{expression}: {why}");
                    refused.set(refused.get() + 1);
                }
                // Kyverno takes another type here, and the result is dyn.
                Said::Error(_) if expression.contains("orValue(") => {}
                Said::Error(why) => {
                    let untyped = UNTYPED.iter().find(|untyped| why.contains(**untyped));
                    assert!(untyped.is_none(), "{expression}: {why}");
                }
                Said::Pass | Said::Fail => accepted.set(accepted.get() + 1),
            }
        });
        assert!(accepted.get() > 100, "only {accepted:?} were accepted");
        assert!(refused.get() > 100, "only {refused:?} were refused");
    });
}

#[test]
fn noise_is_refused_or_evaluated() {
    on_a_workers_stack(|| {
        let tokens = vec(token(), 0..40).prop_map(|tokens| tokens.concat());
        try_on(1000, &tokens, |noise| {
            said(&noise, &object());
        });
    });
}

#[test]
fn what_is_longer_than_an_expression_may_be_is_refused_for_that() {
    on_a_workers_stack(|| {
        let tokens = (token(), token(), 16_385_usize..60_000);
        try_on(40, &tokens, |(one, other, length)| {
            let noise = format!("{one}{other}").repeat(length);
            let refused = said(&noise, &object());
            let Said::Refused(why) = refused else { panic!("{refused:?}") };
            assert!(why.starts_with("TooComplex"), "{why}");
        });
    });
}
