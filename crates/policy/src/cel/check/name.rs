//! Names and fields.

use cel::common::ast::{Expr, IdedExpr, SelectExpr};

use super::{Checker, Typed};
use crate::cel::Reason;
use crate::cel::input::Input;
use crate::cel::tree::{Field, Literal, Node, Select};
use crate::cel::types::Type;

/// Variables that Kubernetes or Kyverno have and this version, or the place, does not.
const MISSING: &[&str] = &[
    "authorizer",
    "exceptions",
    "generator",
    "globalContext",
    "http",
    "image",
    "images",
    "params",
    "resource",
];

/// Whether a function belongs to one of them, as `resource.Get` does.
pub(super) fn is_missing(function: &str) -> bool {
    let (of, _) = function.split_once('.').unwrap_or_default();
    MISSING.contains(&of)
}

// === impl Checker ===

impl Checker<'_> {
    pub(super) fn ident(&mut self, id: u64, name: &str) -> Typed {
        if let Some(index) = self.locals.iter().rposition(|local| local.name == name) {
            let local = &self.locals[index];
            let node = Node::Local(self.locals.len() - 1 - index);
            return Typed::new(node, local.type_.clone()).nested(local.nesting);
        }
        let name = name.trim_start_matches('.');
        if let Some(input) = self.input(name) {
            self.found.names_namespace |= input == Input::NamespaceObject;
            return Typed::new(Node::Input(input), input.type_of());
        }
        if let Some(type_) = self.library.named_type(name) {
            return type_name(type_);
        }
        match name {
            "variables" => {
                let message = "variables can only be used one at a time, as variables.NAME";
                self.flaw(id, Reason::Unsupported, message.to_owned())
            }
            name if MISSING.contains(&name) => {
                self.flaw(id, Reason::Unsupported, format!("this version has no {name} here"))
            }
            name => {
                let known: Vec<_> = self.inputs.iter().map(|input| input.name()).collect();
                let known = known.join(", ");
                let message = format!("there is no variable {name}, but {known} and variables");
                self.flaw(id, Reason::UnknownVariable, message)
            }
        }
    }

    pub(super) fn select(&mut self, id: u64, select: &SelectExpr) -> Typed {
        let SelectExpr { operand, field, test: _ } = select;
        if self.is_variables(operand) {
            return self.variable(id, field);
        }
        if let Some(name) = self.spelt(operand)
            && let Some(type_) = self.library.named_type(&format!("{name}.{field}"))
        {
            return type_name(type_);
        }
        let operand = self.check(operand);
        let type_ = self.field_type(id, &operand.type_, field);
        let node = match operand.node {
            Node::Select(mut select) => {
                select.fields.push(field.as_str().into());
                Node::Select(select)
            }
            operand => {
                Node::Select(Box::new(Select { operand, fields: vec![field.as_str().into()] }))
            }
        };
        Typed::new(node, type_).nested(operand.nesting)
    }

    /// `has(operand.field)`.
    pub(super) fn has(&mut self, id: u64, select: &SelectExpr) -> Typed {
        let SelectExpr { operand, field, test: _ } = select;
        let node = if self.is_variables(operand) {
            self.variable(id, field);
            Node::Literal(Literal::Bool(true))
        } else {
            let operand = self.check(operand);
            self.field_type(id, &operand.type_, field);
            Node::Has(Box::new(Field { operand: operand.node, name: field.as_str().into() }))
        };
        Typed::new(node, Type::Bool)
    }

    /// `operand.?field`.
    pub(super) fn optional_select(&mut self, id: u64, operand: &IdedExpr, field: &str) -> Typed {
        let operand = self.check(operand);
        let type_ = match self.field_type(id, &operand.type_, field) {
            optional @ Type::Optional(_) => optional,
            field => Type::optional(field),
        };
        let nesting = operand.nesting + 1;
        let field = Field { operand: operand.node, name: field.into() };
        Typed::new(Node::OptionalSelect(Box::new(field)), type_).nested(nesting)
    }

    fn variable(&mut self, id: u64, name: &str) -> Typed {
        let Some(index) = self.variables.iter().position(|variable| variable.name == name) else {
            let message = format!("there is no variable variables.{name} before this expression");
            return self.flaw(id, Reason::UnknownVariable, message);
        };
        self.found.variables.insert(index);
        let known = &self.variables[index];
        Typed::new(Node::Variable(index), known.type_.clone()).nested(known.nesting)
    }

    /// The type of a field of a value of that type.
    fn field_type(&mut self, id: u64, operand: &Type, field: &str) -> Type {
        match operand {
            Type::Dyn => Type::Dyn,
            Type::Map(_, value) => (**value).clone(),
            Type::Optional(value) => match self.field_type(id, value, field) {
                optional @ Type::Optional(_) => optional,
                field => Type::optional(field),
            },
            Type::Object(object) => {
                let mut fields = (object.fields)().into_iter();
                match fields.find(|(name, _)| *name == field) {
                    Some((_, type_)) => type_,
                    None => {
                        let message = format!("undefined field '{field}' of {operand}");
                        self.flaw(id, Reason::CompileError, message);
                        Type::Dyn
                    }
                }
            }
            other => {
                let message = format!("type '{other}' does not support field selection");
                self.flaw(id, Reason::CompileError, message);
                Type::Dyn
            }
        }
    }

    fn input(&self, name: &str) -> Option<Input> {
        self.inputs.iter().find(|input| input.name() == name).copied()
    }

    fn is_local(&self, name: &str) -> bool {
        self.locals.iter().any(|local| local.name == name)
    }

    /// Whether a name that starts with `root` is a value, so that a call on it is a method.
    pub(super) fn is_value(&self, root: &str) -> bool {
        let bare = root.trim_start_matches('.');
        self.is_local(root)
            || bare == "variables"
            || self.input(bare).is_some()
            || self.library.named_type(bare).is_some()
    }

    fn is_variables(&self, node: &IdedExpr) -> bool {
        matches!(&node.expr, Expr::Ident(name)
            if name.trim_start_matches('.') == "variables" && !self.is_local(name))
    }

    /// The name that an expression spells, such as `a.b.c`, if its first part is no local one.
    pub(super) fn spelt(&self, node: &IdedExpr) -> Option<String> {
        match &node.expr {
            Expr::Ident(name) => {
                (!self.is_local(name)).then(|| name.trim_start_matches('.').to_owned())
            }
            Expr::Select(select) if !select.test => {
                Some(format!("{}.{}", self.spelt(&select.operand)?, select.field))
            }
            _ => None,
        }
    }
}

fn type_name(type_: &Type) -> Typed {
    let node = Node::Literal(Literal::Type(type_.clone()));
    Typed::new(node, Type::Type(type_.clone().into()))
}
