//! What CEL's functions and operators mean, case by case, in the words of its specification.

use super::*;

fn all_hold(sources: &[&str]) {
    let pod = pod();
    for source in sources {
        assert_eq!(evaluate(source, &pod), Ok(true), "{source}");
    }
}

fn all_fail(sources: &[(&str, &str)]) {
    let pod = pod();
    for (source, why) in sources {
        let error = evaluate(source, &pod).expect_err(source);
        assert!(error.contains(why), "{source}: {error}");
    }
}

#[test]
fn numbers_are_exact_and_what_does_not_fit_is_an_error() {
    all_hold(&[
        "7 / 2 == 3 && -7 / 2 == -3 && 7 % 2 == 1 && -7 % 2 == -1",
        "7u / 2u == 3u && 7.0 / 2.0 == 3.5 && 1.0 / 0.0 > 1.0e300",
        "9223372036854775807 == 9223372036854775807 && -9223372036854775808 < 0",
        "dyn(9007199254740993) != dyn(9007199254740992.0) && 9007199254740993 > 9007199254740992.0",
        "dyn(1) == dyn(1u) && dyn(1u) == dyn(1.0) && dyn(-1) != dyn(18446744073709551615u)",
        "!(0.0 / 0.0 == 0.0 / 0.0) && 0.0 / 0.0 != 0.0 / 0.0",
        "int(1.9) == 1 && int(-1.9) == -1 && int('-42') == -42 && int(7u) == 7",
        "uint(7) == 7u && uint('7') == 7u && uint(7.9) == 7u && double('1e3') == 1000.0",
        "int(timestamp('1970-01-01T00:01:00Z')) == 60",
        "dyn(1) in [1.0] && dyn(1.0) in {1: 'a'} && {1: 'a'}[dyn(1u)] == 'a'",
    ]);
    all_fail(&[
        ("9223372036854775807 + 1 == 0", "integer overflow"),
        ("-9223372036854775808 - 1 == 0", "integer overflow"),
        ("9223372036854775807 * 2 == 0", "integer overflow"),
        ("-(object.spec.replicas - 9223372036854775807 - 4) - 1 == 0", "integer overflow"),
        ("0u - 1u == 0u", "unsigned integer overflow"),
        ("0.0 / 0.0 < 1.0", "NaN values cannot be ordered"),
        ("1 % 0 == 0", "modulus by zero"),
        ("1u / 0u == 0u", "division by zero"),
        ("int(1e19) == 0", "integer overflow"),
        ("uint(-1) == 0u", "unsigned integer overflow"),
        ("int('1.5') == 0", "type conversion error from 'string' to 'int'"),
        ("double('x') == 0.0", "type conversion error"),
        ("bool('yes')", "type conversion error"),
    ]);
}

#[test]
fn texts_are_written_as_go_writes_them() {
    all_hold(&[
        "string(1.0) == '1' && string(0.1) == '0.1' && string(1e6) == '1e+06' && string(1e-5) == '1e-05'",
        "string(123456.5) == '123456.5' && string(-0.5) == '-0.5' && string(1.0/0.0) == '+Inf'",
        "string(true) == 'true' && string(7u) == '7' && string(b'abc') == 'abc'",
        "string(duration('1h1.5s')) == '3601.5s' && string(duration('-1ms')) == '-0.001s'",
        "string(timestamp('2026-01-02T03:04:05.670Z')) == '2026-01-02T03:04:05.67Z'",
        "bytes('ä').size() == 2 && 'ä'.size() == 1 && b'\\xff' != b'\\xfe'",
        "bool('true') && !bool('F') && bool('1')",
        "base64.encode(b'hello') == 'aGVsbG8=' && base64.decode('aGVsbG8') == b'hello'",
        "'%d %s %.2f %x %X %b %o %e %%'.format([dyn(1), dyn('a'), dyn(1.5), dyn(255), dyn('hi'), dyn(5), dyn(8), dyn(1234.5)]) \
          == '1 a 1.50 ff 6869 101 10 1.234500e+03 %'",
        "'%s'.format([dyn(['a', 'b'])]) == '[\"a\", \"b\"]' && '%s'.format([dyn({'a': 1})]) == '{\"a\": 1}'",
        "strings.quote('a\"b\\n') == '\"a\\\\\"b\\\\n\"'",
    ]);
    all_fail(&[
        ("string(b'\\xff') == ''", "invalid UTF-8"),
        ("'%d'.format(['a']) == ''", "decimal clause"),
        ("'%d'.format([]) == ''", "shorter"),
        ("'%q'.format([1]) == ''", "unrecognized formatting clause"),
        ("'%'.format([1]) == ''", "unexpected end"),
    ]);
}

#[test]
fn strings_are_taken_apart_by_characters() {
    all_hold(&[
        "'tacocat'.charAt(3) == 'o' && 'abc'.charAt(3) == ''",
        "'hello mellow'.indexOf('') == 0 && 'hello mellow'.indexOf('ello') == 1",
        "'hello mellow'.indexOf('jello') == -1 && 'hello mellow'.indexOf('ello', 2) == 7",
        "'hello mellow'.lastIndexOf('ello') == 7 && 'hello mellow'.lastIndexOf('ello', 6) == 1",
        "'hello mellow'.lastIndexOf('') == 12 && 'äöü'.lastIndexOf('ü') == 2 && 'äöü'.indexOf('ö') == 1",
        "['x', 'y'].join() == 'xy' && ['x', 'y'].join('-') == 'x-y' && [].join() == ''",
        "'hello hello'.replace('he', 'we') == 'wello wello'",
        "'hello hello'.replace('he', 'we', 1) == 'wello hello' && 'ab'.replace('', '_') == '_a_b_'",
        "'hello hello'.replace('he', 'we', 0) == 'hello hello'",
        "'a b c'.split(' ') == ['a', 'b', 'c'] && 'a b c'.split(' ', 2) == ['a', 'b c']",
        "'a b c'.split(' ', 0) == [] && 'a b c'.split(' ', 1) == ['a b c'] && ''.split(',') == ['']",
        "'äb'.split('') == ['ä', 'b'] && ''.split('') == [] && 'abc'.split('', 2) == ['a', 'bc']",
        "'tacocat'.substring(4) == 'cat' && 'tacocat'.substring(0, 4) == 'taco' && 'äöü'.substring(1, 2) == 'ö'",
        "'  \\ttrim\\n '.trim() == 'trim' && 'TacoÄ'.lowerAscii() == 'tacoÄ' && 'tacoä'.upperAscii() == 'TACOä'",
    ]);
    all_fail(&[
        ("'abc'.charAt(4) == ''", "index out of range: 4"),
        ("'abc'.charAt(-1) == ''", "index out of range: -1"),
        ("'abc'.substring(2, 1) == ''", "invalid substring range. start: 2, end: 1"),
        ("'abc'.substring(0, 9) == ''", "index out of range: 9"),
        ("'abc'.indexOf('a', -1) == 0", "index out of range: -1"),
    ]);
}

#[test]
fn patterns_are_those_of_re2() {
    all_hold(&[
        "'a1_'.matches(r'^\\w+$') && !'ä'.matches(r'\\w') && !'٣'.matches(r'^\\d$')",
        "'a b'.matches(r'\\bb') && !'\\u00a0'.matches(r'\\s') && 'ä'.matches(r'^.$') && 'Ä'.matches('(?i)ä')",
        "'[&&~]'.matches(r'^[[&&~\\]]+$') && 'a-b'.matches(r'^[\\w-]+$') && 'x{,2}'.matches('^x{,2}$')",
        "'a.b'.matches(r'\\Qa.b\\E') && !'axb'.matches(r'\\Qa.b\\E') && 'ab3'.matches('^[[:alpha:]]+[[:digit:]]$')",
        "'xay'.matches('a') && matches('aaa', '^a{3}$') && !'a'.matches('^' + 'b')",
        "'x'.matches(r'^\\x78$') && 'A'.matches(r'^\\101$') && '!'.matches(r'^\\W\\D?$')",
    ]);
}

#[test]
fn times_are_reckoned_in_their_zones() {
    all_hold(&[
        "timestamp('2026-03-01T00:30:00Z').getFullYear() == 2026 && timestamp('2026-03-01T00:30:00Z').getMonth() == 2",
        "timestamp('2026-03-01T00:30:00Z').getDate() == 1 && timestamp('2026-03-01T00:30:00Z').getDayOfMonth() == 0",
        "timestamp('2026-03-01T00:30:00Z').getDayOfYear() == 59 && timestamp('2026-03-01T00:30:00Z').getDayOfWeek() == 0",
        "timestamp('2026-03-01T00:30:00Z').getHours('America/New_York') == 19",
        "timestamp('2026-03-01T00:30:00Z').getHours('+05:30') == 6 && timestamp('2026-03-01T00:30:00Z').getMinutes('-00:45') == 45",
        "timestamp('2026-03-01T00:30:05.123Z').getSeconds() == 5 && timestamp('2026-03-01T00:30:05.123Z').getMilliseconds() == 123",
        "timestamp('2026-03-01T00:00:00+01:00') == timestamp('2026-02-28T23:00:00Z')",
        "duration('90m').getHours() == 1 && duration('90m').getMinutes() == 90 && duration('1.5s').getMilliseconds() == 1500",
        "duration('1h') == duration('60m') && duration('-1h30m') < duration('0') && duration('1us') == duration('1000ns')",
        "timestamp('2026-01-01T00:00:00Z') + duration('24h') == timestamp('2026-01-02T00:00:00Z')",
        "duration('24h') + timestamp('2026-01-01T00:00:00Z') == timestamp('2026-01-02T00:00:00Z')",
        "timestamp('2026-01-02T00:00:00Z') - timestamp('2026-01-01T00:00:00Z') == duration('24h')",
        "timestamp('9999-12-31T23:59:59Z') > timestamp('9999-12-30T00:00:00Z')",
        "timestamp(60) == timestamp('1970-01-01T00:01:00Z') && duration('1s') - duration('2s') == duration('-1s')",
    ]);
    all_fail(&[
        ("timestamp(object.metadata.name) == timestamp(0)", "invalid timestamp"),
        ("duration('1x' + '') == duration('1s')", "invalid duration"),
        ("duration('1' + '') == duration('1s')", "invalid duration"),
        ("timestamp('2026-01-01 00:00:00' + 'Z') == timestamp(0)", "invalid timestamp"),
        ("timestamp('9999-12-31T23:59:59Z') + duration('1s') == timestamp(0)", "overflow"),
        ("duration('2562047h') + duration('1h') == duration('1s')", "overflow"),
        ("timestamp(0).getHours('Nowhere/At_All') == 0", "unknown time zone"),
    ]);
}

#[test]
fn lists_are_sliced_sorted_and_flattened() {
    all_hold(&[
        "[1, 2, 3, 4].slice(1, 3) == [2, 3] && object.spec.containers.slice(1, 2)[0].name == 'b'",
        "[3, 1, 2].sort() == [1, 2, 3] && ['b', 'a'].sort() == ['a', 'b'] && [].sort() == []",
        "[1, 2, 1].distinct() == [1, 2] && [[1], [1]].distinct() == [[1]] && [1, 2].reverse() == [2, 1]",
        "[[1], [2, 3], []].flatten() == [1, 2, 3] && [[[1], [2]], [[3]]].flatten(2) == [1, 2, 3]",
        "lists.range(3) == [0, 1, 2] && lists.range(0) == [] && lists.range(-1) == []",
        "[1, 2].first().value() == 1 && [1, 2].last().value() == 2 && !object.spec.containers[0].args.first().hasValue()",
        "object.spec.containers.sortBy(c, -c.name.size()).size() == 2",
        "[{'n': 2}, {'n': 1}].sortBy(e, e.n).map(e, e.n) == [1, 2]",
        "sets.contains([1, 2], [2]) && !sets.contains([1], [2]) && sets.equivalent([1, 1, 2], [2, 1])",
        "sets.intersects([1, 2], [2, 3]) && !sets.intersects([1], []) && sets.contains([], [])",
        "math.greatest(1, 5, 3) == 5 && math.least([3, 1]) == 1 && math.greatest(1, 2.5) == dyn(2.5) && math.least(-1) == -1",
        "math.ceil(1.2) == 2.0 && math.floor(-1.2) == -2.0 && math.round(1.5) == 2.0 && math.trunc(-1.7) == -1.0",
        "math.abs(-3) == 3 && math.sign(-2.5) == -1.0 && math.isNaN(0.0 / 0.0) && math.isInf(1.0 / 0.0) && math.isFinite(1.0)",
        "math.bitAnd(6, 3) == 2 && math.bitOr(6, 3) == 7 && math.bitXor(6, 3) == 5 && math.bitNot(0) == -1",
        "math.bitShiftLeft(1, 3) == 8 && math.bitShiftRight(-1, 63) == 1 && math.bitShiftLeft(1, 64) == 0 && math.sqrt(16) == 4.0",
    ]);
    all_fail(&[
        ("[1].slice(0, 2) == []", "list is length 1"),
        ("[1].slice(-1, 1) == []", "negative"),
        ("[dyn(1), dyn('a')].sortBy(x, x) == []", "same type"),
        ("math.bitShiftLeft(1, -1) == 0", "negative offset"),
    ]);
}

#[test]
fn macros_with_two_names_see_indexes_and_values() {
    all_hold(&[
        "['a', 'b'].all(i, v, v == (i == 0 ? 'a' : 'b')) && object.metadata.labels.exists(k, v, k == 'app' && v == 'web')",
        "[1, 1].existsOne(i, v, i == 1) && object.metadata.labels.exists_one(k, v, v == 'one')",
        "[1, 2, 3].transformList(i, v, i > 0, i * v) == [2, 6] && {'a': 1}.transformList(k, v, k) == ['a']",
        "{'a': 1, 'b': 2}.transformMap(k, v, v > 1, v * 2) == {'b': 4} && ['x'].transformMap(i, v, v) == {0: 'x'}",
        "{'a': 'b'}.transformMapEntry(k, v, {v: k}) == {'b': 'a'}",
        "['a', 'b'].transformMapEntry(i, v, {v: i}) == {'a': 0, 'b': 1}",
    ]);
    all_fail(&[("['a', 'a'].transformMapEntry(i, v, {v: i}) == {}", "repeated key: a")]);
}

#[test]
fn optionals_pass_on_that_nothing_is_there() {
    all_hold(&[
        "!object.?nope.a.b.hasValue() && object.?spec.replicas.value() == 3 && !object.?spec.nope.hasValue()",
        "!has(object.?nope.a) && has(object.?spec.replicas) && object.?spec.containers[0].name.value() == 'a'",
        "object.?nope.or(object.?spec).hasValue() && object.?nope.orValue(1) == 1 && object.spec.orValue(1) != 1",
        "optional.of(1).optMap(x, x + 1).value() == 2 && !optional.none().optMap(x, x).hasValue()",
        "optional.of({'a': 1}).optFlatMap(m, m.?a).value() == 1",
        "[optional.of(1), optional.none()].unwrapOpt() == [1] && optional.unwrap([optional.of(2)]) == [2]",
        "[?object.?nope, 1] == [1] && {?'a': object.?nope, 'b': 1} == {'b': 1}",
        "object.spec.containers[?0].hasValue() && !object.spec.containers[?7].hasValue() && !object[?'nope'].hasValue()",
        "!optional.ofNonZeroValue('').hasValue() && optional.ofNonZeroValue(' ').hasValue()",
    ]);
    all_fail(&[("optional.none().value() == 1", "dereference")]);
}

#[test]
fn an_error_is_absorbed_by_what_decides_and_by_nothing_else() {
    all_hold(&[
        "true || object.nope && object.nope.x || true",
        "!(false && object.nope.x) && !(object.nope.x && false) && (object.nope.x || true)",
        "[1, 2].exists(x, x == 2 || object.nope) && ![1, 2].all(x, x == 2 && object.nope)",
        "(true ? 1 : object.nope) == 1 && !has(object.spec.nope)",
    ]);
    all_fail(&[
        ("object.nope || false", "no such key: nope"),
        ("object.nope && true", "no such key: nope"),
        ("[1, 2].all(x, x < 3 && object.nope == x)", "no such key: nope"),
        ("[1, 2].exists_one(x, x == 1 || object.nope)", "no such key: nope"),
        ("[1].map(x, object.nope) == []", "no such key: nope"),
        ("has(object.nope.x)", "no such key: nope"),
        ("object.spec.replicas || false", "no such overload"),
        ("(object.spec.replicas ? 1 : 2) == 1", "no such overload"),
    ]);
}
