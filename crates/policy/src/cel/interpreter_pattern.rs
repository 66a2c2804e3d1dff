//! Regular expressions: literal ones are compiled with the expression they stand in, others when
//! they are evaluated, and none may grow without bound.

use std::any::Any;
use std::collections::HashMap;

use cel::ExecutionError;
use cel::common::types::{CelBool, CelString, STRING_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use regex::{Regex, RegexBuilder};

/// How much memory a compiled pattern may take, and again what it remembers while it matches.
const MAX_COMPILED_BYTES: usize = 256 << 10;
/// How many different literal patterns a policy may have.
pub(super) const MAX_PATTERNS: usize = 64;

static TYPE: Type = Type::new_unspecified_type("pharos.pattern");

/// A compiled literal pattern, as an argument of the function behind `matches`. No expression can
/// name one.
#[derive(Clone, Debug)]
pub(super) struct Pattern(Regex);

/// The literal patterns of one policy, each once.
#[derive(Default)]
pub(super) struct Patterns {
    compiled: Vec<Pattern>,
    /// Where each is in `compiled`.
    positions: HashMap<String, usize>,
    /// One was too much, so that no other is compiled: compiling costs too.
    exhausted: bool,
}

/// Why a literal pattern is not compiled.
pub(super) enum Refusal {
    /// It is no pattern, in the words of the parser.
    Malformed(String),
    /// It is too large, or one too many.
    TooComplex(String),
    /// Another one was too much before, which has been told.
    Exhausted,
}

// === impl Patterns ===

impl Patterns {
    /// Compiles a pattern unless it is there already, and says where it is.
    pub(super) fn position(&mut self, source: &str) -> Result<usize, Refusal> {
        if let Some(position) = self.positions.get(source) {
            return Ok(*position);
        }
        if self.exhausted {
            return Err(Refusal::Exhausted);
        }
        let compiled = self.compile(source);
        self.exhausted = matches!(compiled, Err(Refusal::TooComplex(_)));
        let position = self.compiled.len();
        self.compiled.push(compiled?);
        self.positions.insert(source.to_owned(), position);
        Ok(position)
    }

    fn compile(&self, source: &str) -> Result<Pattern, Refusal> {
        if self.compiled.len() == MAX_PATTERNS {
            let message = format!("more than {MAX_PATTERNS} regular expressions in one policy");
            return Err(Refusal::TooComplex(message));
        }
        Pattern::compile(source).map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => {
                Refusal::TooComplex(format!("a regular expression of more than {limit} bytes"))
            }
            error => Refusal::Malformed(format!("not a regular expression: {error}")),
        })
    }

    pub(super) fn finish(self) -> Vec<Pattern> {
        self.compiled
    }
}

// === impl Pattern ===

impl Pattern {
    fn compile(source: &str) -> Result<Self, regex::Error> {
        RegexBuilder::new(source)
            .size_limit(MAX_COMPILED_BYTES)
            .dfa_size_limit(MAX_COMPILED_BYTES)
            .build()
            .map(Self)
    }
}

impl Val for Pattern {
    fn get_type(&self) -> &Type {
        Self::cel_type()
    }

    fn cel_type() -> &'static Type {
        &TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Pattern {}

/// The function behind `matches`: a string and a pattern, compiled or not.
pub(super) fn matches<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [string, pattern] = <[_; 2]>::try_from(args)
        .map_err(|args| ExecutionError::invalid_argument_count(2, args.len()))?;
    let no_overload = || {
        let pattern = match pattern.downcast_ref::<Pattern>() {
            Some(_) => STRING_TYPE.name(),
            None => pattern.get_type().name(),
        };
        let types = [string.get_type().name(), pattern].map(str::to_owned);
        ExecutionError::no_such_overload("matches", types.to_vec())
    };
    let string = string.downcast_ref::<CelString>().ok_or_else(no_overload)?;
    let matches = if let Some(Pattern(regex)) = pattern.downcast_ref() {
        regex.is_match(string.inner())
    } else {
        let source = pattern.downcast_ref::<CelString>().ok_or_else(no_overload)?;
        let Pattern(regex) = Pattern::compile(source.inner())
            .map_err(|error| ExecutionError::function_error("matches", error))?;
        regex.is_match(string.inner())
    };
    Ok(CowVal::owned(CelBool::from(matches)))
}
