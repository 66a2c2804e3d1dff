//! What a parsed expression must pass before it may be evaluated, and what is made of it so that
//! evaluation is fast and right.
//!
//! The interpreter looks names up while it evaluates, so a misspelt function in a branch that is
//! seldom taken would pass unseen until then. [`Check`] walks the tree once, finds every name that
//! does not exist, and rewrites a few things on the way: `variables.NAME` to a numbered name,
//! `matches` so that it finds its pattern compiled, `orValue` to Kyverno's, and `==` and `in` between
//! what may be lists or maps (see [`super::rewrite`]).

use std::collections::BTreeSet;

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators,
};

use super::env::{GLOBAL, MATCHES, MEMBER, OR_VALUE, TYPES};
use super::interpreter_pattern::{Patterns, Refusal};
use super::{MAX_NESTED_LOOPS, Reason, Slot, rewrite};

/// Variables that every expression has.
const VARIABLES: &[&str] = &["namespaceObject", "object", "oldObject", "request"];

/// Variables that Kubernetes or Kyverno have and this version does not.
const MISSING: &[&str] = &["authorizer", "exceptions", "images", "params"];

const OPERATORS: &[&str] = &[
    operators::ADD,
    operators::CONDITIONAL,
    operators::DIVIDE,
    operators::EQUALS,
    operators::GREATER,
    operators::GREATER_EQUALS,
    operators::IN,
    operators::INDEX,
    operators::LESS,
    operators::LESS_EQUALS,
    operators::LOGICAL_AND,
    operators::LOGICAL_NOT,
    operators::LOGICAL_OR,
    operators::MODULO,
    operators::MULTIPLY,
    operators::NEGATE,
    operators::NOT_EQUALS,
    operators::NOT_STRICTLY_FALSE,
    operators::OPT_INDEX,
    operators::OPT_SELECT,
    operators::SUBSTRACT,
];

/// One walk over one expression.
pub(super) struct Check<'a> {
    /// The policy's variables that the expression may use, in order; none where Kubernetes has none.
    variables: &'a [String],
    /// Where compiled patterns go.
    patterns: &'a mut Patterns,
    /// Variables of the macros around the current node, innermost last.
    locals: Vec<String>,
    loops: usize,
    found: Found,
}

/// What the walk found out.
#[derive(Default)]
pub(super) struct Found {
    /// The policy's variables that the expression names.
    pub(super) variables: BTreeSet<usize>,
    pub(super) names_namespace: bool,
    pub(super) flaws: Vec<Flaw>,
}

/// Something wrong at a node of the tree.
pub(super) struct Flaw {
    pub(super) node: u64,
    pub(super) reason: Reason,
    pub(super) message: String,
}

// === impl Check ===

impl<'a> Check<'a> {
    pub(super) fn new(variables: &'a [String], patterns: &'a mut Patterns) -> Self {
        Self { variables, patterns, locals: Vec::new(), loops: 0, found: Found::default() }
    }

    pub(super) fn run(mut self, root: &mut IdedExpr) -> Found {
        self.walk(root);
        self.found
    }

    fn walk(&mut self, node: &mut IdedExpr) {
        let id = node.id;
        match &mut node.expr {
            Expr::Literal(_) => {}
            Expr::Ident(name) => self.ident(id, name),
            Expr::Select(select) => {
                if let Some(replacement) = self.select(id, select) {
                    node.expr = replacement;
                }
            }
            Expr::Call(call) => {
                self.call(id, call);
                rewrite::equality(node);
            }
            Expr::List(list) => list.elements.iter_mut().for_each(|element| self.walk(element)),
            Expr::Map(map) => {
                for entry in &mut map.entries {
                    match &mut entry.expr {
                        EntryExpr::MapEntry(entry) => {
                            self.walk(&mut entry.key);
                            self.walk(&mut entry.value);
                        }
                        EntryExpr::StructField(_) => self.broken(id),
                    }
                }
            }
            Expr::Comprehension(comprehension) => self.comprehension(id, comprehension),
            Expr::Struct(literal) => {
                let name = &literal.type_name;
                let message = format!("objects such as {name}{{}} cannot be made by this version");
                self.flaw(id, Reason::Unsupported, message);
            }
            Expr::Unspecified => self.broken(id),
        }
    }

    fn ident(&mut self, id: u64, name: &str) {
        if self.is_local(name) {
            return;
        }
        match name.trim_start_matches('.') {
            "namespaceObject" => self.found.names_namespace = true,
            name if VARIABLES.contains(&name) || TYPES.contains(&name) => {}
            "variables" => self.flaw(
                id,
                Reason::Unsupported,
                "variables can only be used one at a time, as variables.NAME".to_owned(),
            ),
            name if MISSING.contains(&name) => {
                self.flaw(id, Reason::Unsupported, format!("this version has no {name}"));
            }
            name => self.flaw(
                id,
                Reason::UnknownVariable,
                format!("there is no variable {name}, but {} and variables", VARIABLES.join(", ")),
            ),
        }
    }

    /// Checks a field selection; what it returns takes the place of the whole selection.
    fn select(&mut self, id: u64, select: &mut SelectExpr) -> Option<Expr> {
        if self.is_variables(&select.operand) {
            return Some(match self.variable(id, &select.field) {
                Some(_) if select.test => Expr::Literal(LiteralValue::Boolean(true.into())),
                Some(index) => Expr::Ident(Slot::Variable(index).name()),
                None => Expr::Unspecified,
            });
        }
        let mut name = Vec::new();
        let is_type = !select.test
            && spell(&select.operand, &mut name)
            && TYPES.contains(&format!("{}.{}", name.join("."), select.field).as_str());
        if !is_type {
            self.walk(&mut select.operand);
        }
        None
    }

    fn variable(&mut self, id: u64, name: &str) -> Option<usize> {
        let index = self.variables.iter().position(|variable| variable == name);
        match index {
            Some(index) => {
                self.found.variables.insert(index);
            }
            None => self.flaw(
                id,
                Reason::UnknownVariable,
                format!("there is no variable variables.{name} before this expression"),
            ),
        }
        index
    }

    fn call(&mut self, id: u64, call: &mut CallExpr) {
        let arguments = call.args.len();
        let name = call.func_name.as_str();
        match &mut call.target {
            None if OPERATORS.contains(&name) => {}
            None => self.function(id, GLOBAL, name, arguments),
            Some(target) => {
                let mut qualified = Vec::new();
                let is_name = spell(target, &mut qualified)
                    && qualified.first().is_some_and(|root| !self.is_variable(root));
                if is_name {
                    qualified.push(name);
                    let name = qualified.join(".");
                    self.function(id, GLOBAL, &name, arguments);
                } else {
                    self.function(id, MEMBER, name, arguments);
                    self.walk(target);
                }
            }
        }
        call.args.iter_mut().for_each(|argument| self.walk(argument));
        match (call.func_name.as_str(), &call.target) {
            ("matches", _) => {
                rewrite::method(call, MATCHES);
                self.compile_pattern(call);
            }
            ("orValue", Some(_)) => rewrite::method(call, OR_VALUE),
            _ => {}
        }
    }

    fn function(&mut self, id: u64, known: &[(&str, &[usize])], name: &str, arguments: usize) {
        // Only macros make names with this sign, and they know what they do.
        if name.contains('@') {
            return;
        }
        match known.iter().find(|(known, _)| *known == name.trim_start_matches('.')) {
            None => {
                let message = format!("there is no function {name} in this version");
                self.flaw(id, Reason::UnknownFunction, message);
            }
            Some((_, counts)) if !counts.contains(&arguments) => {
                let counts: Vec<_> = counts.iter().map(ToString::to_string).collect();
                let message =
                    format!("{name} takes {} arguments, not {arguments}", counts.join(" or "));
                self.flaw(id, Reason::CompileError, message);
            }
            Some(_) => {}
        }
    }

    /// Puts a compiled pattern in the place of a literal one.
    fn compile_pattern(&mut self, call: &mut CallExpr) {
        let Some(pattern) = call.args.last_mut() else {
            return;
        };
        let Expr::Literal(LiteralValue::String(source)) = &pattern.expr else {
            return;
        };
        let id = pattern.id;
        match self.patterns.position(source.inner()) {
            Ok(position) => pattern.expr = Expr::Ident(Slot::Pattern(position).name()),
            Err(Refusal::Malformed(message)) => self.flaw(id, Reason::CompileError, message),
            Err(Refusal::TooComplex(message)) => self.flaw(id, Reason::TooComplex, message),
            Err(Refusal::Exhausted) => {}
        }
    }

    fn comprehension(&mut self, id: u64, comprehension: &mut ComprehensionExpr) {
        self.walk(&mut comprehension.iter_range);
        self.walk(&mut comprehension.accu_init);
        // Macros bind a name by iterating over nothing: no loop.
        let is_loop =
            !matches!(&comprehension.iter_range.expr, Expr::List(list) if list.elements.is_empty());
        let outer = self.locals.len();
        self.locals.push(comprehension.iter_var.clone());
        self.locals.extend(comprehension.iter_var2.clone());
        self.locals.push(comprehension.accu_var.clone());
        self.loops += usize::from(is_loop);
        if is_loop && self.loops == MAX_NESTED_LOOPS + 1 {
            let message = format!("more than {MAX_NESTED_LOOPS} loops inside of each other");
            self.flaw(id, Reason::TooComplex, message);
        }
        self.walk(&mut comprehension.loop_cond);
        self.walk(&mut comprehension.loop_step);
        self.walk(&mut comprehension.result);
        self.loops -= usize::from(is_loop);
        self.locals.truncate(outer);
    }

    fn is_local(&self, name: &str) -> bool {
        self.locals.iter().any(|local| local == name)
    }

    /// Whether a name that starts with `root` is a value, so that a call on it is a method.
    fn is_variable(&self, root: &str) -> bool {
        let bare = root.trim_start_matches('.');
        self.is_local(root)
            || bare == "variables"
            || VARIABLES.contains(&bare)
            || MISSING.contains(&bare)
    }

    fn is_variables(&self, node: &IdedExpr) -> bool {
        matches!(&node.expr, Expr::Ident(name)
            if name.trim_start_matches('.') == "variables" && !self.is_local(name))
    }

    fn broken(&mut self, id: u64) {
        self.flaw(id, Reason::CompileError, "the parser left a gap here".to_owned());
    }

    fn flaw(&mut self, node: u64, reason: Reason, message: String) {
        self.found.flaws.push(Flaw { node, reason, message });
    }
}

/// Collects the segments of a name such as `a.b.c`; false if the expression is anything else.
fn spell<'e>(node: &'e IdedExpr, segments: &mut Vec<&'e str>) -> bool {
    match &node.expr {
        Expr::Ident(name) => segments.push(name),
        Expr::Select(select) if !select.test && spell(&select.operand, segments) => {
            segments.push(&select.field);
        }
        _ => return false,
    }
    true
}
