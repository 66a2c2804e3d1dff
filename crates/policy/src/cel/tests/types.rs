//! What the type checker accepts and refuses, as Kubernetes' does.

use super::*;

fn compile(source: &str, expected: Expected) -> Vec<Problem> {
    let inputs = Input::ADMISSION;
    let mut compiler = Compiler::new(inputs, Sight::Nothing);
    let variables = [
        ("number", "1 + 1"),
        ("text", "object.metadata.name + ''"),
        ("names", "object.spec.containers.map(c, string(c.name))"),
        ("sizes", "{'a': 1, 'b': 2}"),
        ("maybe", "object.?spec"),
        ("any", "object.spec"),
    ];
    for (name, source) in variables {
        compiler.variable(name, source).unwrap_or_else(|found| panic!("{name}: {found:?}"));
    }
    compiler.expression(source, Variables::Visible, expected).err().unwrap_or_default()
}

const RIGHT: &[&str] = &[
    // What comes with a request is dyn.
    "object.a + 1 == object.b && object.c.startsWith('x') && object.d",
    "object.list[0] == 'a' && object.map['a'] == 1",
    // What Kubernetes knows of its own objects.
    "request.userInfo.groups.exists(g, g.startsWith('system:')) && request.kind.kind == 'Pod'",
    "request.userInfo.extra['scopes'].size() == 1 && request.options.x && !request.dryRun",
    "namespaceObject.metadata.labels['team'] == 'a' && namespaceObject.status.phase == 'Active'",
    // Null stands for objects, times and optionals.
    "request == null || namespaceObject == null || timestamp(object.t) == null",
    // Variables are of the type of their expressions.
    "variables.number > 1 && variables.text.size() > 1 && variables.names[0].contains('a')",
    "variables.sizes['a'] + variables.number == 3 && variables.maybe.hasValue()",
    "variables.any.x.y.z == 1",
    // Numbers of all types are ordered.
    "1 < 2.0 && 1u < 2 && 2.5 >= 1u && object.x < 1.5",
    // Lists and maps are of one type; dyn is every type.
    "[1, object.x].size() == 2 && ['a', object.x][0] == 'a' && [] == [1] && {} == {'a': 1}",
    "{'a': 1, object.k: object.v}.a == 1 && [[], [1]] == [[1]]",
    "[?object.?x, 1].size() == 1 && {?'a': object.?x}.size() == 0",
    // Loops.
    "{'a': 1}.all(k, k == 'a') && [1].map(x, x > 0, x + 1)[0] == 2",
    "['a'].all(i, v, i == 0 && v == 'a') && {'a': 1}.exists(k, v, k == 'a' && v == 1)",
    "[1].transformMap(i, v, v + i)[0] == 1 && {'a': 1}.transformList(k, v, k)[0] == 'a'",
    "{'a': 1}.transformMapEntry(k, v, {v: k})[1] == 'a' && object.x.existsOne(i, v, v == i)",
    "['b', 'a'].sortBy(x, x)[0] == 'a' && cel.bind(x, 1, x + 1) == 2",
    "object.?a.optMap(x, x + 1).orValue(1) == 1 && object.?a.optFlatMap(x, x.?b).hasValue()",
    "object.?a.b.c.orValue('x') == 'x' && object.?a[0].hasValue() && object.a[?0].b.hasValue()",
    // Conditions.
    "(object.x ? 1 : object.y) == 1 && (object.x ? null : duration('1s')) == null",
    // Functions, by their names and by their receivers.
    "sets.contains(['a'], object.x) && math.greatest(1, 2, 3) == 3 && optional.of(1).value() == 1",
    "type(object.x) == string && type(1) == int && type([1]) == list && type(null) == null_type",
    "duration('1h') + duration('1m') > duration('1s') && timestamp('2026-01-01T00:00:00Z') > object.t",
    "size('a') == 'a'.size() && dyn('a') == 1 && string(1) == '1'",
];

#[test]
fn what_kubernetes_accepts_is_accepted() {
    for source in RIGHT {
        let found = compile(source, Expected::Bool);
        assert!(found.is_empty(), "{source}: {found:?}");
    }
}

const WRONG: &[(&str, &str)] = &[
    ("1 + 'a' == 2", "no matching overload for '_+_' applied to '(int, string)'"),
    ("1 == 'a'", "no matching overload for '_==_' applied to '(int, string)'"),
    ("1 == 1.0", "no matching overload for '_==_'"),
    ("'a' < 1", "no matching overload for '_<_'"),
    ("'a' == null", "no matching overload"),
    ("!1", "no matching overload for '!_' applied to '(int)'"),
    ("1 && true", "no matching overload for '_&&_' applied to '(int, bool)'"),
    ("(1 ? true : false)", "no matching overload for '_?_:_'"),
    ("(true ? 1 : 'a') == 1", "no matching overload for '_?_:_' applied to '(bool, int, string)'"),
    ("'a'.size(1) == 1", "takes 0 arguments, not 1"),
    ("1.startsWith('a')", "no matching overload for 'startsWith' applied to 'int.(string)'"),
    ("'a'.startsWith(1)", "applied to 'string.(int)'"),
    ("[1, 'a'] == []", "expected type 'int' but found 'string'"),
    ("{'a': 1, 'b': 'c'} == {}", "expected type 'int' but found 'string'"),
    ("{1.5: 1} == {}", "cannot be a key"),
    ("'a' in [1]", "no matching overload for '@in'"),
    ("1 in {'a': 1}", "no matching overload for '@in'"),
    ("[1]['a'] == 1", "no matching overload for '_[_]'"),
    ("'a'[0] == 'a'", "no matching overload for '_[_]'"),
    ("'a'.b == 1", "type 'string' does not support field selection"),
    ("has('a'.b)", "type 'string' does not support field selection"),
    ("has(object)", "must select a field"),
    ("request.nope == 1", "undefined field 'nope' of kubernetes.AdmissionRequest"),
    ("request.object.x == 1", "undefined field 'object'"),
    ("request.userInfo.name == ''", "undefined field 'name' of kubernetes.UserInfo"),
    ("has(request.kind.nope)", "undefined field 'nope'"),
    ("request.?nope.hasValue()", "undefined field 'nope'"),
    ("namespaceObject.metadata.nope == 1", "undefined field 'nope'"),
    ("request.name + 1 == ''", "no matching overload for '_+_' applied to '(string, int)'"),
    ("namespaceObject.metadata.labels['a'] == 1", "applied to '(string, int)'"),
    ("variables.number == 'a'", "applied to '(int, string)'"),
    ("variables.text + 1 == ''", "applied to '(string, int)'"),
    ("variables.names.exists(n, n > 1)", "no matching overload for '_>_'"),
    ("variables.maybe + 1 == 1", "optional_type(dyn)"),
    ("'abc'.all(c, true)", "cannot be range of a comprehension"),
    ("1.map(x, x) == []", "cannot be range of a comprehension"),
    ("[1].all(x, x)", "expected type 'bool' but found 'int'"),
    ("[1].filter(x, 'a') == []", "expected type 'bool' but found 'string'"),
    ("[1].all('x', true)", "must be a simple name"),
    ("dyn([1].transformMapEntry(i, v, v)) == {}", "expected type 'map' but found 'int'"),
    ("[[1]].sortBy(x, x) == []", "but found 'list(int)'"),
    ("[?1] == []", "expected an optional"),
    ("'a'.optMap(x, x) == ''", "expected an optional"),
    ("object.?a.optFlatMap(x, 1) == 1", "expected an optional but found 'int'"),
    ("duration('nope') > duration('1s')", "is not a duration"),
    ("timestamp('2026-13-01T00:00:00Z') > object.t", "is not a timestamp"),
    ("object.x.matches('[')", "not a regular expression"),
    ("object.x.matches('(?x)a')", "not a regular expression"),
    ("object.x.matches('a{1001}')", "not a regular expression"),
    ("math.greatest('a') == 1", "no matching overload"),
];

#[test]
fn what_is_wrong_with_types_is_found_with_its_position() {
    for (source, message) in WRONG {
        let found = compile(source, Expected::Bool);
        let [problem] = found.as_slice() else {
            panic!("{source}: {found:?}");
        };
        assert!(problem.message.contains(message), "{source}: {}", problem.message);
        assert_eq!(problem.reason, Reason::CompileError, "{source}");
        assert!(problem.position.is_some(), "{source}");
    }
}

#[test]
fn an_expression_is_of_the_type_that_is_expected_and_dyn_is_none() {
    for (expected, right, wrong) in [
        (Expected::Bool, "true", "'a'"),
        (Expected::Bool, "object.x == 1", "object.x"),
        (Expected::String, "'a'", "1"),
        (Expected::String, "string(object.x)", "object.x"),
        (Expected::StringOrNull, "null", "1"),
        (Expected::StringOrNull, "'a'", "true"),
        (Expected::StringOrNull, "string(object.x)", "object.x"),
    ] {
        assert!(compile(right, expected).is_empty(), "{right}");
        let found = compile(wrong, expected);
        assert_eq!(found.len(), 1, "{wrong}: {found:?}");
        assert!(found[0].message.starts_with("must evaluate to"), "{found:?}");
    }
    assert!(compile("[1]", Expected::Anything).is_empty());
}
