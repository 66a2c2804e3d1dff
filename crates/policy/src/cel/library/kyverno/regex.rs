//! What a regular expression takes out of a string, or puts into it.

use regex::{Captures, Regex};

use super::super::arguments::{error, int, text};
use super::super::{Call, Library, Literal};
use crate::cel::meter::{Fault, Host};
use crate::cel::types::Type;
use crate::cel::value::Value;

/// Declares the library.
pub(super) fn declare(library: &mut Library) {
    let strings = |count| vec![Type::String; count];
    let pattern = Some(Literal::Pattern(1));
    let extracted = Type::optional(Type::String);
    library.global("regex.extract", strings(2), extracted, extract).literal = pattern;
    let all = Type::list(Type::String);
    library.global("regex.extractAll", strings(2), all, extract_all).literal = pattern;
    let every: Call = |host, arguments| replace(host, arguments, usize::MAX);
    library.global("regex.replace", strings(3), Type::String, every).literal = pattern;
    let mut counted = strings(3);
    counted.push(Type::Int);
    let some: Call = |host, arguments| {
        // Below zero is no limit.
        replace(host, arguments, usize::try_from(int(arguments, 3)?).unwrap_or(usize::MAX))
    };
    library.global("regex.replace", counted, Type::String, some).literal = pattern;
}

/// The first match, or what its group holds; none if that is empty.
fn extract<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let searched = text(arguments, 0)?;
    let pattern = host.pattern(&arguments[1])?;
    let regex = with_one_group(pattern.over(searched, host)?)?;
    let Some(found) = regex.captures(searched) else { return Ok(Value::none()) };
    let Some(extracted) = extracted(&found) else { return Ok(Value::none()) };
    host.meter.allocate(extracted.len())?;
    Ok(Value::some(Value::string(extracted)))
}

fn extract_all<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let searched = text(arguments, 0)?;
    let pattern = host.pattern(&arguments[1])?;
    let regex = with_one_group(pattern.over(searched, host)?)?;
    let mut all = Vec::new();
    for found in regex.captures_iter(searched) {
        pattern.over(&searched[found.get_match().end()..], host)?;
        if let Some(extracted) = extracted(&found) {
            host.meter.allocate(size_of::<Value<'_>>() + extracted.len())?;
            all.push(Value::string(extracted));
        }
    }
    Ok(Value::list(all))
}

fn replace<'a>(host: &Host<'_>, arguments: &[Value<'a>], limit: usize) -> Result<Value<'a>, Fault> {
    let (searched, replacement) = (text(arguments, 0)?, text(arguments, 2)?);
    if limit == 0 {
        return Ok(arguments[0].clone());
    }
    let pattern = host.pattern(&arguments[1])?;
    let regex = pattern.over(searched, host)?;
    let mut replaced = String::new();
    let mut copied = 0;
    for found in regex.captures_iter(searched).take(limit) {
        let place = found.get_match();
        pattern.over(&searched[place.end()..], host)?;
        let before = replaced.len();
        replaced.push_str(&searched[copied..place.start()]);
        expand(host, replacement, &found, &mut replaced)?;
        // Twice, because the text grows by doubling and is then copied.
        host.meter.allocate(2 * (replaced.len() - before))?;
        copied = place.end();
    }
    host.meter.allocate(searched.len() - copied)?;
    replaced.push_str(&searched[copied..]);
    Ok(Value::string(replaced))
}

/// Appends a replacement, in which `\1` is what the first group holds.
fn expand(
    host: &Host<'_>,
    replacement: &str,
    found: &Captures<'_>,
    to: &mut String,
) -> Result<(), Fault> {
    host.meter.scan(replacement.len())?;
    let mut characters = replacement.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            to.push(character);
            continue;
        }
        match characters.next() {
            Some('\\') => to.push('\\'),
            Some(digit @ '0'..='9') => {
                let group = digit as usize - '0' as usize;
                if group >= found.len() {
                    let message = format!("the regular expression has no group {group}");
                    return Err(error(message));
                }
                let held = found.get(group).map_or("", |held| held.as_str());
                host.meter.allocate(held.len())?;
                to.push_str(held);
            }
            _ => return Err(error("a backslash stands before a digit or a backslash")),
        }
    }
    Ok(())
}

fn with_one_group(regex: &Regex) -> Result<&Regex, Fault> {
    if regex.captures_len() > 2 {
        return Err(error("regular expression has more than one capturing group"));
    }
    Ok(regex)
}

fn extracted<'t>(found: &Captures<'t>) -> Option<&'t str> {
    if found.len() == 1 {
        return Some(found.get_match().as_str());
    }
    found.get(1).map(|held| held.as_str()).filter(|held| !held.is_empty())
}

#[cfg(test)]
mod tests {
    use crate::cel::library::tests::{error_of, text_of, texts, value};
    use crate::cel::value::Value;

    fn strings(of: &[&str]) -> Vec<Value<'static>> {
        of.iter().map(|text| Value::string(*text)).collect()
    }

    #[test]
    fn a_match_or_its_group_is_extracted() {
        let extract = |text, pattern| match value("regex.extract", &strings(&[text, pattern])) {
            Value::Optional(Some(found)) => match &*found {
                Value::String(text) => Some(text.to_string()),
                other => panic!("{other:?}"),
            },
            _ => None,
        };
        assert_eq!(extract("item-A-B", r"item-(\w)"), Some("A".to_owned()));
        assert_eq!(extract("hello world", "hello(.*)"), Some(" world".to_owned()));
        assert_eq!(extract("ab12", "[0-9]"), Some("1".to_owned()));
        assert_eq!(extract("ab", "[0-9]"), None);
        assert_eq!(extract("ab", "ab(c?)"), None);
        error_of("regex.extract", &strings(&["ab", "(a)(b)"]));
        let all = |text, pattern| texts(&value("regex.extractAll", &strings(&[text, pattern])));
        assert_eq!(all("id:1, id:2", r"id:\d"), ["id:1", "id:2"]);
        assert_eq!(all("id:1, id:2", r"id:(\d)"), ["1", "2"]);
        assert!(all("x", r"\d").is_empty());
    }

    #[test]
    fn matches_are_replaced() {
        let replace = |text, pattern, by| text_of("regex.replace", &strings(&[text, pattern, by]));
        assert_eq!(replace("hello world hello", "hello", "hi"), "hi world hi");
        assert_eq!(replace("foo bar", "(fo)o (ba)r", r"\2 \1 \0 \\"), r"ba fo foo bar \");
        assert_eq!(replace("banana", "x", "y"), "banana");
        let mut counted = strings(&["banana", "a", "x"]);
        for (count, replaced) in [(1, "bxnana"), (0, "banana"), (-1, "bxnxnx")] {
            counted.push(Value::Int(count));
            assert_eq!(text_of("regex.replace", &counted), replaced);
            counted.pop();
        }
        error_of("regex.replace", &strings(&["a", "(a)", r"\2"]));
        error_of("regex.replace", &strings(&["a", "a", r"\x"]));
        error_of("regex.replace", &strings(&["a", "a", "\\"]));
    }
}
