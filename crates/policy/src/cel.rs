//! CEL, and the only place that names the crate that implements it.
//!
//! Enter at [`Compiler`], which makes the [`Program`] of one policy, and at [`Scope`], which
//! evaluates its [`Expression`]s over one request. Values are views of the request's JSON
//! ([`json`]); nothing of it is copied, for no policy.
//!
//! **Bounds.** Whoever may write a policy decides how long its evaluation takes, so what can be
//! bounded without counting steps is bounded when the policy is compiled: the length of an
//! expression, the depth of its tree and of the values that it makes, how many loops stand inside of
//! each other, and the number and size of its regular expressions. That does not bound the time of an evaluation, which also grows with
//! the object; a budget of steps per evaluation will.

use std::fmt;

use ::cel::common::ast::IdedExpr;

use check::Check;
use interpreter_pattern::{Pattern, Patterns};

mod check;
mod env;
mod equality;
#[allow(dead_code, reason = "the evaluator is being moved onto it")]
mod input;
mod interpreter_pattern;
mod json;
#[allow(dead_code, reason = "the evaluator is being moved onto it")]
mod library;
#[allow(dead_code, reason = "the evaluator is being moved onto it")]
mod meter;
mod nesting;
mod optional;
mod parse;
#[allow(dead_code, reason = "the evaluator is being moved onto it")]
mod pattern;
mod rewrite;
mod scope;
#[allow(dead_code, reason = "the evaluator is being moved onto it")]
mod types;
#[allow(dead_code, reason = "the evaluator is being moved onto it")]
mod value;

pub(crate) use input::{Expected, Input};
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

/// Compiles the expressions of one policy.
#[derive(Default)]
pub(crate) struct Compiler {
    names: Vec<String>,
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
}

/// An expression without problems.
#[derive(Debug)]
pub(crate) struct Expression {
    source: Box<str>,
    root: IdedExpr,
    /// The policy's variables that it names.
    names: Vec<usize>,
    /// The variables that must be known before it is evaluated: those, and what they need.
    needs: Vec<usize>,
    needs_namespace: bool,
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

/// A name that only rewritten expressions use, and what it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Variable(usize),
    Pattern(usize),
}

// === impl Compiler ===

impl Compiler {
    /// Adds a variable, which expressions compiled from now on can use.
    pub(crate) fn variable(&mut self, name: &str, source: &str) -> Result<(), Vec<Problem>> {
        let compiled = self.expression(source, Variables::Visible, Expected::Anything);
        self.names.push(name.to_owned());
        let (variable, result) = match compiled {
            Ok(expression) => (Some(expression), Ok(())),
            Err(problems) => (None, Err(problems)),
        };
        self.variables.push(variable);
        result
    }

    /// A compiler of expressions that can use those inputs.
    #[allow(dead_code, reason = "the evaluator is being moved onto it")]
    pub(crate) fn new(_inputs: &[Input]) -> Self {
        Self::default()
    }

    /// Compiles an expression, or says everything that is wrong with it.
    pub(crate) fn expression(
        &mut self,
        source: &str,
        variables: Variables,
        _expected: Expected,
    ) -> Result<Expression, Vec<Problem>> {
        let (mut root, info) = parse::parse(source)?;
        let visible: &[String] = match variables {
            Variables::Visible => &self.names,
            Variables::Hidden => &[],
        };
        let found = Check::new(visible, &mut self.patterns).run(&mut root);
        if !found.flaws.is_empty() {
            let located = found.flaws.into_iter().map(|flaw| Problem {
                position: parse::position(&info, flaw.node),
                reason: flaw.reason,
                message: flaw.message,
            });
            return Err(located.collect());
        }
        let named = || found.variables.iter().filter_map(|index| self.variables[*index].as_ref());
        let of_variable = |index: usize| {
            self.variables
                .get(index)
                .and_then(Option::as_ref)
                .map_or(0, |variable| variable.nesting)
        };
        let nesting = nesting::depth(&root, &of_variable);
        if nesting > MAX_NESTING {
            let message = format!("makes values nested more than {MAX_NESTING} deep");
            return Err(vec![Problem::new(Reason::TooComplex, message)]);
        }
        let mut needs = found.variables.clone();
        needs.extend(named().flat_map(|variable| &variable.needs));
        Ok(Expression {
            source: source.into(),
            root,
            needs_namespace: found.names_namespace || named().any(Expression::needs_namespace),
            needs: needs.into_iter().collect(),
            names: found.variables.into_iter().collect(),
            nesting,
        })
    }

    /// The program, if every variable compiled.
    pub(crate) fn finish(self) -> Option<Program> {
        let variables = self.variables.into_iter().collect::<Option<_>>()?;
        Some(Program { names: self.names, variables, patterns: self.patterns.finish() })
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

impl EvaluationError {
    fn new(mut message: String) -> Self {
        if message.len() > MAX_ERROR {
            message.truncate(message.floor_char_boundary(MAX_ERROR));
            message.push('…');
        }
        Self { message }
    }
}

// === impl Slot ===

impl Slot {
    fn name(self) -> String {
        match self {
            Self::Variable(index) => format!("@variable{index}"),
            Self::Pattern(index) => format!("@pattern{index}"),
        }
    }

    fn parse(name: &str) -> Option<Self> {
        let name = name.strip_prefix('@')?;
        let variable = name.strip_prefix("variable").and_then(|index| index.parse().ok());
        let pattern = || name.strip_prefix("pattern").and_then(|index| index.parse().ok());
        variable.map(Self::Variable).or_else(|| pattern().map(Self::Pattern))
    }
}

#[cfg(test)]
mod tests;
