//! An evaluation ends, whatever the expression and the object are.

use super::*;
use crate::cel::meter::Budget;

/// What is made of an expression over an object within a budget, and the steps that it took.
fn within(budget: Budget, source: &str, object: &Value) -> (Result<bool, String>, u64) {
    let mut compiler = Compiler::default();
    let expression = compiler
        .expression(source, Variables::Visible, Expected::Anything)
        .unwrap_or_else(|problems| panic!("{source}: {problems:?}"));
    let program = compiler.finish().expect("there are no variables");
    let object = Json::from(object.clone());
    let inputs = Inputs::new(&object, &Json::Null, &Json::Null, NamespaceObject::None);
    let bindings = Bindings::new(&inputs, &program);
    let allowance = Allowance::of(budget);
    let scope = Scope::new(&bindings, &allowance);
    (scope.truth(&expression).map_err(|error| error.to_string()), scope.steps())
}

const SMALL: Budget = Budget { steps: 100_000, bytes: 1 << 20 };

fn list(length: usize) -> Value {
    json!({"list": vec![1; length], "text": "x".repeat(length)})
}

#[test]
fn loops_inside_of_each_other_over_three_megabytes_end_within_their_steps() {
    let element = "a".repeat(25);
    let object = json!({"list": vec![element; 100_000]});
    assert!(object.to_string().len() > 2 << 20);
    for source in [
        "object.list.all(a, object.list.all(b, object.list.all(c, object.list.all(d, d != ''))))",
        "object.list.exists(a, object.list.exists(b, object.list.exists(c, object.list.exists(d, d == ''))))",
        // Errors are deferred, and do not help either.
        "object.list.all(a, object.list.all(b, object.list.all(c, object.list.all(d, d.nope))))",
        "object.list.exists(a, object.list.exists(b, object.list.exists(c, object.list.exists(d, d.nope)))) || true",
        "object.list.map(a, object.list.map(b, object.list.filter(c, c != ''))).size() == 0",
    ] {
        let (result, steps) = within(Budget { steps: 1_000_000, bytes: 64 << 20 }, source, &object);
        let error = result.expect_err(source);
        assert!(error.contains("the evaluation"), "{source}: {error}");
        assert!(steps <= 1_000_000, "{source}: {steps} steps");
    }
}

#[test]
fn nothing_absorbs_the_end_of_an_evaluation() {
    let endless = "object.list.all(a, object.list.all(b, a == b))";
    for source in [
        format!("{endless} || true"),
        format!("true && ({endless} || true)"),
        format!("!({endless} && false)"),
        format!("[1, 2].exists(x, {endless} || x == 2)"),
        format!("![1, 2].all(x, {endless} && x != 2)"),
        format!("[true].exists_one(x, {endless} || x)"),
        format!("({endless} ? 1 : 1) == 1"),
        format!("optional.of(1).optMap(x, {endless} ? x : x).hasValue() || true"),
        format!("cel.bind(x, {endless}, true || x)"),
    ] {
        let (result, _) = within(SMALL, &source, &list(1000));
        let error = result.expect_err(&source);
        assert!(error.contains("more than 100000 steps"), "{source}: {error}");
    }
}

#[test]
fn what_an_expression_makes_is_bounded() {
    let doubled = |what: &str| {
        format!("{}{what}{}.size() > 0", "cel.bind(x, ".repeat(20), ", x + x)".repeat(20))
    };
    for source in [
        // Text that doubles, lists that double.
        doubled("object.text"),
        doubled("object.list"),
        "object.text.replace('', object.text).size() > 0".to_owned(),
        "object.text.replace('x', object.text).size() > 0".to_owned(),
        "object.list.map(x, object.text).join(object.text).size() > 0".to_owned(),
        "object.list.map(x, 1.5).map(x, '%.999f%.999f%.999f'.format([x, x, x])).size() > 0"
            .to_owned(),
        "lists.range(9223372036854775807).size() > 0".to_owned(),
        "'%s'.format([object.list.map(x, object.list)]).size() > 0".to_owned(),
        "object.text.split('').map(x, object.text.split('')).size() > 0".to_owned(),
        "object.list.transformMap(i, v, object.list.transformMap(j, w, w)).size() > 0".to_owned(),
        "base64.encode(bytes(object.list.map(x, object.text).join())).size() > 0".to_owned(),
    ] {
        let (result, _) =
            within(Budget { steps: 10_000_000, bytes: 4 << 20 }, &source, &list(3000));
        let error = result.expect_err(&source);
        assert!(error.contains("the evaluation"), "{source}: {error}");
    }
}

#[test]
fn patterns_that_are_made_while_evaluating_take_steps() {
    let source = "object.list.all(x, object.text.matches('x{900}' + string(x)) || true)";
    let (result, _) =
        within(SMALL, source, &json!({"list": (0..1000).collect::<Vec<_>>(), "text": ""}));
    assert!(result.expect_err("a thousand patterns").contains("steps"));
    let same = "object.list.all(x, object.text.matches('^' + object.text))";
    let (result, steps) = within(SMALL, same, &json!({"list": vec![1; 1000], "text": "x"}));
    assert_eq!(result, Ok(true), "one pattern is compiled once");
    assert!(steps < 50_000, "{steps} steps");
}

#[test]
fn a_step_is_a_node_or_a_round() {
    let steps = |source: &str| within(SMALL, source, &list(100)).1;
    assert_eq!(steps("true"), 1);
    assert_eq!(steps("true && true"), 3);
    let one = steps("object.list.all(x, x == 1)");
    assert!((300..1000).contains(&one), "{one}");
    assert!(steps("object.text.contains('y')") < 20);
}
