//! What a regular expression finds in a string.

use super::super::arguments::{int, text};
use super::super::{Call, Library, Literal};
use crate::cel::meter::{Fault, Host};
use crate::cel::types::Type;
use crate::cel::value::Value;

/// Declares the library.
pub(super) fn declare(library: &mut Library) {
    let strings = || Type::list(Type::String);
    let pair = || [Type::String, Type::String];
    let pattern = Some(Literal::Pattern(1));
    library.member("find", pair(), Type::String, find).literal = pattern;
    let every: Call = |host, arguments| find_all(host, arguments, usize::MAX);
    library.member("findAll", pair(), strings(), every).literal = pattern;
    let limited = [Type::String, Type::String, Type::Int];
    let some: Call = |host, arguments| {
        // Below zero is no limit.
        find_all(host, arguments, usize::try_from(int(arguments, 2)?).unwrap_or(usize::MAX))
    };
    library.member("findAll", limited, strings(), some).literal = pattern;
}

/// The first match, or an empty string.
fn find<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let searched = text(arguments, 0)?;
    let pattern = host.pattern(&arguments[1])?;
    let found = pattern.over(searched, host)?.find(searched).map_or("", |found| found.as_str());
    host.meter.allocate(found.len())?;
    Ok(Value::string(found))
}

fn find_all<'a>(
    host: &Host<'_>,
    arguments: &[Value<'a>],
    limit: usize,
) -> Result<Value<'a>, Fault> {
    let searched = text(arguments, 0)?;
    let pattern = host.pattern(&arguments[1])?;
    let mut all = Vec::new();
    for found in pattern.over(searched, host)?.find_iter(searched).take(limit) {
        host.meter.allocate(size_of::<Value<'_>>() + found.len())?;
        // To find the next one, a search may look at all that is left.
        pattern.over(&searched[found.end()..], host)?;
        all.push(Value::string(found.as_str()));
    }
    Ok(Value::list(all))
}

#[cfg(test)]
mod tests {
    use crate::cel::library::tests::{call_within, error_of, text_of, texts, value};
    use crate::cel::meter::{Budget, Fault};
    use crate::cel::value::Value;

    fn find_all(text: &str, pattern: &str, limit: Option<i64>) -> Vec<String> {
        let mut arguments = vec![Value::string(text), Value::string(pattern)];
        arguments.extend(limit.map(Value::Int));
        texts(&value("findAll", &arguments))
    }

    #[test]
    fn matches_are_found_as_the_api_server_finds_them() {
        let find = |text: &str, pattern: &str| {
            text_of("find", &[Value::string(text), Value::string(pattern)])
        };
        assert_eq!(find("abc 123", "[0-9]+"), "123");
        assert_eq!(find("abc 123", "[0-9]*"), "");
        assert_eq!(find("abc 123", "xyz"), "");
        assert_eq!(find_all("123 abc 456", "[0-9]+", None), ["123", "456"]);
        assert_eq!(find_all("123 abc 456", "[0-9]+", Some(1)), ["123"]);
        assert_eq!(find_all("123 abc 456", "[0-9]+", Some(-1)), ["123", "456"]);
        assert!(find_all("123 abc 456", "[0-9]+", Some(0)).is_empty());
        assert!(find_all("abc", "x", None).is_empty());
        // No empty match right after another one.
        assert_eq!(find_all("12ab", "[0-9]*", None), ["12", "", ""]);
        // Digits are those of ASCII.
        assert_eq!(find_all("1\u{661}", r"\d", None), ["1"]);
        error_of("find", &[Value::string(""), Value::string("(")]);
    }

    #[test]
    fn what_is_found_is_paid_for() {
        let text = Value::string("a".repeat(100_000));
        let arguments = [text, Value::string("")];
        let budget = Budget { steps: 1 << 30, bytes: 1 << 20 };
        let exhausted = call_within(budget, "findAll", &arguments);
        assert!(matches!(exhausted, Err(Fault::Exhausted(_))), "{exhausted:?}");
    }
}
