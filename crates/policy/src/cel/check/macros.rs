//! Macros: calls that give a name to what they are about.

use cel::common::ast::{CallExpr, Expr, IdedExpr, ListExpr, operators};

use super::{Checker, Local, Typed};
use crate::cel::Reason;
use crate::cel::tree::{Gather, Loop, Names, Node, OptionalMap, Wrapping};
use crate::cel::types::Type;

/// A loop as it is written.
struct Written<'e> {
    range: &'e IdedExpr,
    names: &'e [IdedExpr],
    filter: Option<&'e IdedExpr>,
    /// None for the element itself.
    body: Option<&'e IdedExpr>,
    gather: Gather,
}

// === impl Checker ===

impl Checker<'_> {
    /// What the call means, if it is a macro.
    pub(super) fn expand(&mut self, id: u64, call: &CallExpr) -> Option<Typed> {
        let name = call.func_name.as_str();
        let Some(target) = call.target.as_deref() else {
            let [argument] = call.args.as_slice() else {
                return None;
            };
            return (name == operators::HAS).then(|| match &argument.expr {
                Expr::Select(select) => self.has(id, select),
                _ => {
                    let message = "the argument of has() must select a field".to_owned();
                    self.flaw(argument.id, Reason::CompileError, message)
                }
            });
        };
        match (name, self.spelt(target).as_deref(), call.args.as_slice()) {
            ("bind", Some("cel"), [variable, value, body]) => {
                Some(self.bind(variable, value, body))
            }
            ("greatest" | "least", Some("math"), [_, _, _, ..]) => {
                Some(self.extreme(id, name, target, &call.args))
            }
            ("optMap", _, [variable, body]) => {
                Some(self.optional_map(id, target, variable, body, Wrapping::Wrap))
            }
            ("optFlatMap", _, [variable, body]) => {
                Some(self.optional_map(id, target, variable, body, Wrapping::Flat))
            }
            (_, _, arguments) => {
                let written = loop_of(name, target, arguments)?;
                Some(self.a_loop(id, &written))
            }
        }
    }

    fn name_of(&mut self, node: &IdedExpr) -> String {
        match &node.expr {
            Expr::Ident(name) => name.clone(),
            _ => {
                let message = "argument must be a simple name".to_owned();
                self.flaw(node.id, Reason::CompileError, message);
                String::new()
            }
        }
    }

    fn bind(&mut self, variable: &IdedExpr, value: &IdedExpr, body: &IdedExpr) -> Typed {
        let name = self.name_of(variable);
        let value = self.check(value);
        let local = Local { name, type_: value.type_, nesting: value.nesting };
        let body = self.within(vec![local], body);
        let node = Node::Bind(Box::new([value.node, body.node]));
        Typed::new(node, body.type_).nested(body.nesting)
    }

    /// `math.greatest` and `math.least` of more than two numbers, which are those of a list.
    fn extreme(&mut self, id: u64, name: &str, math: &IdedExpr, numbers: &[IdedExpr]) -> Typed {
        let list = Expr::List(ListExpr::new(numbers.to_vec()));
        let call = CallExpr {
            func_name: name.to_owned(),
            target: Some(Box::new(math.clone())),
            args: vec![IdedExpr { id, expr: list }],
        };
        self.call(id, &call)
    }

    fn optional_map(
        &mut self,
        id: u64,
        operand: &IdedExpr,
        variable: &IdedExpr,
        body: &IdedExpr,
        result: Wrapping,
    ) -> Typed {
        let name = self.name_of(variable);
        let operand = self.check(operand);
        let type_ = match &operand.type_ {
            Type::Optional(value) => (**value).clone(),
            Type::Dyn => Type::Dyn,
            other => {
                let message = format!("expected an optional but found '{other}'");
                return self.flaw(id, Reason::CompileError, message);
            }
        };
        let nesting = operand.nesting.saturating_sub(1);
        let written = body.id;
        let body = self.within(vec![Local { name, type_, nesting }], body);
        let (type_, nesting) = match (result, body.type_) {
            (Wrapping::Wrap, type_) => (Type::optional(type_), body.nesting + 1),
            (Wrapping::Flat, type_ @ (Type::Optional(_) | Type::Dyn)) => (type_, body.nesting),
            (Wrapping::Flat, other) => {
                let message = format!("expected an optional but found '{other}'");
                return self.flaw(written, Reason::CompileError, message);
            }
        };
        let node = OptionalMap { operand: operand.node, body: body.node, result };
        Typed::new(Node::OptionalMap(Box::new(node)), type_).nested(nesting)
    }

    fn a_loop(&mut self, id: u64, written: &Written<'_>) -> Typed {
        let range = self.check(written.range);
        let names = if written.names.len() == 1 { Names::One } else { Names::Two };
        let Some([first, second]) = elements(&range.type_, names) else {
            let message = format!(
                "expression of type '{}' cannot be range of a comprehension (must be list, map, or dynamic)",
                range.type_
            );
            return self.flaw(written.range.id, Reason::CompileError, message);
        };
        let nesting = range.nesting.saturating_sub(1);
        let locals: Vec<_> = written
            .names
            .iter()
            .zip([first.clone(), second])
            .map(|(name, type_)| Local { name: self.name_of(name), type_, nesting })
            .collect();
        self.enter_loop(id);
        let filter = written.filter.map(|filter| {
            let typed = self.within(locals.clone(), filter);
            self.expect(filter.id, &typed.type_, is_bool, "bool");
            typed.node
        });
        let body = match written.body {
            Some(body) => self.within(locals, body),
            None => Typed::new(Node::Local(0), first.clone()).nested(nesting),
        };
        self.leave_loop();
        let gather = written.gather;
        let at = written.body.map_or(id, |body| body.id);
        let (type_, nesting) = self.gathered(at, gather, &range, &first, &body);
        let node = Loop { range: range.node, names, filter, body: body.node, gather };
        Typed::new(Node::Loop(Box::new(node)), type_).nested(nesting)
    }

    /// The type of what a loop makes, and how deep it is.
    fn gathered(
        &mut self,
        at: u64,
        gather: Gather,
        range: &Typed,
        first: &Type,
        body: &Typed,
    ) -> (Type, usize) {
        match gather {
            Gather::All | Gather::Exists | Gather::ExistsOne => {
                self.expect(at, &body.type_, is_bool, "bool");
                (Type::Bool, 0)
            }
            Gather::List => (Type::list(body.type_.clone()), 1 + body.nesting),
            Gather::Map => (Type::map(first.clone(), body.type_.clone()), 1 + body.nesting),
            Gather::Entries => {
                self.expect(at, &body.type_, is_map, "map");
                (body.type_.clone(), body.nesting)
            }
            Gather::Sorted => {
                self.expect(at, &body.type_, is_ordered, "int, uint, double, bool, string, …");
                self.expect(at, &range.type_, is_list, "list");
                (range.type_.clone(), range.nesting)
            }
        }
    }

    fn expect(&mut self, id: u64, type_: &Type, is: fn(&Type) -> bool, expected: &str) {
        if *type_ != Type::Dyn && !is(type_) {
            let message = format!("expected type '{expected}' but found '{type_}'");
            self.flaw(id, Reason::CompileError, message);
        }
    }
}

/// The loop that the call means, if it means one.
fn loop_of<'e>(name: &str, range: &'e IdedExpr, arguments: &'e [IdedExpr]) -> Option<Written<'e>> {
    let written = |names, filter, body, gather| Written { range, names, filter, body, gather };
    let (names, rest) = match (name, arguments.len()) {
        ("transformList" | "transformMap" | "transformMapEntry", 3 | 4) => arguments.split_at(2),
        ("all" | "exists" | "exists_one" | "existsOne", 3) => arguments.split_at(2),
        ("all" | "exists" | "exists_one" | "existsOne" | "map" | "filter" | "sortBy", 2)
        | ("map", 3) => arguments.split_at(1),
        _ => return None,
    };
    Some(match (name, rest) {
        ("all", [body]) => written(names, None, Some(body), Gather::All),
        ("exists", [body]) => written(names, None, Some(body), Gather::Exists),
        ("exists_one" | "existsOne", [body]) => written(names, None, Some(body), Gather::ExistsOne),
        ("filter", [filter]) => written(names, Some(filter), None, Gather::List),
        ("sortBy", [body]) => written(names, None, Some(body), Gather::Sorted),
        ("map" | "transformList", [body]) => written(names, None, Some(body), Gather::List),
        ("map" | "transformList", [filter, body]) => {
            written(names, Some(filter), Some(body), Gather::List)
        }
        ("transformMap", [body]) => written(names, None, Some(body), Gather::Map),
        ("transformMap", [filter, body]) => written(names, Some(filter), Some(body), Gather::Map),
        ("transformMapEntry", [body]) => written(names, None, Some(body), Gather::Entries),
        ("transformMapEntry", [filter, body]) => {
            written(names, Some(filter), Some(body), Gather::Entries)
        }
        _ => return None,
    })
}

/// The types of what the names of a loop stand for.
fn elements(range: &Type, names: Names) -> Option<[Type; 2]> {
    Some(match (range, names) {
        (Type::List(element), Names::One) => [(**element).clone(), Type::Dyn],
        (Type::List(element), Names::Two) => [Type::Int, (**element).clone()],
        (Type::Map(key, value), _) => [(**key).clone(), (**value).clone()],
        (Type::Dyn, _) => [Type::Dyn, Type::Dyn],
        _ => return None,
    })
}

fn is_bool(type_: &Type) -> bool {
    *type_ == Type::Bool
}

fn is_map(type_: &Type) -> bool {
    matches!(type_, Type::Map(..))
}

fn is_list(type_: &Type) -> bool {
    matches!(type_, Type::List(_))
}

fn is_ordered(type_: &Type) -> bool {
    matches!(
        type_,
        Type::Bool
            | Type::Int
            | Type::Uint
            | Type::Double
            | Type::String
            | Type::Bytes
            | Type::Duration
            | Type::Timestamp
    )
}
