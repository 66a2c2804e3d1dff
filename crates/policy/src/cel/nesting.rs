//! How deep the value of an expression may be: values are cloned, compared and dropped by
//! recursion, and a stack overflow cannot be caught.
//!
//! The depth of the tree does not say it. A name brings the whole depth of what it is bound to, so
//! `[variables.a]` after `[variables.b]`, or `.map(x, [x]).map(x, [x])`, make deep values of shallow
//! trees. What comes with the request is not counted: the JSON parser has bounded it.

use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, IdedExpr};

use super::Slot;

/// A walk over one checked expression, with the depth of what each name is bound to.
struct Walk<'a> {
    variable: &'a dyn Fn(usize) -> usize,
    locals: Vec<(&'a str, usize)>,
}

/// The depth that the value of `root` stays within, given that of the policy's variables.
pub(super) fn depth(root: &IdedExpr, variable: &dyn Fn(usize) -> usize) -> usize {
    Walk { variable, locals: Vec::new() }.depth(root)
}

// === impl Walk ===

impl<'a> Walk<'a> {
    fn depth(&mut self, node: &'a IdedExpr) -> usize {
        match &node.expr {
            Expr::Unspecified | Expr::Literal(_) | Expr::Struct(_) => 0,
            Expr::Ident(name) => self.name(name),
            Expr::Select(select) => self.depth(&select.operand),
            // Some functions wrap their argument, as `optional.of` does.
            Expr::Call(call) => {
                1 + self.deepest(call.target.as_deref().into_iter().chain(&call.args))
            }
            Expr::List(list) => 1 + self.deepest(&list.elements),
            Expr::Map(map) => {
                1 + self.deepest(map.entries.iter().filter_map(|entry| {
                    match &entry.expr {
                        // Keys are scalars.
                        EntryExpr::MapEntry(entry) => Some(&entry.value),
                        EntryExpr::StructField(_) => None,
                    }
                }))
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
        }
    }

    fn deepest(&mut self, nodes: impl IntoIterator<Item = &'a IdedExpr>) -> usize {
        nodes.into_iter().map(|node| self.depth(node)).max().unwrap_or_default()
    }

    fn name(&self, name: &str) -> usize {
        if let Some((_, depth)) = self.locals.iter().rev().find(|(local, _)| *local == name) {
            return *depth;
        }
        match Slot::parse(name) {
            Some(Slot::Variable(index)) => (self.variable)(index),
            Some(Slot::Pattern(_)) | None => 0,
        }
    }

    /// One round of the loop tells: no macro puts what it has gathered into what it gathers.
    fn comprehension(&mut self, comprehension: &'a ComprehensionExpr) -> usize {
        let element = self.depth(&comprehension.iter_range);
        let start = self.depth(&comprehension.accu_init);
        let outer = self.locals.len();
        self.locals.push((&comprehension.iter_var, element));
        self.locals.extend(comprehension.iter_var2.as_deref().map(|name| (name, element)));
        self.locals.push((&comprehension.accu_var, start));
        let going = self.depth(&comprehension.loop_cond);
        let gathered = start.max(self.depth(&comprehension.loop_step));
        self.locals.push((&comprehension.accu_var, gathered));
        let result = self.depth(&comprehension.result);
        self.locals.truncate(outer);
        result.max(gathered).max(element).max(going)
    }
}
