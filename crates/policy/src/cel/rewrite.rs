//! Calls of our own functions in the place of operators and methods that would not do.

use std::mem;

use cel::common::ast::{CallExpr, Expr, IdedExpr, operators};

use super::env::{CONTAINS, EQUALS};

/// Turns a method into a call of one of our own functions.
pub(super) fn method(call: &mut CallExpr, name: &str) {
    if let Some(target) = call.target.take() {
        call.args.insert(0, *target);
    }
    call.func_name = name.to_owned();
}

/// Replaces `==`, `!=` and `in` by our own functions where both sides may be lists or maps.
pub(super) fn equality(node: &mut IdedExpr) {
    let Expr::Call(call) = &mut node.expr else {
        return;
    };
    let [left, right] = call.args.as_slice() else {
        return;
    };
    match call.func_name.as_str() {
        operators::EQUALS if !is_scalar(left) && !is_scalar(right) => {
            call.func_name = EQUALS.to_owned();
        }
        operators::NOT_EQUALS if !is_scalar(left) && !is_scalar(right) => {
            call.func_name = EQUALS.to_owned();
            let equals = IdedExpr { id: node.id, expr: mem::take(&mut node.expr) };
            node.expr = Expr::Call(CallExpr {
                func_name: operators::LOGICAL_NOT.to_owned(),
                target: None,
                args: vec![equals],
            });
        }
        operators::IN if !is_scalar(left) && !is_list_of_scalars(right) => {
            call.func_name = CONTAINS.to_owned();
        }
        _ => {}
    }
}

fn is_scalar(node: &IdedExpr) -> bool {
    matches!(node.expr, Expr::Literal(_))
}

fn is_list_of_scalars(node: &IdedExpr) -> bool {
    matches!(&node.expr, Expr::List(list) if list.elements.iter().all(is_scalar))
}
