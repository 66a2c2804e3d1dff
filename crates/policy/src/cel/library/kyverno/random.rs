//! Strings made by chance.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::super::Library;
use super::super::arguments::{error, text};
use crate::cel::meter::{Fault, Host};
use crate::cel::types::Type;
use crate::cel::value::Value;

/// The longest pattern, and how deep it may be nested.
const MAX_PATTERN: usize = 1 << 10;
const MAX_DEPTH: u32 = 32;
/// How often what may be repeated without end is repeated at most.
const MAX_REPETITIONS: u32 = 4096;

/// What choosing a character takes, in steps, beside one for each range that is looked at.
const CHOICE: u64 = 16;
/// The characters of ASCII that can be printed.
const PRINTED: (u32, u32) = (0x20, 0x7e);

/// Declares the library.
pub(super) fn declare(library: &mut Library) {
    for name in ["random", "random.random"] {
        library.global(name, [], Type::String, |host, _| generate(host, "[0-9a-z]{8}"));
        library.global(name, [Type::String], Type::String, |host, arguments| {
            generate(host, text(arguments, 0)?)
        });
    }
}

/// A string that a regular expression matches.
fn generate<'a>(host: &Host<'_>, pattern: &str) -> Result<Value<'a>, Fault> {
    host.meter.scan(64 * pattern.len().min(MAX_PATTERN))?;
    if pattern.len() > MAX_PATTERN {
        return Err(error(format!("a pattern of more than {MAX_PATTERN} bytes")));
    }
    let mut parser = regex_syntax::ParserBuilder::new();
    let parsed = parser.nest_limit(MAX_DEPTH).build().parse(pattern);
    let parsed = parsed.map_err(|reason| error(format!("not a regular expression: {reason}")))?;
    let mut generated = String::new();
    append(host, &parsed, &mut generated)?;
    Ok(Value::string(generated))
}

fn append(host: &Host<'_>, pattern: &Hir, to: &mut String) -> Result<(), Fault> {
    host.meter.step(1)?;
    match pattern.kind() {
        // Where it stands in a text does not matter to a text of its own.
        HirKind::Empty | HirKind::Look(_) => Ok(()),
        HirKind::Literal(literal) => {
            host.meter.allocate(literal.0.len())?;
            to.push_str(&String::from_utf8_lossy(&literal.0));
            Ok(())
        }
        HirKind::Class(class) => {
            host.meter.allocate(4)?;
            let chosen = choose(host, class)?;
            to.push(chosen.ok_or_else(|| error("nothing matches the pattern"))?);
            Ok(())
        }
        HirKind::Repetition(repetition) => {
            let most = repetition.max.unwrap_or_else(|| repetition.min.max(MAX_REPETITIONS));
            for _ in 0..fastrand::u32(repetition.min..=most) {
                append(host, &repetition.sub, to)?;
            }
            Ok(())
        }
        HirKind::Capture(capture) => append(host, &capture.sub, to),
        HirKind::Concat(parts) => parts.iter().try_for_each(|part| append(host, part, to)),
        HirKind::Alternation(parts) => append(host, &parts[fastrand::usize(..parts.len())], to),
    }
}

/// How many ranges a class has.
fn size(class: &Class) -> usize {
    match class {
        Class::Unicode(class) => class.ranges().len(),
        Class::Bytes(class) => class.ranges().len(),
    }
}

/// The ranges of a class that begin no later than that. They are in order, and may be hundreds.
fn ranges(class: &Class, last: u32) -> Vec<(u32, u32)> {
    let is_within = |(start, _): &(u32, u32)| *start <= last;
    match class {
        Class::Unicode(class) => {
            let ranges = class.iter().map(|range| (range.start().into(), range.end().into()));
            ranges.take_while(is_within).collect()
        }
        Class::Bytes(class) => {
            let ranges = class.iter().map(|range| (range.start().into(), range.end().into()));
            ranges.take_while(is_within).collect()
        }
    }
}

/// A character of a class; one of ASCII that can be printed, if the class has one.
fn choose(host: &Host<'_>, class: &Class) -> Result<Option<char>, Fault> {
    let (first, last) = PRINTED;
    let mut found = ranges(class, last);
    host.meter.step(CHOICE + found.len() as u64)?;
    found
        .iter_mut()
        .for_each(|(start, end)| (*start, *end) = ((*start).max(first), (*end).min(last)));
    found.retain(|(start, end)| start <= end);
    if found.is_empty() {
        host.meter.step(size(class) as u64)?;
        found = ranges(class, u32::MAX);
    }
    Ok(chosen(&found))
}

fn chosen(ranges: &[(u32, u32)]) -> Option<char> {
    let count: u32 = ranges.iter().map(|(start, end)| end - start + 1).sum();
    let mut chosen = if count == 0 { return None } else { fastrand::u32(..count) };
    for (start, end) in ranges {
        match chosen.checked_sub(end - start + 1) {
            None => return char::from_u32(start + chosen).or_else(|| char::from_u32(*start)),
            Some(left) => chosen = left,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use crate::cel::library::tests::{call, error_of, text_of};
    use crate::cel::meter::Fault;
    use crate::cel::value::Value;

    #[test]
    fn what_is_made_matches_its_pattern() {
        for pattern in
            ["[0-9a-z]{8}", "a|bc|d", "x{0,3}(y|z)?", r"\d{3}-\w+", "[^a-y]", "^.{5}$", "é[à-ü]"]
        {
            let matching = Regex::new(&format!("^(?:{pattern})$")).expect("a pattern");
            for _ in 0..20 {
                let made = text_of("random", &[Value::string(pattern)]);
                assert!(matching.is_match(&made), "{pattern} {made}");
            }
        }
        assert_eq!(text_of("random", &[]).len(), 8);
        assert_ne!(text_of("random.random", &[]), text_of("random", &[]));
        error_of("random", &[Value::string("(")]);
        error_of("random", &[Value::string("a".repeat(2_000))]);
    }

    #[test]
    fn a_pattern_that_makes_much_ends_in_the_budget() {
        let exhausted = call("random", &[Value::string("((((a{999}){999}){999}){999}){999}")]);
        assert!(matches!(exhausted, Err(Fault::Exhausted(_))), "{exhausted:?}");
    }
}
