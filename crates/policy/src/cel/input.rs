//! What expressions can name beside the policy's own variables.

use std::fmt;

use super::types::Type;

mod objects;

/// A variable that comes with what is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Input {
    Object,
    OldObject,
    Request,
    NamespaceObject,
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

    /// The name that expressions use.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::OldObject => "oldObject",
            Self::Request => "request",
            Self::NamespaceObject => "namespaceObject",
            Self::Exceptions => "exceptions",
        }
    }

    /// Its type: what Kubernetes knows of its own objects, dyn for everybody's.
    pub(super) fn type_of(self) -> Type {
        match self {
            Self::Object | Self::OldObject => Type::Dyn,
            Self::Request => Type::Object(&objects::REQUEST),
            Self::NamespaceObject => Type::Object(&objects::NAMESPACE),
            Self::Exceptions => Type::Object(&objects::EXCEPTIONS),
        }
    }
}

// === impl Expected ===

impl Expected {
    /// Whether a value of that type may be what is expected.
    pub(super) fn admits(self, type_: &Type) -> bool {
        match (self, type_) {
            (Self::Anything, _) => true,
            (Self::Bool, type_) => *type_ == Type::Bool,
            (Self::String, type_) => *type_ == Type::String,
            (Self::StringOrNull, type_) => matches!(type_, Type::String | Type::Null),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anything => "anything",
            Self::Bool => "bool",
            Self::String => "string",
            Self::StringOrNull => "string or null",
        })
    }
}
