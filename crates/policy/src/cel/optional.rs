//! `orValue` as Kyverno has it: a value that is no optional is itself, where CEL has an error.
//! Policies written for older interpreters count on it.

use cel::ExecutionError;
use cel::common::types::CelOptional;
use cel::common::value::CowVal;

/// The function behind `orValue`: the optional's value, if it has one, else the default.
pub(super) fn or_value<'b, 'v>(
    args: Vec<CowVal<'b, 'v>>,
) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [value, default] = <[_; 2]>::try_from(args)
        .map_err(|args: Vec<_>| ExecutionError::invalid_argument_count(2, args.len()))?;
    let held: Option<CowVal<'b, 'v>> = match &value {
        CowVal::Borrowed(borrowed) => match borrowed.downcast_ref::<CelOptional>() {
            Some(optional) => optional.option().map(CowVal::Borrowed),
            None => return Ok(value),
        },
        CowVal::Owned(owned) => match owned.downcast_ref::<CelOptional>() {
            Some(optional) => optional.option().map(|held| CowVal::Owned(held.clone_as_boxed())),
            None => return Ok(value),
        },
    };
    Ok(held.unwrap_or(default))
}
