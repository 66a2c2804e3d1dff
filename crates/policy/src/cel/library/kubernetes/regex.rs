//! What a regular expression finds in a string.

use super::super::arguments::{int, text};
use super::super::{Library, Literal};
use crate::cel::meter::{Fault, Host};
use crate::cel::types::Type;
use crate::cel::value::Value;

/// Declares the library.
pub(super) fn declare(library: &mut Library) {
    let strings = || Type::list(Type::String);
    let pattern = Some(Literal::Pattern(1));
    let pair = || [Type::String, Type::String];
    library.member("find", pair(), Type::String, find).literal = pattern;
    library.member("findAll", pair(), strings(), |host, arguments| {
        find_all(host, arguments, usize::MAX)
    });
    library.member("findAll", pair(), strings(), |host, arguments| find_all(host, arguments, usize::MAX)).literal = pattern;
    let limited = [Type::String, Type::String, Type::Int];
    library.member("findAll", limited, strings(), |host, arguments| {
        // Below zero is no limit.
        find_all(host, arguments, usize::try_from(int(arguments, 2)?).unwrap_or(usize::MAX))
    }).literal = pattern;
}
