//! What expressions mean, what is refused, and what nobody can break.

use serde_json::{Value, json};

use super::*;
use crate::json::Json;

mod budget;
mod charges;
mod hostile;
mod semantics;
mod types;

/// Compiles one expression and evaluates it over an object.
fn evaluate(source: &str, object: &Value) -> Result<bool, String> {
    let mut compiler = Compiler::default();
    let expression = compiler
        .expression(source, Variables::Visible, Expected::Anything)
        .unwrap_or_else(|problems| panic!("{source}: {problems:?}"));
    let program = compiler.finish().expect("there are no variables");
    let object = Json::from(object.clone());
    let inputs = Inputs::new(&object, &Json::Null, &Json::Null, NamespaceObject::None);
    let bindings = Bindings::new(&inputs, &program);
    Scope::new(&bindings, &Allowance::of_request())
        .truth(&expression)
        .map_err(|error| error.to_string())
}

fn problems(source: &str) -> Vec<Problem> {
    match Compiler::default().expression(source, Variables::Visible, Expected::Anything) {
        Ok(_) => Vec::new(),
        Err(problems) => problems,
    }
}

fn pod() -> Value {
    json!({
        "metadata": {"name": "web", "labels": {"app": "web", "tier": "front", "1": "one"}},
        "spec": {
            "containers": [
                {"name": "a", "image": "ghcr.io/a/b:1.2", "ports": [80, 443], "args": []},
                {"name": "b", "image": "nginx", "securityContext": {"runAsUser": 1000}},
            ],
            "replicas": 3,
            "ratio": 0.5,
            "whole": 2.0,
            "huge": u64::MAX,
            "negative": -7,
            "on": true,
            "nothing": null,
            "empty": {},
            "nested": [[1, 2], [3]],
        },
    })
}

const TRUE: &[&str] = &[
    // Numbers are compared by value, whatever their type.
    "object.spec.replicas == 3 && object.spec.replicas == 3.0 && object.spec.replicas >= 2.5",
    "type(object.spec.replicas) == int && type(object.spec.whole) == double",
    "type(object.spec.huge) == double && object.spec.huge > 9223372036854775807",
    "object.spec.negative + 8 == 1 && -object.spec.negative == 7",
    "object.spec.whole == 2 && object.spec.ratio < 1",
    // Types of everything else.
    "type(object.spec.nothing) == null_type && object.spec.nothing == null",
    "type(object) == map && type(object.spec.containers) == list && type(object.spec.on) == bool",
    // Presence: a field with null is there.
    "has(object.spec.nothing) && !has(object.spec.missing) && !has(object.spec.empty.x)",
    "!has(object.spec.empty.x) && has(object.spec.empty)",
    "'app' in object.metadata.labels && !('nope' in object.metadata.labels)",
    "object.metadata.labels['1'] == 'one'",
    // Optionals.
    "object.?spec.?missing.orValue('none') == 'none'",
    "object.spec.?replicas.orValue(0) == 3 && object.spec.?replicas.hasValue()",
    "object.?nope.?nope.?nope == optional.none()",
    "object.spec.containers[?0].?name == optional.of('a')",
    "object.spec.containers[?9].?name.orValue('x') == 'x'",
    "optional.ofNonZeroValue(object.spec.empty) == optional.none()",
    "object.spec.containers[0].name.orValue('kyverno') == 'a'",
    // Macros.
    "object.spec.containers.all(c, c.image != '')",
    "object.spec.containers.exists(c, has(c.securityContext) && c.securityContext.runAsUser > 0)",
    "object.spec.containers.exists_one(c, c.name == 'b')",
    "object.spec.containers.map(c, c.name) == ['a', 'b']",
    "object.spec.containers.filter(c, has(c.ports)).map(c, c.ports[1]) == [443]",
    "object.metadata.labels.all(key, key.size() > 0)",
    "object.metadata.labels.map(key, key).size() == 3",
    "object.spec.containers.map(object, object.name)[0] == 'a'",
    // An error beside what decides is no error.
    "object.spec.on || object.spec.missing.field",
    "object.spec.containers.exists(c, c.securityContext.runAsUser == 1000)",
    // Lists and maps are equal by content, on whichever side the object's stand.
    "object.spec.containers[0].ports == [80, 443] && [80, 443] == object.spec.containers[0].ports",
    "[80.0, 443.0] == object.spec.containers[0].ports && [80] != object.spec.containers[0].ports",
    "object.spec.nested == [[1, 2], [3]] && [[1, 2], [3]] == object.spec.nested",
    "[3] in object.spec.nested && object.spec.nested[1] in [[3], [4]]",
    "object.spec.nested.map(x, x) == object.spec.nested",
    "{'app': 'web', 'tier': 'front', '1': 'one'} == object.metadata.labels",
    "object.metadata.labels == {'1': 'one', 'tier': 'front', 'app': 'web'}",
    "object.metadata.labels != {'app': 'web'} && object.spec.containers != null",
    "object.spec.empty == {} && object.spec.containers[0].args == []",
    "optional.of(object.spec.nested[1]) == optional.of([3])",
    "object == object && object.spec == object['spec']",
    // Concatenation.
    "object.spec.containers[0].ports + [1] == [80, 443, 1] && ([1] + object.spec.nested[1]) == [1, 3]",
    "(object.spec.nested[0] + object.spec.nested[1]).size() == 3",
    "object.metadata.name + '-x' == 'web-x'",
    // Strings.
    "object.metadata.name.startsWith('w') && object.metadata.name.endsWith('b')",
    "object.spec.containers[0].image.split(':')[1] == '1.2' && object.metadata.name.size() == 3",
    "object.metadata.name.upperAscii() == 'WEB' && 'a-b'.replace('-', '+') == 'a+b'",
    "object.spec.containers.map(c, c.name).join(',') == 'a,b' && ' x '.trim() == 'x'",
    "'%s has %d'.format([object.metadata.name, object.spec.replicas]) == 'web has 3'",
    "'ünï'.size() == 3 && 'ünï'.substring(1, 2) == 'n' && 'a😀'.charAt(1) == '😀'",
    // Patterns, literal and not.
    "object.metadata.name.matches('^w.b$') && !matches(object.metadata.name, '^x')",
    "object.metadata.name.matches('^' + object.metadata.name + '$')",
    // Conversions, time.
    "int('7') == 7 && string(object.spec.replicas) == '3' && double(object.spec.replicas) == 3.0",
    "duration('1h') > duration('59m') && timestamp('2026-01-01T00:00:00Z').getFullYear() == 2026",
    "dyn(object.spec.replicas) == 3 && type(duration('1s')) == google.protobuf.Duration",
    // Inputs that are absent are null.
    "oldObject == null && namespaceObject == null",
    // Sizes and ternaries.
    "size(object.spec.containers) == 2 && object.metadata.labels.size() == 3",
    "object.spec.on ? object.spec.replicas == 3 : object.spec.missing",
    "object.spec.containers[1.0].name == 'b' && object.spec.containers[1u].name == 'b'",
];

#[test]
fn expressions_mean_what_kubernetes_says_they_mean() {
    let pod = pod();
    for source in TRUE {
        assert_eq!(evaluate(source, &pod), Ok(true), "{source}");
        assert_eq!(evaluate(&format!("!({source})"), &pod), Ok(false), "!({source})");
    }
}

#[test]
fn an_expression_without_a_value_says_why() {
    for (source, why) in [
        ("object.spec.missing == 1", "no such key: missing"),
        ("object.spec.containers[7].name == ''", "index out of bounds: 7"),
        ("object.spec.containers[-1].name == ''", "index out of bounds: -1"),
        ("object.spec.containers[0.5].name == ''", "unsupported index value 0.5"),
        ("object.spec.containers['x'] == 1", "'_[_]' applied to '(list, string)'"),
        ("object.metadata.labels[1] == ''", "no such key: 1"),
        ("object.metadata.name + 1 == dyn('')", "'_+_' applied to '(string, int)'"),
        ("object.spec.replicas > 'x'", "'_>_' applied to '(int, string)'"),
        ("1 in object.metadata.name", "applied to '(int, string)'"),
        ("object.spec.nested[0] in dyn(1)", "applied to '(list, int)'"),
        ("object.metadata.labels.matches('x')", "'matches' applied to '(map, string)'"),
        ("object.metadata.name.matches('(' + 'x')", "not a regular expression"),
        ("9223372036854775807 + object.spec.replicas > 0", "integer overflow"),
        ("object.spec.replicas / 0 == 1", "division by zero"),
        ("object.spec.containers", "must be true or false, is a list"),
        ("dyn('true')", "must be true or false, is a string"),
        ("object.spec.on && object.spec.missing", "no such key: missing"),
        ("object.spec.replicas.all(x, true)", "a int is not a list or a map"),
        ("{'a': 1, 'a': 2}.size() == 2", "repeated key"),
    ] {
        let error = evaluate(source, &pod()).expect_err(source);
        assert!(error.contains(why), "{source}: {error}");
    }
}

#[test]
fn an_error_never_carries_a_whole_value() {
    let object = json!({"text": "ä".repeat(1 << 20)});
    let error =
        evaluate("{object.text: 1}[object.text + 'x'] == 1", &object).expect_err("no such key");
    assert!(error.len() < MAX_ERROR + 8, "{}", error.len());
    assert!(error.ends_with('…'));
}

#[test]
fn a_value_that_is_not_there_is_no_error_of_ours() {
    let object = json!({"list": [1]});
    for source in ["object.list == null", "null == object.list", "object == 1", "object == ''"] {
        assert_eq!(evaluate(source, &object), Ok(false), "{source}");
    }
}

#[test]
fn what_is_wrong_with_an_expression_is_found_before_it_is_evaluated() {
    for (source, reason, position, message) in [
        ("object.", Reason::CompileError, Some((1, 8)), "Syntax error"),
        ("", Reason::CompileError, None, ""),
        ("1 +* 2", Reason::CompileError, Some((1, 4)), "Syntax error"),
        ("foo == 1", Reason::UnknownVariable, Some((1, 1)), "no variable foo"),
        ("true ||\n  foo", Reason::UnknownVariable, Some((2, 3)), "no variable foo"),
        ("'ö' == x", Reason::UnknownVariable, Some((1, 8)), "no variable x"),
        ("has(foo.bar)", Reason::UnknownVariable, None, "no variable foo"),
        ("[1].all(x, x > y)", Reason::UnknownVariable, Some((1, 16)), "no variable y"),
        ("[1].all(x, true) && x", Reason::UnknownVariable, Some((1, 21)), "no variable x"),
        ("variables.x", Reason::UnknownVariable, None, "no variable variables.x"),
        ("variables['x']", Reason::Unsupported, None, "as variables.NAME"),
        ("params.x == 1", Reason::Unsupported, Some((1, 1)), "no params"),
        (
            "authorizer.group('').check('x')",
            Reason::Unsupported,
            None,
            "no function authorizer.group",
        ),
        ("images.containers == []", Reason::Unsupported, None, "no images"),
        ("Object{spec: 1}", Reason::Unsupported, None, "Object{}"),
        ("object.x.frob()", Reason::UnknownFunction, None, "no function frob"),
        ("frob(object)", Reason::UnknownFunction, None, "no function frob"),
        ("resource.Get('v1', 'x', 'y', 'z')", Reason::Unsupported, None, "resource.Get"),
        ("'x'.startsWith()", Reason::CompileError, None, "takes 1 arguments, not 0"),
        ("size(1, 2)", Reason::CompileError, None, "takes 1 arguments, not 2"),
        ("object.x.matches('(')", Reason::CompileError, None, "not a regular expression"),
        (
            "object.x.matches('(a{1000}){1000}')",
            Reason::TooComplex,
            None,
            "regular expression of more",
        ),
    ] {
        let found = problems(source);
        let first = found.first().unwrap_or_else(|| panic!("{source} was accepted"));
        assert_eq!(first.reason, reason, "{source}: {found:?}");
        assert!(first.message.contains(message), "{source}: {}", first.message);
        if let Some((line, column)) = position {
            assert_eq!(first.position, Some(Position { line, column }), "{source}");
        }
    }
}

#[test]
fn the_methods_of_what_is_missing_are_no_problems_of_their_own() {
    let found = problems("authorizer.group('').resource('pods').check('get').allowed()");
    assert_eq!(found.len(), 1, "{found:?}");
    let found = problems("authorizer.group(frob()).check(object.frob())");
    let reasons: Vec<_> = found.iter().map(|problem| problem.reason).collect();
    use Reason::{UnknownFunction, Unsupported};
    assert_eq!(reasons, [UnknownFunction, Unsupported, UnknownFunction], "{found:?}");
}

#[test]
fn every_problem_of_an_expression_is_found_at_once() {
    let found = problems("foo == bar && object.frob() && 'x'.matches('[')");
    let reasons: Vec<_> = found.iter().map(|problem| problem.reason).collect();
    assert_eq!(
        reasons,
        [
            Reason::UnknownVariable,
            Reason::UnknownVariable,
            Reason::UnknownFunction,
            Reason::CompileError
        ]
    );
}

/// A program with variables, and an expression that uses them.
struct Policy {
    program: Program,
    expression: Expression,
}

impl Policy {
    fn new(variables: &[(&str, &str)], expression: &str) -> Self {
        let mut compiler = Compiler::default();
        for (name, source) in variables {
            compiler.variable(name, source).expect("the variable compiles");
        }
        let expression = compiler
            .expression(expression, Variables::Visible, Expected::Anything)
            .expect("the expression compiles");
        let program = compiler.finish().expect("the variables compile");
        Self { program, expression }
    }

    fn truth(&self, object: &Value, namespace: NamespaceObject<'_>) -> Result<bool, String> {
        let object = Json::from(object.clone());
        let inputs = Inputs::new(&object, &Json::Null, &Json::Null, namespace);
        let bindings = Bindings::new(&inputs, &self.program);
        Scope::new(&bindings, &Allowance::of_request())
            .truth(&self.expression)
            .map_err(|error| error.to_string())
    }

    fn over_a_pod(variables: &[(&str, &str)], expression: &str) -> Result<bool, String> {
        Self::new(variables, expression).truth(&pod(), NamespaceObject::None)
    }
}

#[test]
fn variables_build_on_those_before_them() {
    let variables = [
        ("spec", "object.spec"),
        ("containers", "variables.spec.containers"),
        ("images", "variables.containers.map(c, c.image)"),
        ("both", "variables.images + variables.containers.map(c, c.name)"),
    ];
    for expression in [
        "variables.both.size() == 4 && variables.both[2] == 'a'",
        "has(variables.spec) && variables.spec.replicas == 3",
        "variables.containers.all(c, c.image in variables.images)",
        "variables.containers[0].ports == [80, 443] && variables.images == ['ghcr.io/a/b:1.2', 'nginx']",
        "[1].all(variables, variables == 1)",
    ] {
        assert_eq!(Policy::over_a_pod(&variables, expression), Ok(true), "{expression}");
    }
}

#[test]
fn a_variable_cannot_see_those_after_it() {
    let mut compiler = Compiler::default();
    let found = compiler.variable("a", "variables.b").expect_err("b comes later");
    assert_eq!(found[0].reason, Reason::UnknownVariable);
    compiler.variable("b", "1").expect("b compiles");
    assert!(
        compiler.expression("variables.a == 1", Variables::Visible, Expected::Anything).is_ok(),
        "a has its say"
    );
    assert!(
        compiler.expression("variables.b == 1", Variables::Hidden, Expected::Anything).is_err()
    );
    assert!(compiler.finish().is_none(), "a has problems");
}

#[test]
fn a_failed_variable_is_the_error_of_what_uses_it_and_of_nothing_else() {
    let variables = [
        ("bad", "object.spec.missing"),
        ("worse", "variables.bad + 1"),
        ("good", "true || variables.worse == 1"),
    ];
    let used = Policy::over_a_pod(&variables, "variables.worse == 1");
    assert_eq!(used, Err("variables.worse: variables.bad: no such key: missing".to_owned()));
    assert_eq!(Policy::over_a_pod(&variables, "variables.good"), Ok(true));
    assert_eq!(Policy::over_a_pod(&variables, "object.spec.on || variables.bad"), Ok(true));
    assert_eq!(Policy::over_a_pod(&variables, "object.spec.replicas == 3"), Ok(true));
}

#[test]
fn an_unknown_namespace_is_only_the_problem_of_who_asks() {
    let asks = Policy::new(
        &[("labels", "namespaceObject.metadata.labels")],
        "variables.labels.team == 'a'",
    );
    assert!(asks.expression.needs_namespace());
    let unknown = asks.truth(&pod(), NamespaceObject::Unknown).expect_err("it is unknown");
    assert!(unknown.contains("namespace is not known"), "{unknown}");
    let namespace = Json::from(json!({"metadata": {"labels": {"team": "a"}}}));
    assert_eq!(asks.truth(&pod(), NamespaceObject::Known(&namespace)), Ok(true));
    let other = Policy::new(&[], "object.spec.on");
    assert!(!other.expression.needs_namespace());
    assert_eq!(other.truth(&pod(), NamespaceObject::Unknown), Ok(true));
}
