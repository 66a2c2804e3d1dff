//! Policies and objects that mean harm.

use std::thread;

use super::*;
use crate::cel::library::Style;

/// Runs a test on a stack as small as those of a server's threads.
fn on_a_small_stack(test: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(1 << 20).spawn_scoped(scope, test);
        thread.expect("a thread can be started").join().expect("the test passes");
    });
}

/// Forms that nest, each about as long as an expression may be.
fn towers() -> Vec<String> {
    let tower = |open: &str, middle: &str, close: &str| {
        let height = (MAX_LENGTH - middle.len()) / (open.len() + close.len());
        format!("{}{middle}{}", open.repeat(height), close.repeat(height))
    };
    vec![
        tower("1+", "1", ""),
        tower("object.", "a", ""),
        tower("", "object", "[0]"),
        tower("", "object", ".size()"),
        tower("", "object", ".?a"),
        tower("1==", "1", ""),
        tower("true && ", "true", ""),
        tower("object != ", "object", ""),
        tower("(", "1", ")"),
        tower("[", "1", "]"),
        tower("{1:", "1", "}"),
        tower("!(", "true", ")"),
        tower("!", "true", ""),
        tower("-", "1", ""),
        tower("true?", "1", ":1"),
        tower("true?1:", "1", ""),
        tower("[1].all(x,", "true", ")"),
        tower("dyn(", "1", ")"),
        tower("(", "", ""),
        tower("[", "", ""),
        tower("'", "", ""),
        tower("\\", "", ""),
        tower("ä", "", ""),
        tower("a{", "", ""),
    ]
}

#[test]
fn no_expression_overflows_a_stack() {
    on_a_small_stack(|| {
        for tower in towers() {
            let mut compiler = Compiler::default();
            if let Ok(expression) =
                compiler.expression(&tower, Variables::Visible, Expected::Anything)
            {
                let program = compiler.finish().expect("there are no variables");
                let value = Json::Null;
                let inputs = Inputs::new(&value, &value, &value, NamespaceObject::None);
                let bindings = Bindings::new(&inputs, &program);
                // Whatever it is, it comes out.
                drop(Scope::new(&bindings, &Allowance::of_request()).truth(&expression));
            }
        }
    });
}

#[test]
fn the_deepest_expression_that_is_accepted_can_be_evaluated() {
    on_a_small_stack(|| {
        for (open, middle, close) in [
            ("", "object.n == 1", " != (object.n == 2)"),
            ("", "object.n", " + object.n"),
            ("[", "1", "]"),
            ("", "object.list.map(x, x)", ".map(x, x)"),
        ] {
            let tower = |height| format!("{}{middle}{}", open.repeat(height), close.repeat(height));
            let deepest =
                (1..MAX_DEPTH).rev().map(tower).find(|source| problems(source).is_empty());
            let source = deepest.expect("one is not too deep");
            let object = json!({"n": 1, "list": [1]});
            drop(evaluate(&source, &object));
        }
    });
}

#[test]
fn what_is_too_long_or_too_deep_is_refused_for_that() {
    let long = format!("'{}' == ''", "x".repeat(MAX_LENGTH));
    let deep = format!("1{}", "+1".repeat(MAX_DEPTH));
    let loops = |count| format!("{}true{}", "[1].all(x, ".repeat(count), ")".repeat(count));
    for source in [long, deep, loops(MAX_NESTED_LOOPS + 1)] {
        let found = problems(&source);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].reason, Reason::TooComplex);
    }
    assert!(problems(&loops(MAX_NESTED_LOOPS)).is_empty());
    // Loops one after the other are no loops inside of each other.
    assert!(problems(&format!("[1]{} == [1]", ".map(x, x)".repeat(20))).is_empty());
}

/// Adds variables `NAME0`, `NAME1`, …, each the one before within so many brackets.
fn wrap(compiler: &mut Compiler, name: &str, count: usize, brackets: usize) -> Vec<Problem> {
    let (open, close) = ("[".repeat(brackets), "]".repeat(brackets));
    let mut inner = "object.n".to_owned();
    let mut found = Vec::new();
    for index in 0..count {
        let added = compiler.variable(&format!("{name}{index}"), &format!("{open}{inner}{close}"));
        found.extend(added.err().into_iter().flatten());
        inner = format!("variables.{name}{index}");
    }
    found
}

#[test]
fn values_do_not_nest_without_end_through_names() {
    let wrapped = format!("{}x{}", "[".repeat(20), "]".repeat(20));
    let mapped = format!("[1]{} == []", format!(".map(x, {wrapped})").repeat(30));
    let optional = format!(".optMap(x, {wrapped})").repeat(30);
    let optional = format!("optional.of(1){optional}.hasValue()");
    on_a_small_stack(|| {
        let found = wrap(&mut Compiler::default(), "v", 256, 70);
        assert!(!found.is_empty(), "17,920 levels are too many");
        assert_eq!((problems(&mapped).len(), problems(&optional).len()), (1, 1));
        for problem in [found, problems(&mapped), problems(&optional)].iter().flatten() {
            assert_eq!(problem.reason, Reason::TooComplex, "{problem:?}");
            assert!(problem.message.contains("values nested"), "{problem:?}");
        }
    });
}

#[test]
fn the_deepest_value_that_is_accepted_can_be_cloned_compared_and_dropped() {
    let brackets = 90;
    let count = MAX_NESTING / brackets;
    let object = Json::from(json!({"n": 1}));
    on_a_small_stack(|| {
        let mut compiler = Compiler::default();
        let found = ["a", "b"].map(|name| wrap(&mut compiler, name, count, brackets));
        assert!(found.iter().all(Vec::is_empty), "{found:?}");
        let source = format!("variables.a{0} == variables.b{0}", count - 1);
        let expression = compiler
            .expression(&source, Variables::Visible, Expected::Anything)
            .expect("is accepted");
        let program = compiler.finish().expect("every variable compiles");
        let inputs = Inputs::new(&object, &object, &object, NamespaceObject::None);
        let bindings = Bindings::new(&inputs, &program);
        assert_eq!(Scope::new(&bindings, &Allowance::of_request()).truth(&expression), Ok(true));
    });
}

#[test]
fn regular_expressions_take_little_memory_however_many_they_are() {
    let all = |sources: &mut dyn Iterator<Item = String>| {
        let calls: Vec<_> = sources.map(|source| format!("'x'.matches('{source}')")).collect();
        format!("[{}] == []", calls.join(","))
    };
    let many = pattern::MAX_PATTERNS;
    assert!(problems(&all(&mut (0..many).map(|index| format!("a{index}")))).is_empty());
    let equal = all(&mut (0..3 * many).map(|_| "same".to_owned()));
    assert!(problems(&equal).is_empty(), "equal ones are one");
    let one_too_many = all(&mut (0..=many + 9).map(|index| format!("a{index}")));
    let large = all(&mut (0..400).map(|index| format!(r"\\w{{14}}{index}")));
    for source in [one_too_many, large] {
        let found = problems(&source);
        assert_eq!(found.len(), 1, "the first is told, and nothing compiled after it: {found:?}");
        assert_eq!(found[0].reason, Reason::TooComplex);
    }
}

#[test]
fn an_object_as_deep_as_json_can_be_is_no_problem() {
    let depth = 120;
    let text = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let list: Value = serde_json::from_str(&text).expect("within the limit of the parser");
    let text = format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    let map: Value = serde_json::from_str(&text).expect("within the limit of the parser");
    let object = json!({"list": list, "map": map});
    on_a_small_stack(move || {
        for source in [
            "object.list == object.list && object.map == object.map && object == object",
            "object.list in [object.list] && [object.map] == [object.map]",
            "object.list.map(x, x) == object.list && object.map != object.list",
            "object.list.flatten(1000).size() == 1",
        ] {
            assert_eq!(evaluate(source, &object), Ok(true), "{source}");
        }
    });
}

#[test]
fn what_has_no_order_is_sorted_all_the_same() {
    let nan = "dyn(x % 7 == 0 ? 0.0 / 0.0 : double(x * 7919 % 1009))";
    let numbers = json!({"list": (0..5000).collect::<Vec<_>>()});
    for source in [
        format!("object.list.map(x, {nan}).sort().size() == 5000"),
        format!("object.list.sortBy(x, {nan}).size() == 5000"),
    ] {
        assert_eq!(evaluate(&source, &numbers), Ok(true), "{source}");
    }
}

#[test]
fn a_sort_ends_when_the_evaluation_does() {
    // Each comparison looks at a whole megabyte.
    let object = json!({"list": (0..3000).collect::<Vec<_>>(), "text": "x".repeat(1 << 20)});
    let error = evaluate("object.list.map(x, object.text).sort().size() > 0", &object);
    assert!(error.expect_err("it is too much").contains("steps"));
}

/// Small numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits fit") % sides
    }

    fn value(&mut self, depth: usize) -> Value {
        let scalars = [
            json!(null),
            json!(true),
            json!(0),
            json!(-0.0),
            json!(i64::MIN),
            json!(u64::MAX),
            json!(f64::MAX),
            json!(5e-324),
            json!(""),
            json!("\u{0}"),
            json!("é\u{301}😀\u{202e}"),
            json!("%s%d"),
            json!("2026-02-30T99:00:00Z"),
            json!("-9223372036854775808ns"),
            json!("(((("),
        ];
        match self.roll(if depth == 0 { 1 } else { 3 }) {
            0 => scalars[self.roll(scalars.len())].clone(),
            1 => (0..self.roll(4)).map(|_| self.value(depth - 1)).collect(),
            _ => {
                let keys = ["a", "b", "", "@variable0", "metadata", "ö"];
                let fields = (0..self.roll(4))
                    .map(|_| (keys[self.roll(keys.len())].to_owned(), self.value(depth - 1)));
                Value::Object(fields.collect())
            }
        }
    }
}

#[test]
fn no_value_makes_a_function_or_an_operator_panic() {
    let binary = ["+", "-", "*", "/", "%", "==", "!=", "<", ">=", "in", "&&", "||"];
    let operators = binary.map(|operator| format!("object.a {operator} object.b"));
    let sight = Sight::Cluster(Default::default());
    let library = sight.library();
    let calls = library.functions().flat_map(|(name, overloads)| {
        overloads.iter().map(move |overload| {
            let arguments = ["object.a", "object.b", "object.c", "object.a", "object.b"];
            let arguments = &arguments[..overload.parameters.len()];
            match (overload.style, arguments) {
                (Style::Member, [receiver, rest @ ..]) => {
                    format!("{receiver}.{name}({})", rest.join(","))
                }
                (_, arguments) => format!("{name}({})", arguments.join(",")),
            }
        })
    });
    let others = [
        "-object.a",
        "!object.a",
        "object.a[object.b]",
        "object[?object.a]",
        "object.a.?b.c",
        "object.a.all(x, x == object.b)",
        "object.a.map(x, x)",
        "object.a ? object.b : object.c",
        "has(object.a.b)",
        "{object.a: object.b}",
        "[object.a, object.b].sort()",
        "object.a.sortBy(x, x)",
        "math.greatest(object.a, object.b)",
        "math.least(object.a)",
        "object.a.format([object.b, object.c])",
        "timestamp(object.a) + duration(object.b)",
        "optional.of(object.a).optMap(x, x)",
        "[object.a, object.b].distinct()",
        "object.a.exists_one(x, x in object.b)",
        "bytes(object.a) == base64.decode(object.b)",
    ];
    let sources: Vec<String> =
        operators.into_iter().chain(calls).chain(others.map(String::from)).collect();
    let mut compiler = Compiler::new(Input::ADMISSION, sight);
    let expressions: Vec<_> = sources
        .iter()
        .map(|source| {
            let compiled = compiler.expression(
                &format!("dyn({source})"),
                Variables::Visible,
                Expected::Anything,
            );
            compiled.unwrap_or_else(|problems| panic!("{source}: {problems:?}"))
        })
        .collect();
    let program = compiler.finish().expect("there are no variables");
    let mut dice = Dice(42);
    for _ in 0..40 {
        let object = json!({"a": dice.value(3), "b": dice.value(2), "c": dice.value(1)});
        let object = Json::from(object);
        let inputs = Inputs::new(&object, &object, &object, NamespaceObject::Known(&object));
        let bindings = Bindings::new(&inputs, &program);
        let allowance = Allowance::of_request();
        let scope = Scope::new(&bindings, &allowance);
        for expression in &expressions {
            drop(scope.truth(expression));
            drop(scope.text(expression));
        }
    }
}
