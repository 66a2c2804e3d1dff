//! The functions and types that expressions can use: the standard library of CEL and the extensions
//! that Kubernetes and Kyverno add to it, as far as this version has them.
//!
//! [`GLOBAL`] and [`MEMBER`] list them, because the interpreter finds out only while it evaluates that a
//! function does not exist; a test holds the list against what is registered.

use std::sync::{Arc, LazyLock};

use cel::common::functions::Function;
use cel::common::types::DYN_TYPE;
use cel::{DeclarationError, Env, extensions};

use super::{equality, interpreter_pattern as pattern, optional};

/// What `==` between possible containers is rewritten to.
pub(super) const EQUALS: &str = "@equals";
/// What `in` with a possible container as the element is rewritten to.
pub(super) const CONTAINS: &str = "@contains";
/// What `matches` is rewritten to.
pub(super) const MATCHES: &str = "@matches";
/// What `orValue` is rewritten to.
pub(super) const OR_VALUE: &str = "@orValue";

/// Type names, which are values in CEL.
pub(super) const TYPES: &[&str] = &[
    "bool",
    "bytes",
    "double",
    "google.protobuf.Duration",
    "google.protobuf.Timestamp",
    "int",
    "list",
    "map",
    "null_type",
    "optional_type",
    "string",
    "type",
    "uint",
];

/// Functions called as `name(...)`, with the numbers of arguments they take.
pub(super) const GLOBAL: &[(&str, &[usize])] = &[
    ("base64.decode", &[1]),
    ("base64.encode", &[1]),
    ("bool", &[1]),
    ("bytes", &[1]),
    ("double", &[1]),
    ("duration", &[1]),
    ("dyn", &[1]),
    ("int", &[1]),
    ("lists.range", &[1]),
    ("matches", &[2]),
    ("math.abs", &[1]),
    ("math.bitAnd", &[2]),
    ("math.bitNot", &[1]),
    ("math.bitOr", &[2]),
    ("math.bitShiftLeft", &[2]),
    ("math.bitShiftRight", &[2]),
    ("math.bitXor", &[2]),
    ("math.ceil", &[1]),
    ("math.floor", &[1]),
    ("math.isFinite", &[1]),
    ("math.isInf", &[1]),
    ("math.isNaN", &[1]),
    ("math.round", &[1]),
    ("math.sign", &[1]),
    ("math.sqrt", &[1]),
    ("math.trunc", &[1]),
    ("optional.none", &[0]),
    ("optional.of", &[1]),
    ("optional.ofNonZeroValue", &[1]),
    ("size", &[1]),
    ("string", &[1]),
    ("strings.quote", &[1]),
    ("timestamp", &[1]),
    ("type", &[1]),
    ("uint", &[1]),
];

/// Functions called as `value.name(...)`, with the numbers of arguments they take.
pub(super) const MEMBER: &[(&str, &[usize])] = &[
    ("charAt", &[1]),
    ("contains", &[1]),
    ("distinct", &[0]),
    ("endsWith", &[1]),
    ("flatten", &[0, 1]),
    ("format", &[1]),
    ("getDate", &[0, 1]),
    ("getDayOfMonth", &[0, 1]),
    ("getDayOfWeek", &[0, 1]),
    ("getDayOfYear", &[0, 1]),
    ("getFullYear", &[0, 1]),
    ("getHours", &[0, 1]),
    ("getMilliseconds", &[0, 1]),
    ("getMinutes", &[0, 1]),
    ("getMonth", &[0, 1]),
    ("getSeconds", &[0, 1]),
    ("hasValue", &[0]),
    ("indexOf", &[1, 2]),
    ("join", &[0, 1]),
    ("lastIndexOf", &[1, 2]),
    ("lowerAscii", &[0]),
    ("matches", &[1]),
    ("or", &[1]),
    ("orValue", &[1]),
    ("replace", &[2, 3]),
    ("reverse", &[0]),
    ("size", &[0]),
    ("slice", &[2]),
    ("sort", &[0]),
    ("split", &[1, 2]),
    ("startsWith", &[1]),
    ("substring", &[1, 2]),
    ("trim", &[0]),
    ("upperAscii", &[0]),
    ("value", &[0]),
];

static ENV: LazyLock<Arc<Env>> =
    LazyLock::new(|| Arc::new(env().expect("the libraries declare no function twice")));

/// The one environment that all expressions are compiled for and evaluated in.
pub(super) fn shared() -> &'static Arc<Env> {
    &ENV
}

fn env() -> Result<Env, DeclarationError> {
    let mut env = Env::stdlib();
    env.add_extension(extensions::encoders)?;
    env.add_extension(extensions::lists)?;
    env.add_extension(extensions::math)?;
    env.add_extension(extensions::strings)?;
    let own: [(&str, Function); 4] = [
        (EQUALS, equality::equals),
        (CONTAINS, equality::contains),
        (MATCHES, pattern::matches),
        (OR_VALUE, optional::or_value),
    ];
    for (name, function) in own {
        env.add_overload(name, name, vec![DYN_TYPE, DYN_TYPE], function)?;
    }
    Ok(env)
}
