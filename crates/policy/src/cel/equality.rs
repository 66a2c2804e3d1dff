//! Equality and membership that see no difference between a JSON view and the interpreter's own
//! list or map.
//!
//! The interpreter asks the left operand only, and its own containers know nothing of ours, so
//! `[1] == object.list` would be false. Expressions in which that can happen call these two
//! functions in place of the operators; [`super::rewrite`] decides which.

use cel::ExecutionError;
use cel::common::traits::Iterable;
use cel::common::types::{CelBool, CelList, CelOptional, Kind};
use cel::common::value::{CowVal, Val};

/// Whether two values are equal in CEL: numbers by value, lists and maps by their content.
pub(super) fn equal(left: &dyn Val, right: &dyn Val) -> bool {
    match (left.get_type().kind(), right.get_type().kind()) {
        (Kind::List, Kind::List) => equal_lists(left, right),
        (Kind::Map, Kind::Map) => equal_maps(left, right),
        // Decided here: our own containers answer `equals` by asking this function.
        (Kind::List | Kind::Map, _) | (_, Kind::List | Kind::Map) => false,
        (Kind::Opaque, Kind::Opaque) => equal_optionals(left, right),
        _ => left.equals(right),
    }
}

/// The function behind `==` between values that may be lists or maps.
pub(super) fn equals<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [left, right] = two(args)?;
    Ok(CowVal::owned(CelBool::from(equal(&*left, &*right))))
}

/// The function behind `in` where the element may be a list or a map.
pub(super) fn contains<'b, 'v>(
    args: Vec<CowVal<'b, 'v>>,
) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [value, container] = two(args)?;
    let contains = match container.downcast_ref::<CelList>() {
        Some(list) => list.inner().iter().any(|element| equal(element.as_ref(), &*value)),
        None => container
            .as_container()
            .ok_or_else(|| no_in(&*value, &*container))?
            .contains(&*value)?,
    };
    Ok(CowVal::owned(CelBool::from(contains)))
}

fn equal_lists(left: &dyn Val, right: &dyn Val) -> bool {
    let (Some(lefts), Some(rights)) = (left.as_iterable(), right.as_iterable()) else {
        return false;
    };
    if len(left) != len(right) {
        return false;
    }
    let (mut lefts, mut rights) = (Iterable::iter(lefts), Iterable::iter(rights));
    while let (Some(left), Some(right)) = (lefts.next(), rights.next()) {
        if !equal(left, right) {
            return false;
        }
    }
    true
}

fn equal_maps(left: &dyn Val, right: &dyn Val) -> bool {
    let (Some(keys), Some(lefts), Some(rights)) =
        (left.as_iterable(), left.as_indexer(), right.as_indexer())
    else {
        return false;
    };
    if len(left) != len(right) {
        return false;
    }
    let mut keys = Iterable::iter(keys);
    while let Some(key) = keys.next() {
        match (lefts.get(key), rights.get(key)) {
            (Ok(left), Ok(right)) if equal(&*left, &*right) => {}
            _ => return false,
        }
    }
    true
}

fn equal_optionals(left: &dyn Val, right: &dyn Val) -> bool {
    match (left.downcast_ref::<CelOptional>(), right.downcast_ref::<CelOptional>()) {
        (Some(left), Some(right)) => match (left.option(), right.option()) {
            (Some(left), Some(right)) => equal(left, right),
            (left, right) => left.is_none() && right.is_none(),
        },
        _ => left.equals(right),
    }
}

fn len(container: &dyn Val) -> Option<i64> {
    container.as_sizer().map(|sizer| *sizer.size().inner())
}

fn no_in(value: &dyn Val, container: &dyn Val) -> ExecutionError {
    let types = [value, container].map(|operand| operand.get_type().name().to_owned());
    ExecutionError::no_such_overload("@in", types.to_vec())
}

fn two<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<[CowVal<'b, 'v>; 2], ExecutionError> {
    args.try_into().map_err(|args: Vec<_>| ExecutionError::invalid_argument_count(2, args.len()))
}
