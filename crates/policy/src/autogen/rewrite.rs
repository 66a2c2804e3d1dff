//! From what an expression says of a Pod to what it says of a Pod's template.
//!
//! Kyverno rewrites text, so this rewrites text: `object.spec` and `object.metadata` get the path of
//! the template, wherever they stand, in strings and messages, too, and as the beginning of a longer
//! name (`object.specs`). A namespace stays the controller's, as templates have none. What reaches a
//! field otherwise (`object['spec']`, `object.?spec`) stays as it is. To rewrite what expressions mean
//! would be cleaner and give other verdicts.

use crate::rule::Autogen;

/// What is rewritten, in this order.
const FIELDS: [&str; 2] = ["spec", "metadata"];
/// The objects of a request.
const OBJECTS: [&str; 2] = ["object", "oldObject"];
/// What is not rewritten, if nothing is left of the name after it.
const PROTECTED: &str = ".namespace";

/// The text, said of what the rule is generated for.
pub(super) fn rewrite(text: &str, autogen: Autogen) -> String {
    let template = match autogen {
        Autogen::Defaults => "spec.template",
        Autogen::CronJobs => "spec.jobTemplate.spec.template",
    };
    let mut text = text.to_owned();
    for field in FIELDS {
        for object in OBJECTS {
            let (from, to) = (format!("{object}.{field}"), format!("{object}.{template}.{field}"));
            text = replace(&text, &from, &to);
        }
    }
    text
}

fn replace(text: &str, from: &str, to: &str) -> String {
    let mut parts = text.split(from);
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    for rest in parts {
        replaced.push_str(if is_protected(rest) { from } else { to });
        replaced.push_str(rest);
    }
    replaced
}

/// Whether what comes after a field is exactly a namespace.
fn is_protected(rest: &str) -> bool {
    rest.strip_prefix(PROTECTED).is_some_and(|after| {
        !after.starts_with(|char: char| char == '_' || char.is_ascii_alphanumeric())
    })
}
