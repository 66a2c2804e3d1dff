//! The operators and functions of the CEL specification.
//!
//! Source: the specification's language definition and list of standard definitions.

use super::Library;
use crate::cel::types::Type;

mod access;
mod arithmetic;
mod conversion;
mod equality;
mod optional;
mod order;
mod text;
mod time;

pub(super) use super::arguments::{error, no_such_overload as mismatch};
pub(crate) use access::{AT, OPTIONAL_AT};
pub(crate) use conversion::double_text;
pub(crate) use equality::equal;
pub(crate) use order::compare;
pub(crate) use time::{duration_text, parse_duration, parse_timestamp};

/// Declares them.
pub(super) fn declare(library: &mut Library) {
    let types: &[(&'static str, Type)] = &[
        ("bool", Type::Bool),
        ("bytes", Type::Bytes),
        ("double", Type::Double),
        ("google.protobuf.Duration", Type::Duration),
        ("google.protobuf.Timestamp", Type::Timestamp),
        ("int", Type::Int),
        ("list", Type::list(Type::Dyn)),
        ("map", Type::map(Type::Dyn, Type::Dyn)),
        ("null_type", Type::Null),
        ("optional_type", Type::optional(Type::Dyn)),
        ("string", Type::String),
        ("type", Type::Type(Type::Dyn.into())),
        ("uint", Type::Uint),
    ];
    for (name, type_) in types {
        library.type_name(name, type_.clone());
    }
    access::declare(library);
    arithmetic::declare(library);
    conversion::declare(library);
    equality::declare(library);
    optional::declare(library);
    order::declare(library);
    text::declare(library);
    time::declare(library);
}
