//! What expressions see while they are evaluated: the request, the policy's variables, the compiled
//! patterns, and what the evaluation may still use.
//!
//! A variable is evaluated when something first asks for it, at most once per request, and its
//! value borrows from the request. An error in a variable is the error of whatever uses it.

use std::cell::OnceCell;

use jiff::Timestamp;

use super::input::Input;
use super::lookup::Sight;
use super::meter::{Allowance, Fault, Host, Meter, Resources};
use super::value::Value;
use super::{EvaluationError, Expression, Program};
use crate::json::Json;

/// Enough for [`super::MAX_DEPTH`] levels of a tree and a value of [`super::MAX_NESTING`] levels.
const STACK: usize = if cfg!(debug_assertions) { 16 << 20 } else { 768 << 10 };

/// The variables of a request that every policy sees.
pub(crate) struct Inputs<'r> {
    values: Vec<(Input, Option<Value<'r>>)>,
    now: &'r dyn Fn() -> Timestamp,
}

/// The inputs, and what belongs to one policy.
pub(crate) struct Bindings<'q, 'r> {
    inputs: &'q Inputs<'r>,
    program: &'q Program,
}

/// One policy over one request.
pub(crate) struct Scope<'q, 'r> {
    bindings: &'q Bindings<'q, 'r>,
    variables: Vec<OnceCell<Result<Value<'q>, Fault>>>,
    resources: Resources<'q>,
}

/// The namespace of a request, as `namespaceObject` shows it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NamespaceObject<'r> {
    /// The resource is in no namespace.
    None,
    /// It is in one that the caller does not know.
    Unknown,
    Known(&'r Json<'r>),
}

// === impl Inputs ===

impl<'r> Inputs<'r> {
    pub(crate) fn new(
        object: &'r Json<'r>,
        old_object: &'r Json<'r>,
        request: &'r Json<'r>,
        namespace: NamespaceObject<'r>,
    ) -> Self {
        let namespace = match namespace {
            NamespaceObject::None => Some(Value::Null),
            NamespaceObject::Unknown => None,
            NamespaceObject::Known(namespace) => Some(Value::of_json(namespace)),
        };
        let values = vec![
            (Input::Object, Some(Value::of_json(object))),
            (Input::OldObject, Some(Value::of_json(old_object))),
            (Input::Request, Some(Value::of_json(request))),
            (Input::NamespaceObject, namespace),
        ];
        Self { values, now: &Timestamp::now }
    }

    /// Adds another input.
    pub(crate) fn with(mut self, input: Input, value: &'r Json<'r>) -> Self {
        self.values.push((input, Some(Value::of_json(value))));
        self
    }

    /// Tells the time by another clock than the system's.
    pub(crate) fn at(mut self, now: &'r dyn Fn() -> Timestamp) -> Self {
        self.now = now;
        self
    }
}

// === impl Bindings ===

impl<'q, 'r> Bindings<'q, 'r> {
    pub(crate) fn new(inputs: &'q Inputs<'r>, program: &'q Program) -> Self {
        Self { inputs, program }
    }
}

// === impl Scope ===

impl<'q, 'r> Scope<'q, 'r> {
    /// A scope that uses what the allowance leaves to one rule.
    pub(crate) fn new(bindings: &'q Bindings<'q, 'r>, allowance: &'q Allowance) -> Self {
        let variables = bindings.program.variables.iter().map(|_| OnceCell::new()).collect();
        Self { bindings, variables, resources: Resources::new(allowance, bindings.inputs.now) }
    }

    /// Evaluates an expression that is either true or false.
    pub(crate) fn truth(&self, expression: &Expression) -> Result<bool, EvaluationError> {
        match self.root(expression)? {
            Value::Bool(bool) => Ok(bool),
            other => Err(unexpected("true or false", &other)),
        }
    }

    /// Evaluates an expression that gives a text.
    pub(crate) fn text(&self, expression: &Expression) -> Result<String, EvaluationError> {
        match self.root(expression)? {
            Value::String(text) => Ok((*text).to_owned()),
            other => Err(unexpected("a string", &other)),
        }
    }

    /// Evaluates an expression that gives a text, or null for none.
    pub(crate) fn value(&self, expression: &Expression) -> Result<Option<String>, EvaluationError> {
        match self.root(expression)? {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some((*text).to_owned())),
            other => Err(unexpected("a string or null", &other)),
        }
    }

    /// How many steps were taken so far.
    pub(crate) fn steps(&self) -> u64 {
        self.meter().steps()
    }

    fn root<'e>(&self, expression: &'e Expression) -> Result<Value<'e>, EvaluationError>
    where
        'q: 'e,
    {
        self.on_enough_stack(|| self.evaluate(&expression.root, None)).map_err(Fault::into_error)
    }

    /// Evaluation recurses with the tree and with values, whose depths are bounded, so it needs no
    /// more stack than it is made sure to have here; mostly that is there already.
    fn on_enough_stack<T>(&self, evaluate: impl FnOnce() -> T) -> T {
        stacker::maybe_grow(STACK, STACK, evaluate)
    }

    pub(super) fn meter(&self) -> &Meter {
        self.resources.meter()
    }

    /// What the policy sees beyond the request.
    pub(super) fn sight(&self) -> &'q Sight {
        let program: &'q Program = self.bindings.program;
        &program.sight
    }

    /// What a function is given, with the literal pattern of its call.
    pub(super) fn host(&self, pattern: Option<usize>) -> Host<'_> {
        let mut host = self.resources.host();
        host.literal = pattern.and_then(|index| self.bindings.program.patterns.get(index));
        host
    }

    pub(super) fn input(&self, input: Input) -> Result<Value<'q>, Fault> {
        let found = self.bindings.inputs.values.iter().find(|(name, _)| *name == input);
        match found {
            Some((_, Some(value))) => Ok(value.clone()),
            _ => {
                let message = match input {
                    Input::NamespaceObject => "the request's namespace is not known".to_owned(),
                    input => format!("there is no {} here", input.name()),
                };
                Err(EvaluationError::new(message).into())
            }
        }
    }

    pub(super) fn variable(&self, index: usize) -> Result<Value<'q>, Fault> {
        let Some(cell) = self.variables.get(index) else {
            return Err(EvaluationError::new("there is no such variable".to_owned()).into());
        };
        // A variable only needs those before it, so nothing is asked for while it is evaluated.
        cell.get_or_init(|| self.evaluate_variable(index)).clone()
    }

    fn evaluate_variable(&self, index: usize) -> Result<Value<'q>, Fault> {
        let program: &'q Program = self.bindings.program;
        let root = &program.variables[index].root;
        self.on_enough_stack(|| self.evaluate(root, None)).map_err(|fault| match fault {
            Fault::Error(error) => {
                let name = &program.names[index];
                EvaluationError::new(format!("variables.{name}: {error}")).into()
            }
            exhausted @ Fault::Exhausted(_) => exhausted,
        })
    }
}

fn unexpected(expected: &str, value: &Value<'_>) -> EvaluationError {
    EvaluationError::new(format!("must be {expected}, is a {}", value.type_name()))
}

// === impl Fault ===

impl Fault {
    fn into_error(self) -> EvaluationError {
        match self {
            Self::Error(error) => error,
            exhausted @ Self::Exhausted(_) => EvaluationError::new(exhausted.to_string()),
        }
    }
}
