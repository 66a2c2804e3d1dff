//! What expressions can name beside the policy's own variables.

use super::types::Type;

/// A variable that comes with what is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Input {
    Object,
    OldObject,
    Request,
    NamespaceObject,
    /// The object that a policy's parameters are in.
    Params,
    /// The images of the object, by where they stand: `map(string, list(string))`.
    Images,
    /// What a policy's exceptions allow.
    Exceptions,
}

/// What the value of an expression must be, as far as types can tell when it is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Whatever it is.
    Anything,
    /// True or false.
    Bool,
    String,
    /// As a value expression of an audit annotation.
    StringOrNull,
}

// === impl Input ===

impl Input {
    /// What every policy over Kubernetes' requests sees.
    pub(crate) const ADMISSION: &[Self] =
        &[Self::NamespaceObject, Self::Object, Self::OldObject, Self::Request];

    pub(super) const ALL: &[Self] = &[
        Self::Exceptions,
        Self::Images,
        Self::NamespaceObject,
        Self::Object,
        Self::OldObject,
        Self::Params,
        Self::Request,
    ];

    /// The name that expressions use.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::OldObject => "oldObject",
            Self::Request => "request",
            Self::NamespaceObject => "namespaceObject",
            Self::Params => "params",
            Self::Images => "images",
            Self::Exceptions => "exceptions",
        }
    }
}

// === impl Expected ===

impl Expected {
    /// Whether a value of that type may be what is expected.
    pub(super) fn admits(self, type_: &Type) -> bool {
        match (self, type_) {
            (Self::Anything, _) | (_, Type::Dyn) => true,
            (Self::Bool, type_) => *type_ == Type::Bool,
            (Self::String, type_) => *type_ == Type::String,
            (Self::StringOrNull, type_) => matches!(type_, Type::String | Type::Null),
        }
    }
}
