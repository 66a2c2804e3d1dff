//! Regular expressions: literal ones are compiled with the expression they stand in, others when
//! they are evaluated, and none may grow without bound.

use std::any::Any;

use cel::ExecutionError;
use cel::common::types::{CelBool, CelString, STRING_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use regex::{Regex, RegexBuilder};

/// How much memory a compiled pattern may take.
const MAX_COMPILED_BYTES: usize = 1 << 20;

static TYPE: Type = Type::new_unspecified_type("pharos.pattern");

/// A compiled literal pattern, as an argument of the function behind `matches`. No expression can
/// name one.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Regex);

// === impl Pattern ===

impl Pattern {
    pub(super) fn compile(source: &str) -> Result<Self, regex::Error> {
        RegexBuilder::new(source).size_limit(MAX_COMPILED_BYTES).build().map(Self)
    }
}

impl Val for Pattern {
    fn get_type(&self) -> &Type {
        Self::cel_type()
    }

    fn cel_type() -> &'static Type {
        &TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Pattern {}

/// The function behind `matches`: a string and a pattern, compiled or not.
pub(super) fn matches<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [string, pattern] = <[_; 2]>::try_from(args)
        .map_err(|args| ExecutionError::invalid_argument_count(2, args.len()))?;
    let no_overload = || {
        let pattern = match pattern.downcast_ref::<Pattern>() {
            Some(_) => STRING_TYPE.name(),
            None => pattern.get_type().name(),
        };
        let types = [string.get_type().name(), pattern].map(str::to_owned);
        ExecutionError::no_such_overload("matches", types.to_vec())
    };
    let string = string.downcast_ref::<CelString>().ok_or_else(no_overload)?;
    let matches = if let Some(Pattern(regex)) = pattern.downcast_ref() {
        regex.is_match(string.inner())
    } else {
        let source = pattern.downcast_ref::<CelString>().ok_or_else(no_overload)?;
        let Pattern(regex) = Pattern::compile(source.inner())
            .map_err(|error| ExecutionError::function_error("matches", error))?;
        regex.is_match(string.inner())
    };
    Ok(CowVal::owned(CelBool::from(matches)))
}
