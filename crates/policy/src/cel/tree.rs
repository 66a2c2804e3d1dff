//! An expression that is ready to be evaluated: names are numbers, functions are found, literals
//! are values, and macros are what they mean.
//!
//! [`super::check`] makes it, [`super::evaluate`] walks it. It outlives evaluations and is shared by
//! threads, so that values can borrow from it.

use jiff::{SignedDuration, Timestamp};

use super::input::Input;
use super::library::Overload;
use super::types::Type;
use crate::json::Json;

/// An expression.
#[derive(Debug)]
pub(super) enum Node {
    Literal(Literal),
    Input(Input),
    /// One of the policy's variables.
    Variable(usize),
    /// A name that a macro binds; 0 is the innermost.
    Local(usize),
    /// Fields, one of the other.
    Select(Box<Select>),
    /// Whether a field is there.
    Has(Box<Field>),
    /// A field, or none.
    OptionalSelect(Box<Field>),
    List(Box<[Element]>),
    Map(Box<[Entry]>),
    And(Box<[Self; 2]>),
    Or(Box<[Self; 2]>),
    /// Condition, what if it is true, what if not.
    Conditional(Box<[Self; 3]>),
    Call(Box<Call>),
    Loop(Box<Loop>),
    /// A value, and an expression with a name for it.
    Bind(Box<[Self; 2]>),
    /// What becomes of an optional's value.
    OptionalMap(Box<OptionalMap>),
}

/// A value as it is written.
#[derive(Debug)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Box<str>),
    Bytes(Box<[u8]>),
    Duration(SignedDuration),
    Timestamp(Timestamp),
    Type(Type),
    /// A list or map of literals that JSON has.
    Json(Json<'static>),
}

#[derive(Debug)]
pub(super) struct Select {
    pub(super) operand: Node,
    pub(super) fields: Vec<Box<str>>,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) operand: Node,
    pub(super) name: Box<str>,
}

/// An element of a list.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) value: Node,
    pub(super) presence: Presence,
}

/// An entry of a map.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Node,
    pub(super) value: Node,
    pub(super) presence: Presence,
}

/// Whether what is written is always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Always,
    /// Only if the value, which is an optional, has one.
    Optional,
}

/// A call of a function, or an operator.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) function: Box<str>,
    /// Those that the types leave; the values decide.
    pub(super) overloads: Box<[&'static Overload]>,
    pub(super) arguments: Box<[Node]>,
    /// Where its literal pattern is among the policy's.
    pub(super) pattern: Option<usize>,
}

/// A macro over a list or a map.
#[derive(Debug)]
pub(super) struct Loop {
    pub(super) range: Node,
    pub(super) names: Names,
    /// Which elements are meant.
    pub(super) filter: Option<Node>,
    /// What becomes of each.
    pub(super) body: Node,
    pub(super) gather: Gather,
}

/// What a loop gives names to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// The element of a list, the key of a map.
    One,
    /// Index and element, key and value. The second is the inner name.
    Two,
}

/// What a loop makes of the bodies' values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gather {
    All,
    Exists,
    ExistsOne,
    /// A list of the bodies' values.
    List,
    /// A map with the same keys.
    Map,
    /// A map of the entries of the bodies, which are maps.
    Entries,
    /// The range, sorted by the bodies' values.
    Sorted,
}

#[derive(Debug)]
pub(super) struct OptionalMap {
    pub(super) operand: Node,
    pub(super) body: Node,
    pub(super) result: Wrapping,
}

/// Whether a value becomes an optional, or is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrapping {
    Wrap,
    Flat,
}

// === impl Node ===

impl Node {
    /// The literal as JSON, if JSON has it and reads it as the same value.
    pub(super) fn as_json(&self) -> Option<Json<'static>> {
        let Self::Literal(literal) = self else {
            return None;
        };
        match literal {
            Literal::Null => Some(Json::Null),
            Literal::Bool(bool) => Some(Json::Bool(*bool)),
            Literal::Int(int) => Some(Json::Int(*int)),
            Literal::Double(double) => double.is_finite().then_some(Json::Double(*double)),
            Literal::String(text) => Some(Json::String(text.to_string().into())),
            Literal::Json(json) => Some(json.clone()),
            Literal::Uint(_)
            | Literal::Bytes(_)
            | Literal::Duration(_)
            | Literal::Timestamp(_)
            | Literal::Type(_) => None,
        }
    }
}
