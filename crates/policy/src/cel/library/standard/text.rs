//! What strings can be asked.

use super::mismatch;
use crate::cel::library::{Call, Library, Literal};
use crate::cel::meter::{Fault, Host};
use crate::cel::types::Type;
use crate::cel::value::Value;

pub(super) fn declare(library: &mut Library) {
    let text = || Type::String;
    let questions: [(&'static str, Call); 3] = [
        ("contains", |host, arguments| ask(host, arguments, |text, other| text.contains(other))),
        ("startsWith", |host, arguments| {
            ask(host, arguments, |text, other| text.starts_with(other))
        }),
        ("endsWith", |host, arguments| ask(host, arguments, |text, other| text.ends_with(other))),
    ];
    for (name, call) in questions {
        library.member(name, [text(), text()], Type::Bool, call);
    }
    library.global("matches", [text(), text()], Type::Bool, matches).literal =
        Some(Literal::Pattern(1));
    library.member("matches", [text(), text()], Type::Bool, matches).literal =
        Some(Literal::Pattern(1));
}

fn ask<'a>(
    host: &Host<'_>,
    arguments: &[Value<'a>],
    question: fn(&str, &str) -> bool,
) -> Result<Value<'a>, Fault> {
    let [Value::String(text), Value::String(other)] = arguments else {
        return Err(mismatch());
    };
    host.meter.scan(text.len())?;
    Ok(Value::Bool(question(text, other)))
}

fn matches<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    let [Value::String(text), pattern] = arguments else {
        return Err(mismatch());
    };
    let pattern = host.pattern(pattern)?;
    Ok(Value::Bool(pattern.over(text, host)?.is_match(text)))
}
