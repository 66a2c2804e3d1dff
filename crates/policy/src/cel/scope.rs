//! What expressions see while they are evaluated: the request, the policy's variables, and the
//! compiled patterns.
//!
//! A variable is evaluated when something first asks for it, at most once per request, and its
//! value borrows from the request. An error in a variable becomes the error of whatever uses it.
//! The interpreter has no way to be told of it, so the variable is simply not there, and the error
//! that this raises is replaced by the real one where it comes out.

use std::sync::OnceLock;

use cel::common::types::{CelBool, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::{Context, ExecutionError};
use serde_json::Value;

use super::interpreter_pattern::Pattern;
use super::json::Json;
use super::{EvaluationError, Expression, Program, Slot, env};

static NULL: Value = Value::Null;

/// Enough for twice [`super::MAX_DEPTH`] levels, as rewriting can add a level to each.
const STACK: usize = if cfg!(debug_assertions) { 24 << 20 } else { 1 << 20 };

/// The variables of a request that every policy sees.
pub(crate) struct Inputs<'r> {
    object: Json<'r>,
    old_object: Json<'r>,
    request: Json<'r>,
    namespace: Option<Json<'r>>,
}

/// The inputs, and what belongs to one policy.
pub(crate) struct Bindings<'q, 'r> {
    inputs: &'q Inputs<'r>,
    program: &'q Program,
}

/// One policy over one request.
pub(crate) struct Scope<'q, 'r> {
    bindings: &'q Bindings<'q, 'r>,
    variables: Vec<OnceLock<Result<Box<dyn Val + 'q>, EvaluationError>>>,
}

/// The namespace of a request, as `namespaceObject` shows it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NamespaceObject<'r> {
    /// The resource is in no namespace.
    None,
    /// It is in one that the caller does not know.
    Unknown,
    Known(&'r Value),
}

// === impl Inputs ===

impl<'r> Inputs<'r> {
    pub(crate) fn new(
        object: &'r Value,
        old_object: &'r Value,
        request: &'r Value,
        namespace: NamespaceObject<'r>,
    ) -> Self {
        let namespace = match namespace {
            NamespaceObject::None => Some(&NULL),
            NamespaceObject::Unknown => None,
            NamespaceObject::Known(namespace) => Some(namespace),
        };
        Self {
            object: Json::of(object),
            old_object: Json::of(old_object),
            request: Json::of(request),
            namespace: namespace.map(Json::of),
        }
    }
}

// === impl Bindings ===

impl<'q, 'r> Bindings<'q, 'r> {
    pub(crate) fn new(inputs: &'q Inputs<'r>, program: &'q Program) -> Self {
        Self { inputs, program }
    }
}

impl VariableResolver for Bindings<'_, '_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let view = match name {
            "object" => &self.inputs.object,
            "oldObject" => &self.inputs.old_object,
            "request" => &self.inputs.request,
            "namespaceObject" => self.inputs.namespace.as_ref()?,
            name => {
                let Some(Slot::Pattern(index)) = Slot::parse(name) else {
                    return None;
                };
                let pattern: &Pattern = self.program.patterns.get(index)?;
                return Some(CowVal::Borrowed(pattern));
            }
        };
        Some(CowVal::Borrowed(view.as_val()))
    }
}

// === impl Scope ===

impl<'q, 'r> Scope<'q, 'r> {
    pub(crate) fn new(bindings: &'q Bindings<'q, 'r>) -> Self {
        let variables = bindings.program.variables.iter().map(|_| OnceLock::new()).collect();
        Self { bindings, variables }
    }

    /// Evaluates an expression that is either true or false.
    pub(crate) fn truth(&self, expression: &Expression) -> Result<bool, EvaluationError> {
        self.evaluate(expression, |value| {
            value.downcast_ref::<CelBool>().map(|bool| *bool.inner())
        })?
        .map_err(|got| EvaluationError::new(format!("must be true or false, is a {got}")))
    }

    /// Evaluates an expression that gives a text.
    pub(crate) fn text(&self, expression: &Expression) -> Result<String, EvaluationError> {
        self.evaluate(expression, |value| {
            value.downcast_ref::<CelString>().map(|string| string.inner().to_owned())
        })?
        .map_err(|got| EvaluationError::new(format!("must be a string, is a {got}")))
    }

    /// Evaluates an expression that gives a text, or null for none.
    #[allow(dead_code, reason = "audit annotations come next")]
    pub(crate) fn value(&self, expression: &Expression) -> Result<Option<String>, EvaluationError> {
        self.evaluate(expression, |value| {
            let text = value.downcast_ref::<CelString>().map(|string| string.inner().to_owned());
            text.map(Some).or_else(|| (value.get_type().name() == "null_type").then_some(None))
        })?
        .map_err(|got| EvaluationError::new(format!("must be a string or null, is a {got}")))
    }

    /// Evaluates an expression and reads its value, or names the type that could not be read.
    fn evaluate<T>(
        &self,
        expression: &Expression,
        read: impl FnOnce(&dyn Val) -> Option<T>,
    ) -> Result<Result<T, String>, EvaluationError> {
        let mut context = Context::with_env(env::shared().clone());
        context.set_variable_resolver(self);
        let value = resolve(expression, &context).map_err(|error| self.explain(error))?;
        Ok(read(&*value).ok_or_else(|| value.get_type().name().to_owned()))
    }

    fn variable(&self, index: usize) -> Option<&(dyn Val + 'q)> {
        // Each of these only needs what comes before it, so nothing recurses.
        for &needed in &self.bindings.program.variables.get(index)?.needs {
            self.evaluated(needed);
        }
        self.evaluated(index)
    }

    fn evaluated(&self, index: usize) -> Option<&(dyn Val + 'q)> {
        let value = self.variables.get(index)?.get_or_init(|| self.evaluate_variable(index));
        value.as_deref().ok()
    }

    fn evaluate_variable(&self, index: usize) -> Result<Box<dyn Val + 'q>, EvaluationError> {
        let variable: &'q Expression = &self.bindings.program.variables[index];
        let mut context: Context<'_, 'q> = Context::with_env(env::shared().clone());
        context.set_variable_resolver(self.bindings);
        for &named in &variable.names {
            if let Some(value) = self.evaluated(named) {
                context.add_variable_as_val(Slot::Variable(named).name(), value.clone_as_boxed());
            }
        }
        let value = cel::Value::resolve_val(&variable.root, &context);
        value.map(CowVal::into_owned).map_err(|error| self.explain(error))
    }

    fn explain(&self, error: ExecutionError) -> EvaluationError {
        let ExecutionError::UndeclaredReference(name) = &error else {
            return EvaluationError::new(error.to_string());
        };
        if name.as_str() == "namespaceObject" {
            return EvaluationError::new("the request's namespace is not known".to_owned());
        }
        let failed = match Slot::parse(name) {
            Some(Slot::Variable(index)) => self
                .variables
                .get(index)
                .and_then(|variable| variable.get()?.as_ref().err())
                .map(|cause| (&self.bindings.program.names[index], cause)),
            _ => None,
        };
        EvaluationError::new(match failed {
            Some((name, cause)) => format!("variables.{name}: {cause}"),
            None => error.to_string(),
        })
    }
}

impl VariableResolver for Scope<'_, '_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        match Slot::parse(name) {
            Some(Slot::Variable(index)) => Some(CowVal::Borrowed(self.variable(index)?)),
            _ => self.bindings.resolve(name),
        }
    }
}

/// Evaluates an expression. The interpreter recurses with the tree, whose depth is bounded, so it
/// needs no more stack than it is made sure to have here; mostly that is there already.
fn resolve<'e, 'v>(
    expression: &'e Expression,
    context: &'e Context<'_, 'v>,
) -> Result<CowVal<'e, 'v>, ExecutionError> {
    stacker::maybe_grow(STACK, STACK, || cel::Value::resolve_val(&expression.root, context))
}
