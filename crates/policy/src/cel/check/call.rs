//! Calls of functions and operators: which overloads the types leave.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};

use super::assign::{Bindings, join};
use super::name::is_missing;
use super::{Checker, Flaw, Typed};
use crate::cel::Reason;
use crate::cel::library::{self, Overload, Style};
use crate::cel::pattern::Refusal;
use crate::cel::tree::{Call, Literal, Node};
use crate::cel::types::Type;

/// How much deeper than its arguments the value of a function is at most.
const WRAPPING: usize = 2;

// === impl Checker ===

impl Checker<'_> {
    pub(super) fn call(&mut self, id: u64, call: &CallExpr) -> Typed {
        if let Some(expanded) = self.expand(id, call) {
            return expanded;
        }
        let name = call.func_name.as_str();
        match (&call.target, call.args.as_slice()) {
            (None, [operand, field]) if name == operators::OPT_SELECT => match &field.expr {
                Expr::Literal(LiteralValue::String(field)) => {
                    self.optional_select(id, operand, field.inner())
                }
                _ => self.flaw(id, Reason::CompileError, "a field has a name".to_owned()),
            },
            (None, [left, right]) if name == operators::LOGICAL_AND => {
                let operands = self.booleans(id, name, [left, right]);
                Typed::new(Node::And(Box::new(operands)), Type::Bool)
            }
            (None, [left, right]) if name == operators::LOGICAL_OR => {
                let operands = self.booleans(id, name, [left, right]);
                Typed::new(Node::Or(Box::new(operands)), Type::Bool)
            }
            (None, [condition, yes, no]) if name == operators::CONDITIONAL => {
                self.conditional(id, [condition, yes, no])
            }
            (None, arguments) => {
                let name = name.trim_start_matches('.');
                let arguments = arguments.iter().map(|argument| self.check(argument)).collect();
                self.resolve(id, name, Style::Global, arguments, &call.args)
            }
            (Some(target), arguments) => self.method(id, name, target, arguments),
        }
    }

    /// `target.name(arguments)`, which is a method, or a function whose name has dots.
    fn method(&mut self, id: u64, name: &str, target: &IdedExpr, arguments: &[IdedExpr]) -> Typed {
        let qualified = self.spelt(target).map(|namespace| format!("{namespace}.{name}"));
        if let Some(qualified) = qualified {
            let root = qualified.split('.').next().unwrap_or_default();
            let declared = !self.library.overloads(&qualified).is_empty();
            if declared || !self.is_value(root) {
                let typed = arguments.iter().map(|argument| self.check(argument)).collect();
                return self.resolve(id, &qualified, Style::Global, typed, arguments);
            }
        }
        let flaws = self.found.flaws.len();
        let receiver = self.check(target);
        let is_missing = |flaw: &Flaw| flaw.reason == Reason::Unsupported;
        let is_of_what_is_missing = self.found.flaws[flaws..].iter().any(is_missing);
        let rest = arguments.iter().map(|argument| self.check(argument));
        let typed = std::iter::once(receiver).chain(rest).collect();
        // The methods of what is not here are not here either.
        if is_of_what_is_missing && self.library.overloads(name).is_empty() {
            return Typed::unknown();
        }
        self.resolve(id, name, Style::Member, typed, arguments)
    }

    /// Finds the overloads that may be meant. `written` are the arguments without the receiver.
    fn resolve(
        &mut self,
        id: u64,
        name: &str,
        style: Style,
        arguments: Vec<Typed>,
        written: &[IdedExpr],
    ) -> Typed {
        let receivers = usize::from(style == Style::Member);
        let known: Vec<_> = self
            .library
            .overloads(name)
            .iter()
            .filter(|overload| overload.style == style)
            .collect();
        if known.is_empty() {
            let message = format!("there is no function {name} in this version");
            let reason = match is_missing(name) {
                true => Reason::Unsupported,
                false => Reason::UnknownFunction,
            };
            return self.flaw(id, reason, message);
        }
        if known.iter().all(|overload| overload.parameters.len() != arguments.len()) {
            let taken = taken(&known, receivers);
            let given = arguments.len() - receivers;
            let message = format!("{name} takes {taken} arguments, not {given}");
            return self.flaw(id, Reason::CompileError, message);
        }
        let (overloads, result) = candidates(&known, &arguments);
        if overloads.is_empty() {
            return self.no_overload(id, name, &applied_to(style, &arguments));
        }
        // The types are right; the values may be other numbers than the declarations say.
        let overloads = match name {
            operators::INDEX => self.library.overloads(library::AT).iter().collect(),
            operators::OPT_INDEX => self.library.overloads(library::OPTIONAL_AT).iter().collect(),
            _ => overloads,
        };
        if let Some(folded) = self.fold(id, name, &arguments) {
            return folded;
        }
        let pattern = self.pattern(&overloads, &arguments, written, receivers);
        let deepest = arguments.iter().map(|argument| argument.nesting).max().unwrap_or_default();
        let nesting = if is_flat(&result) { 0 } else { WRAPPING + deepest };
        let arguments = arguments.into_iter().map(|argument| argument.node).collect();
        let function = name.into();
        let overloads = overloads.into();
        let call = Call { function, overloads, arguments, pattern };
        Typed::new(Node::Call(Box::new(call)), result).nested(nesting)
    }

    /// Compiles a literal pattern among the arguments, and says where it is among the policy's.
    fn pattern(
        &mut self,
        overloads: &[&'static Overload],
        arguments: &[Typed],
        written: &[IdedExpr],
        receivers: usize,
    ) -> Option<usize> {
        let library::Literal::Pattern(position) =
            overloads.iter().find_map(|overload| overload.literal)?;
        let Node::Literal(Literal::String(source)) = &arguments.get(position)?.node else {
            return None;
        };
        let id = written.get(position.checked_sub(receivers)?)?.id;
        let (reason, message) = match self.patterns.position(source) {
            Ok(position) => return Some(position),
            Err(Refusal::Malformed(message)) => (Reason::CompileError, message),
            Err(Refusal::TooComplex(message)) => (Reason::TooComplex, message),
            Err(Refusal::Exhausted) => return None,
        };
        self.flaw(id, reason, message);
        None
    }

    /// The value of a call on literals, where it is known already.
    fn fold(&mut self, id: u64, name: &str, arguments: &[Typed]) -> Option<Typed> {
        let [Typed { node: Node::Literal(argument), .. }] = arguments else {
            return None;
        };
        let (literal, type_) = match (name, argument) {
            (operators::NEGATE, Literal::Int(int)) => (Literal::Int(int.checked_neg()?), Type::Int),
            (operators::NEGATE, Literal::Double(double)) => {
                (Literal::Double(-double), Type::Double)
            }
            ("duration", Literal::String(text)) => match library::parse_duration(text) {
                Some(duration) => (Literal::Duration(duration), Type::Duration),
                None => return Some(self.malformed(id, "duration", text)),
            },
            ("timestamp", Literal::String(text)) => match library::parse_timestamp(text) {
                Some(timestamp) => (Literal::Timestamp(timestamp), Type::Timestamp),
                None => return Some(self.malformed(id, "timestamp", text)),
            },
            _ => return None,
        };
        Some(Typed::new(Node::Literal(literal), type_))
    }

    fn malformed(&mut self, id: u64, what: &str, text: &str) -> Typed {
        self.flaw(id, Reason::CompileError, format!("'{text}' is not a {what}"))
    }

    fn no_overload(&mut self, id: u64, name: &str, types: &str) -> Typed {
        let message = format!("found no matching overload for '{name}' applied to '{types}'");
        self.flaw(id, Reason::CompileError, message)
    }

    fn booleans<const N: usize>(
        &mut self,
        id: u64,
        name: &str,
        operands: [&IdedExpr; N],
    ) -> [Node; N] {
        let operands = operands.map(|operand| self.check(operand));
        if operands.iter().any(|operand| !matches!(operand.type_, Type::Bool | Type::Dyn)) {
            self.no_overload(id, name, &applied_to(Style::Global, &operands));
        }
        operands.map(|operand| operand.node)
    }

    fn conditional(&mut self, id: u64, parts: [&IdedExpr; 3]) -> Typed {
        let [condition, yes, no] = parts.map(|part| self.check(part));
        let joined = join(&yes.type_, &no.type_)
            .filter(|_| matches!(condition.type_, Type::Bool | Type::Dyn));
        let Some(type_) = joined else {
            let types = applied_to(Style::Global, &[condition, yes, no]);
            return self.no_overload(id, operators::CONDITIONAL, &types);
        };
        let nesting = yes.nesting.max(no.nesting);
        let node = Node::Conditional(Box::new([condition.node, yes.node, no.node]));
        Typed::new(node, type_).nested(nesting)
    }
}

/// How many arguments the overloads take, beside the receiver.
fn taken(known: &[&Overload], receivers: usize) -> String {
    let mut counts: Vec<_> =
        known.iter().map(|overload| overload.parameters.len() - receivers).collect();
    counts.sort_unstable();
    counts.dedup();
    let counts: Vec<_> = counts.iter().map(ToString::to_string).collect();
    counts.join(" or ")
}

/// The types that a function is called with, as CEL writes them.
fn applied_to(style: Style, arguments: &[Typed]) -> String {
    let types: Vec<_> = arguments.iter().map(|one| one.type_.to_string()).collect();
    match (style, types.split_first()) {
        (Style::Member, Some((receiver, rest))) => format!("{receiver}.({})", rest.join(", ")),
        _ => format!("({})", types.join(", ")),
    }
}

/// The overloads that values of those types may be meant for, and the type of what they give.
fn candidates(known: &[&'static Overload], arguments: &[Typed]) -> (Vec<&'static Overload>, Type) {
    let mut result: Option<Type> = None;
    let mut candidates = Vec::new();
    for overload in known {
        if overload.parameters.len() != arguments.len() {
            continue;
        }
        let mut bindings = Bindings::default();
        let accepted = arguments
            .iter()
            .zip(&overload.parameters)
            .all(|(argument, parameter)| bindings.accept(&argument.type_, parameter));
        if !accepted {
            continue;
        }
        let given = bindings.apply(&overload.result);
        result = Some(match result {
            None => given,
            Some(result) if result == given => result,
            Some(_) => Type::Dyn,
        });
        candidates.push(*overload);
    }
    (candidates, result.unwrap_or(Type::Dyn))
}

fn is_flat(type_: &Type) -> bool {
    !matches!(
        type_,
        Type::Dyn
            | Type::List(_)
            | Type::Map(..)
            | Type::Optional(_)
            | Type::Object(_)
            | Type::Opaque(_)
    )
}
