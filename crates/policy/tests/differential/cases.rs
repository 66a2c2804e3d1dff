//! The expressions, and the strings that they are evaluated over. `$` is the string.

use serde_json::{Value, json};

mod kubernetes;
mod language;

/// How many strings are generated for a group.
const GENERATED: usize = 40;

/// Expressions about strings of one kind.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) cases: Vec<Case>,
    pub(crate) inputs: Vec<String>,
}

/// An expression.
pub(crate) struct Case {
    pub(crate) expression: &'static str,
    pub(crate) kind: Kind,
}

/// What an expression gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// True or false.
    Verdict,
    /// A string.
    Text,
}

/// A group as it is written down.
struct Written {
    name: &'static str,
    verdicts: &'static [&'static str],
    texts: &'static [&'static str],
    inputs: &'static [&'static str],
    /// What generated strings are made of beside pieces of those.
    alphabet: &'static str,
}

/// Every group.
pub(crate) fn groups() -> Vec<Group> {
    [kubernetes::GROUPS, language::GROUPS].concat().into_iter().map(Group::from).collect()
}

/// A ConfigMap that holds a string, for the policy of a group.
pub(crate) fn configmap(group: &str, input: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": "differential", "namespace": "default", "labels": { "group": group } },
        "data": { "s": input },
    })
}

// === impl Group ===

impl From<&'static Written> for Group {
    fn from(written: &'static Written) -> Self {
        let of = |expressions: &'static [&'static str], kind| {
            expressions.iter().map(move |expression| Case { expression, kind })
        };
        let verdicts = of(written.verdicts, Kind::Verdict);
        let mut inputs: Vec<_> = written.inputs.iter().map(|input| (*input).to_owned()).collect();
        // The same strings in every run.
        let mut random = fastrand::Rng::with_seed(6);
        for _ in 0..GENERATED {
            let from = &written.inputs[random.usize(..written.inputs.len())];
            let changed = changed(from, written.alphabet, &mut random);
            if !inputs.contains(&changed) {
                inputs.push(changed);
            }
        }
        Self {
            name: written.name,
            cases: verdicts.chain(of(written.texts, Kind::Text)).collect(),
            inputs,
        }
    }
}

/// A string with one to three characters more, less or other.
fn changed(from: &str, alphabet: &str, random: &mut fastrand::Rng) -> String {
    let alphabet: Vec<_> = alphabet.chars().collect();
    let mut characters: Vec<_> = from.chars().collect();
    for _ in 0..random.usize(1..=3) {
        let place = random.usize(..=characters.len());
        let other = alphabet[random.usize(..alphabet.len())];
        match (random.u8(..3), place < characters.len()) {
            (0, true) => characters[place] = other,
            (1, true) => drop(characters.remove(place)),
            _ => characters.insert(place, other),
        }
    }
    characters.into_iter().collect()
}

// === impl Case ===

impl Case {
    /// The validation that evaluates it. A mark finds what is said about it among all that is said.
    pub(crate) fn validation(&self, mark: Option<usize>) -> Value {
        let expression = self.expression.replace('$', "object.data.s");
        let mark = mark.map(|index| format!("#{index}#")).unwrap_or_default();
        match self.kind {
            Kind::Verdict => json!({
                "expression": format!("{expression} // {mark}"),
                "message": format!("{mark}false"),
            }),
            Kind::Text => json!({
                "expression": "false",
                "messageExpression": format!("'{mark}text=' + ({expression})"),
                "message": format!("{mark}none"),
            }),
        }
    }
}
