//! From a parsed expression to one that can be evaluated, with the type of every part of it.
//!
//! Enter at [`Checker::check`]. What is not a matter of types (a name or a function that does not
//! exist, a field that `request` does not have) is found on the same walk, and all of it is told.
//! Types are those of CEL: what comes with a request is dyn, and whatever is dyn is decided when the
//! expression is evaluated.
//!
//! Source: the CEL specification, and the behaviour of Kubernetes' API server.

use std::collections::BTreeSet;

use cel::common::ast::{Expr, IdedExpr, LiteralValue};

use super::input::Input;
use super::library::Library;
use super::pattern::Patterns;
use super::tree::{Literal, Node};
use super::types::Type;
use super::{MAX_NESTED_LOOPS, Reason};

mod aggregate;
mod assign;
mod call;
mod macros;
mod name;

/// What the checker knows about a policy's variable.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) type_: Type,
    /// How deep its value is at most, not counting what comes with the request.
    pub(super) nesting: usize,
}

/// One walk over one expression.
pub(super) struct Checker<'a> {
    pub(super) library: &'static Library,
    pub(super) inputs: &'a [Input],
    /// The policy's variables that the expression may use, in order; none where Kubernetes has none.
    pub(super) variables: &'a [Known],
    /// Where compiled patterns go.
    pub(super) patterns: &'a mut Patterns,
    pub(super) found: Found,
    locals: Vec<Local>,
    loops: usize,
}

/// What the walk found out.
#[derive(Default)]
pub(super) struct Found {
    /// The policy's variables that the expression names.
    pub(super) variables: BTreeSet<usize>,
    pub(super) names_namespace: bool,
    /// How deep the values of all its parts are at most.
    pub(super) nesting: usize,
    pub(super) flaws: Vec<Flaw>,
}

/// Something wrong at a node of the tree.
pub(super) struct Flaw {
    pub(super) node: u64,
    pub(super) reason: Reason,
    pub(super) message: String,
}

/// A checked expression.
pub(super) struct Typed {
    pub(super) node: Node,
    pub(super) type_: Type,
    /// How deep its value is at most, not counting what comes with the request. Values are cloned,
    /// compared and dropped by recursion, and names bring the depth of what they are bound to.
    pub(super) nesting: usize,
}

/// A name that a macro binds.
#[derive(Clone)]
struct Local {
    name: String,
    type_: Type,
    nesting: usize,
}

// === impl Checker ===

impl<'a> Checker<'a> {
    pub(super) fn new(
        library: &'static Library,
        inputs: &'a [Input],
        variables: &'a [Known],
        patterns: &'a mut Patterns,
    ) -> Self {
        Self {
            library,
            inputs,
            variables,
            patterns,
            found: Found::default(),
            locals: Vec::new(),
            loops: 0,
        }
    }

    /// Checks an expression. Where it has flaws, what comes back stands for something that has none.
    pub(super) fn check(&mut self, node: &IdedExpr) -> Typed {
        let typed = self.part(node);
        self.found.nesting = self.found.nesting.max(typed.nesting);
        typed
    }

    fn part(&mut self, node: &IdedExpr) -> Typed {
        let id = node.id;
        match &node.expr {
            Expr::Literal(value) => literal(value),
            Expr::Ident(name) => self.ident(id, name),
            Expr::Select(select) => self.select(id, select),
            Expr::Call(call) => self.call(id, call),
            Expr::List(list) => self.list(list),
            Expr::Map(map) => self.map(id, map),
            Expr::Struct(literal) => {
                let name = &literal.type_name;
                let message = format!("objects such as {name}{{}} cannot be made by this version");
                self.flaw(id, Reason::Unsupported, message)
            }
            // Macros are left to us, so that the parser makes no comprehension.
            Expr::Comprehension(_) | Expr::Unspecified => {
                self.flaw(id, Reason::CompileError, "the parser left a gap here".to_owned())
            }
        }
    }

    /// Notes a flaw; what it returns can be used in its place.
    fn flaw(&mut self, node: u64, reason: Reason, message: String) -> Typed {
        self.found.flaws.push(Flaw { node, reason, message });
        Typed::unknown()
    }

    /// Checks an expression within which there are more names.
    fn within(&mut self, locals: Vec<Local>, node: &IdedExpr) -> Typed {
        let outer = self.locals.len();
        self.locals.extend(locals);
        let typed = self.check(node);
        self.locals.truncate(outer);
        typed
    }

    /// Goes into a loop, unless that would be one too many inside of each other.
    fn enter_loop(&mut self, id: u64) {
        self.loops += 1;
        if self.loops == MAX_NESTED_LOOPS + 1 {
            let message = format!("more than {MAX_NESTED_LOOPS} loops inside of each other");
            self.flaw(id, Reason::TooComplex, message);
        }
    }

    fn leave_loop(&mut self) {
        self.loops -= 1;
    }
}

fn literal(value: &LiteralValue) -> Typed {
    let (literal, type_) = match value {
        LiteralValue::Null => (Literal::Null, Type::Null),
        LiteralValue::Boolean(bool) => (Literal::Bool(*bool.inner()), Type::Bool),
        LiteralValue::Int(int) => (Literal::Int(*int.inner()), Type::Int),
        LiteralValue::UInt(uint) => (Literal::Uint(*uint.inner()), Type::Uint),
        LiteralValue::Double(double) => (Literal::Double(*double.inner()), Type::Double),
        LiteralValue::String(text) => (Literal::String(text.inner().into()), Type::String),
        LiteralValue::Bytes(bytes) => (Literal::Bytes(bytes.inner().into()), Type::Bytes),
    };
    Typed::new(Node::Literal(literal), type_)
}

// === impl Typed ===

impl Typed {
    fn new(node: Node, type_: Type) -> Self {
        Self { node, type_, nesting: 0 }
    }

    fn nested(mut self, nesting: usize) -> Self {
        self.nesting = nesting;
        self
    }

    /// What stands for an expression with a flaw.
    fn unknown() -> Self {
        Self::new(Node::Literal(Literal::Null), Type::Dyn)
    }
}
