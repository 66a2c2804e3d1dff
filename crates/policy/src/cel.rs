//! CEL: the only place that names the crate that parses it, and an evaluator of our own.
//!
//! Enter at [`Compiler`], which makes the [`Program`] of one policy, and at [`Scope`], which
//! evaluates its [`Expression`]s over one request. An expression is parsed ([`parse`]), checked as
//! CEL's type checker does ([`check`]), which makes a tree of it ([`tree`]), and that is walked
//! ([`evaluate`]). Values ([`value`]) are views of the request's JSON; nothing of it is copied, for
//! no policy. Functions are declared with their types in [`library`].
//!
//! **Bounds.** Whoever may write a policy decides how long its evaluation takes. Every node and every
//! round of a loop takes a step of the meter ([`meter`]), functions take more for more work, and what
//! is made takes bytes; an evaluation that has used up its budget ends, and nothing in it can go on.
//! The rules that judge one request have an [`Allowance`] together.
//! What recursion needs is bounded when the policy is compiled: the length of an expression, the
//! depth of its tree and of the values that it makes, and how many variables need each other. So are
//! the number and size of its regular expressions.

use std::fmt;

use ::cel::common::ast::IdedExpr;

use check::{Checker, Known};
use pattern::{Pattern, Patterns};
use tree::Node;
use types::Type;

mod check;
mod evaluate;
mod input;
mod library;
mod lookup;
mod meter;
mod parse;
mod pattern;
mod scope;
mod tree;
mod types;
mod value;

pub(crate) use input::{Expected, Input};
pub(crate) use lookup::Sight;
pub(crate) use meter::Allowance;
pub(crate) use scope::{Bindings, Inputs, NamespaceObject, Scope};

/// The longest expression, in bytes.
const MAX_LENGTH: usize = 16 << 10;
/// The deepest tree; the interpreter recurses with it.
const MAX_DEPTH: usize = 160;
/// The deepest value that expressions may make; cloning, comparing and dropping recurse with it.
const MAX_NESTING: usize = 500;
/// How many loops may stand inside of each other.
const MAX_NESTED_LOOPS: usize = 4;
/// The longest error that is kept. Errors quote values, and values come with the request.
const MAX_ERROR: usize = 1 << 10;

/// How many variables may need one another in a row; evaluation recurses with them.
const MAX_CHAIN: usize = 100;

/// Compiles the expressions of one policy.
pub(crate) struct Compiler {
    inputs: Vec<Input>,
    sight: Sight,
    known: Vec<Known>,
    /// None where a variable has problems of its own; what uses it has none for that.
    variables: Vec<Option<Expression>>,
    patterns: Patterns,
}

/// The variables and patterns that the expressions of one policy share.
#[derive(Debug)]
pub(crate) struct Program {
    names: Vec<String>,
    variables: Vec<Expression>,
    patterns: Vec<Pattern>,
    sight: Sight,
}

/// An expression without problems.
#[derive(Debug)]
pub(crate) struct Expression {
    source: Box<str>,
    root: Node,
    type_: Type,
    needs_namespace: bool,
    /// How many variables need one another for it.
    chain: usize,
    /// How deep its value is at most, not counting what comes with the request.
    nesting: usize,
}

/// Whether an expression may use the policy's variables.
#[derive(Clone, Copy)]
pub(crate) enum Variables {
    Visible,
    Hidden,
}

/// Something wrong with an expression.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) position: Option<Position>,
    pub(crate) reason: Reason,
    pub(crate) message: String,
}

/// A place in an expression; both numbers start at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

/// What kind of thing is wrong with a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// An expression is no valid CEL.
    CompileError,
    /// An expression uses a variable that does not exist.
    UnknownVariable,
    /// An expression calls a function that does not exist.
    UnknownFunction,
    /// An expression is longer or deeper than an evaluation can be asked to bear.
    TooComplex,
    /// The policy asks for something that this version does not do.
    Unsupported,
    /// A field has a value that means nothing.
    Invalid,
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct EvaluationError {
    message: String,
}

// === impl Compiler ===

impl Compiler {
    /// A compiler of expressions that can use those inputs, and look up what they see.
    pub(crate) fn new(inputs: &[Input], sight: Sight) -> Self {
        let mut inputs = inputs.to_vec();
        inputs.sort_unstable_by_key(|input| input.name());
        let (known, variables) = (Vec::new(), Vec::new());
        Self { inputs, sight, known, variables, patterns: Patterns::default() }
    }

    /// Adds a variable, which expressions compiled from now on can use.
    pub(crate) fn variable(&mut self, name: &str, source: &str) -> Result<(), Vec<Problem>> {
        let compiled = self.expression(source, Variables::Visible, Expected::Anything);
        let (type_, nesting) = match &compiled {
            Ok(expression) => (expression.type_.clone(), expression.nesting),
            Err(_) => (Type::Dyn, 0),
        };
        self.known.push(Known { name: name.to_owned(), type_, nesting });
        let (variable, result) = match compiled {
            Ok(expression) => (Some(expression), Ok(())),
            Err(problems) => (None, Err(problems)),
        };
        self.variables.push(variable);
        result
    }

    /// Compiles an expression, or says everything that is wrong with it.
    pub(crate) fn expression(
        &mut self,
        source: &str,
        variables: Variables,
        expected: Expected,
    ) -> Result<Expression, Vec<Problem>> {
        let parsed = parse::parse(source)?;
        let known: &[Known] = match variables {
            Variables::Visible => &self.known,
            Variables::Hidden => &[],
        };
        let library = self.sight.library();
        let mut checker = Checker::new(library, &self.inputs, known, &mut self.patterns);
        let typed = parsed.walk(|root: &IdedExpr| checker.check(root));
        let found = checker.found;
        if !found.flaws.is_empty() {
            let located = found.flaws.into_iter().map(|flaw| Problem {
                position: parsed.position(flaw.node),
                reason: flaw.reason,
                message: flaw.message,
            });
            return Err(located.collect());
        }
        let refuse = |reason, message| Err(vec![Problem::new(reason, message)]);
        if !expected.admits(&typed.type_) {
            let message = format!("must evaluate to {expected}, not {}", typed.type_);
            return refuse(Reason::CompileError, message);
        }
        if found.nesting > MAX_NESTING {
            let message = format!("makes values nested more than {MAX_NESTING} deep");
            return refuse(Reason::TooComplex, message);
        }
        let named = || found.variables.iter().filter_map(|index| self.variables[*index].as_ref());
        let chain = 1 + named().map(|variable| variable.chain).max().unwrap_or_default();
        if chain > MAX_CHAIN {
            let message = format!("more than {MAX_CHAIN} variables that need one another");
            return refuse(Reason::TooComplex, message);
        }
        Ok(Expression {
            source: source.into(),
            needs_namespace: found.names_namespace || named().any(Expression::needs_namespace),
            root: typed.node,
            type_: typed.type_,
            chain,
            nesting: typed.nesting,
        })
    }

    /// The program, if every variable compiled.
    pub(crate) fn finish(self) -> Option<Program> {
        let variables = self.variables.into_iter().collect::<Option<_>>()?;
        let names = self.known.into_iter().map(|known| known.name).collect();
        Some(Program { names, variables, patterns: self.patterns.finish(), sight: self.sight })
    }
}

impl Default for Compiler {
    fn default() -> Self {
        Self::new(Input::ADMISSION, Sight::Nothing)
    }
}

// === impl Expression ===

impl Expression {
    /// The expression as it was written.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Whether it, or a variable that it needs, uses `namespaceObject`.
    pub(crate) fn needs_namespace(&self) -> bool {
        self.needs_namespace
    }
}

// === impl Problem ===

impl Problem {
    fn new(reason: Reason, message: String) -> Self {
        Self { position: None, reason, message }
    }
}

// === impl Position ===

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

// === impl Reason ===

impl Reason {
    /// The reason as conditions and metrics name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CompileError => "CompileError",
            Self::UnknownVariable => "UnknownVariable",
            Self::UnknownFunction => "UnknownFunction",
            Self::TooComplex => "TooComplex",
            Self::Unsupported => "Unsupported",
            Self::Invalid => "Invalid",
        }
    }
}

// === impl EvaluationError ===

/// As much of a text as an error can carry, so that a long one is not copied to be cut off.
fn excerpt(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_ERROR)]
}

impl EvaluationError {
    fn new(mut message: String) -> Self {
        if message.len() > MAX_ERROR {
            message.truncate(message.floor_char_boundary(MAX_ERROR));
            message.push('…');
        }
        Self { message }
    }
}

#[cfg(test)]
mod tests;
