//! Evaluation: a walk over a checked expression.
//!
//! Every node and every round of a loop takes a step of the meter. Errors are values, as CEL has
//! them: `&&`, `||`, `all` and `exists` absorb one beside what decides. [`Fault::Exhausted`] passes
//! all of them.
//!
//! Nothing is allocated for what is neither a list nor a map nor a text that the expression makes.

use super::EvaluationError;
use super::meter::Fault;
use super::scope::Scope;
use super::tree::{
    Call, Element, Entry, Field, Literal, Node, OptionalMap, Presence, Select, Wrapping,
};
use super::value::{Octets, Value};

pub(super) mod access;
mod dispatch;
mod loops;

/// The names that macros have bound, innermost first.
pub(super) struct Locals<'l, 'e> {
    value: Value<'e>,
    outer: Option<&'l Self>,
}

type Evaluated<'e> = Result<Value<'e>, Fault>;

// === impl Scope ===

impl<'q> Scope<'q, '_> {
    /// Evaluates an expression. `'e` is its lifetime, which the policy's variables outlive.
    pub(super) fn evaluate<'e>(
        &self,
        node: &'e Node,
        locals: Option<&Locals<'_, 'e>>,
    ) -> Evaluated<'e>
    where
        'q: 'e,
    {
        self.meter().step(1)?;
        match node {
            Node::Literal(literal) => Ok(Value::of_literal(literal)),
            Node::Input(input) => self.input(*input),
            Node::Variable(index) => self.variable(*index),
            Node::Local(index) => Ok(Locals::get(locals, *index)),
            Node::Select(select) => self.select(select, locals),
            Node::Has(field) => self.has(field, locals),
            Node::OptionalSelect(field) => {
                let operand = self.evaluate(&field.operand, locals)?;
                dispatch::charged(self.meter(), access::optional_field(operand, &field.name)?)
            }
            Node::List(elements) => self.list(elements, locals),
            Node::Map(entries) => self.map(entries, locals),
            Node::And(operands) => self.decide(operands, false, locals),
            Node::Or(operands) => self.decide(operands, true, locals),
            Node::Conditional(parts) => {
                let [condition, yes, no] = &**parts;
                match self.evaluate(condition, locals)? {
                    Value::Bool(true) => self.evaluate(yes, locals),
                    Value::Bool(false) => self.evaluate(no, locals),
                    other => Err(dispatch::no_overload("_?_:_", &[other])),
                }
            }
            Node::Call(call) => self.call(call, locals),
            Node::Loop(a_loop) => self.run(a_loop, locals),
            Node::Bind(parts) => {
                let [value, body] = &**parts;
                let value = self.evaluate(value, locals)?;
                self.evaluate(body, Some(&Locals { value, outer: locals }))
            }
            Node::OptionalMap(map) => self.optional_map(map, locals),
        }
    }

    fn select<'e>(&self, select: &'e Select, locals: Option<&Locals<'_, 'e>>) -> Evaluated<'e>
    where
        'q: 'e,
    {
        let mut value = self.evaluate(&select.operand, locals)?;
        self.meter().step(select.fields.len() as u64)?;
        for name in &select.fields {
            value = access::field(value, name)?;
        }
        Ok(value)
    }

    fn has<'e>(&self, field: &'e Field, locals: Option<&Locals<'_, 'e>>) -> Evaluated<'e>
    where
        'q: 'e,
    {
        let operand = self.evaluate(&field.operand, locals)?;
        access::has(&operand, &field.name).map(Value::Bool)
    }

    /// `&&`, which false decides, and `||`, which true does: whatever the other operand is.
    fn decide<'e>(
        &self,
        operands: &'e [Node; 2],
        decisive: bool,
        locals: Option<&Locals<'_, 'e>>,
    ) -> Evaluated<'e>
    where
        'q: 'e,
    {
        let mut error = None;
        for operand in operands {
            match self.evaluate(operand, locals) {
                Ok(Value::Bool(bool)) if bool == decisive => return Ok(Value::Bool(decisive)),
                Ok(Value::Bool(_)) => {}
                Ok(other) => {
                    let name = if decisive { "_||_" } else { "_&&_" };
                    error.get_or_insert_with(|| dispatch::no_overload(name, &[other]));
                }
                Err(exhausted @ Fault::Exhausted(_)) => return Err(exhausted),
                Err(fault) => {
                    error.get_or_insert(fault);
                }
            }
        }
        error.map_or(Ok(Value::Bool(!decisive)), Err)
    }

    fn list<'e>(&self, elements: &'e [Element], locals: Option<&Locals<'_, 'e>>) -> Evaluated<'e>
    where
        'q: 'e,
    {
        self.meter().allocate(elements.len() * size_of::<Value<'_>>())?;
        let mut list = Vec::with_capacity(elements.len());
        for Element { value, presence } in elements {
            let value = self.evaluate(value, locals)?;
            list.extend(present(value, *presence)?);
        }
        Ok(Value::list(list))
    }

    fn map<'e>(&self, entries: &'e [Entry], locals: Option<&Locals<'_, 'e>>) -> Evaluated<'e>
    where
        'q: 'e,
    {
        let mut map = loops::Entries::new(self.meter());
        for Entry { key, value, presence } in entries {
            let key = access::key(&self.evaluate(key, locals)?)?;
            let value = self.evaluate(value, locals)?;
            if let Some(value) = present(value, *presence)? {
                map.insert(key, value)?;
            }
        }
        Ok(map.finish())
    }

    fn optional_map<'e>(
        &self,
        map: &'e OptionalMap,
        locals: Option<&Locals<'_, 'e>>,
    ) -> Evaluated<'e>
    where
        'q: 'e,
    {
        let value = match self.evaluate(&map.operand, locals)? {
            Value::Optional(Some(value)) => (*value).clone(),
            none @ Value::Optional(None) => return Ok(none),
            other => return Err(dispatch::no_overload("optMap", &[other])),
        };
        let result = self.evaluate(&map.body, Some(&Locals { value, outer: locals }))?;
        match (map.result, result) {
            (Wrapping::Wrap, result) => Ok(Value::some(result)),
            (Wrapping::Flat, optional @ Value::Optional(_)) => Ok(optional),
            (Wrapping::Flat, other) => Err(dispatch::no_overload("optFlatMap", &[other])),
        }
    }

    fn call<'e>(&self, call: &'e Call, locals: Option<&Locals<'_, 'e>>) -> Evaluated<'e>
    where
        'q: 'e,
    {
        let (host, sight) = (self.host(call.pattern), self.sight());
        match &*call.arguments {
            [one] => dispatch::call(call, sight, &host, &[self.evaluate(one, locals)?]),
            [one, two] => {
                let arguments = [self.evaluate(one, locals)?, self.evaluate(two, locals)?];
                dispatch::call(call, sight, &host, &arguments)
            }
            many => {
                let arguments: Result<Vec<_>, _> =
                    many.iter().map(|argument| self.evaluate(argument, locals)).collect();
                dispatch::call(call, sight, &host, &arguments?)
            }
        }
    }
}

/// What stands in a list or map: an optional's value if it has one, where that is asked for.
fn present(value: Value<'_>, presence: Presence) -> Result<Option<Value<'_>>, Fault> {
    match (presence, value) {
        (Presence::Always, value) => Ok(Some(value)),
        (Presence::Optional, Value::Optional(value)) => Ok(value.map(|value| (*value).clone())),
        (Presence::Optional, other) => {
            let message = format!("expected an optional, is a {}", other.type_name());
            Err(EvaluationError::new(message).into())
        }
    }
}

// === impl Locals ===

impl<'l, 'e> Locals<'l, 'e> {
    pub(super) fn new(value: Value<'e>, outer: Option<&'l Self>) -> Self {
        Self { value, outer }
    }

    fn get(mut locals: Option<&Self>, index: usize) -> Value<'e> {
        for _ in 0..index {
            locals = locals.and_then(|locals| locals.outer);
        }
        // The checker has counted the names, so that there is one.
        locals.map_or(Value::Null, |locals| locals.value.clone())
    }
}

// === impl Value ===

impl<'e> Value<'e> {
    fn of_literal(literal: &'e Literal) -> Self {
        match literal {
            Literal::Null => Self::Null,
            Literal::Bool(bool) => Self::Bool(*bool),
            Literal::Int(int) => Self::Int(*int),
            Literal::Uint(uint) => Self::Uint(*uint),
            Literal::Double(double) => Self::Double(*double),
            Literal::String(text) => Self::borrowed(text),
            Literal::Bytes(bytes) => Self::Bytes(Octets::Borrowed(bytes)),
            Literal::Duration(duration) => Self::Duration(*duration),
            Literal::Timestamp(timestamp) => Self::Timestamp(*timestamp),
            Literal::Type(type_) => Self::Type(type_.clone()),
            Literal::Json(json) => Self::of_json(json),
        }
    }
}
