//! Regular expressions: literal ones are compiled with the expression they stand in, others when
//! they are evaluated, and none may grow without bound.
//!
//! They are written for Go's syntax (RE2), in which the classes `\d`, `\s`, `\w` and the boundary
//! `\b` are ASCII and a class has no set operators; [`syntax`] turns that into the crate's.

use std::collections::HashMap;
use std::ops::Deref;
use std::rc::Rc;

use regex::{Regex, RegexBuilder};

use super::EvaluationError;
use super::meter::{Fault, Host};
use super::value::Value;

mod syntax;

/// How much memory a compiled pattern may take, and again what it remembers while it matches.
const MAX_COMPILED_BYTES: usize = 256 << 10;
/// The same for a pattern that is not known before the evaluation.
const MAX_DYNAMIC_BYTES: usize = 64 << 10;
/// How long such a pattern may be: parsing takes many times its length.
const MAX_DYNAMIC_LENGTH: usize = 4 << 10;
/// How many different literal patterns a policy may have.
pub(super) const MAX_PATTERNS: usize = 64;
/// How many patterns an evaluation remembers.
const MAX_REMEMBERED: usize = 32;
/// What compiling a pattern takes while a policy is evaluated, in steps.
const STEPS_TO_COMPILE: u64 = 10_000;

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    /// How many steps a byte of the searched text takes, at worst.
    weight: u64,
}

/// A pattern to search with, wherever it was compiled.
pub(crate) enum Compiled<'h> {
    /// With the policy.
    Literal(&'h Pattern),
    /// While it is evaluated.
    Dynamic(Rc<Pattern>),
}

/// The literal patterns of one policy, each once.
#[derive(Default)]
pub(super) struct Patterns {
    compiled: Vec<Pattern>,
    /// Where each is in `compiled`.
    positions: HashMap<String, usize>,
    /// One was too much, so that no other is compiled: compiling costs too.
    exhausted: bool,
}

/// The patterns that one evaluation has compiled.
pub(crate) type Remembered = HashMap<Box<str>, Rc<Pattern>>;

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
        Pattern::compile(source, MAX_COMPILED_BYTES)
    }

    pub(super) fn finish(self) -> Vec<Pattern> {
        self.compiled
    }
}

// === impl Pattern ===

impl Pattern {
    fn compile(source: &str, limit: usize) -> Result<Self, Refusal> {
        let translated = syntax::translate(source)
            .map_err(|what| Refusal::Malformed(format!("not a regular expression: {what}")))?;
        // The smallest limit that holds it tells how much work a byte of the text can be.
        let mut within = limit >> 4;
        let mut weight = 1;
        loop {
            let built = RegexBuilder::new(&translated)
                .size_limit(within)
                .dfa_size_limit(MAX_COMPILED_BYTES)
                .build();
            match built {
                Ok(regex) => return Ok(Self { regex, weight }),
                Err(regex::Error::CompiledTooBig(_)) if within < limit => {
                    within <<= 2;
                    weight <<= 2;
                }
                Err(regex::Error::CompiledTooBig(limit)) => {
                    let message = format!("a regular expression of more than {limit} bytes");
                    return Err(Refusal::TooComplex(message));
                }
                Err(error) => {
                    return Err(Refusal::Malformed(format!("not a regular expression: {error}")));
                }
            }
        }
    }

    /// The expression to search `text` with, which is charged for.
    pub(crate) fn over(&self, text: &str, host: &Host<'_>) -> Result<&Regex, Fault> {
        host.meter.step(1 + self.weight * (text.len() as u64 / 4))?;
        Ok(&self.regex)
    }
}

// === impl Compiled ===

impl Deref for Compiled<'_> {
    type Target = Pattern;

    fn deref(&self) -> &Pattern {
        match self {
            Self::Literal(pattern) => pattern,
            Self::Dynamic(pattern) => pattern,
        }
    }
}

// === impl Host ===

impl<'h> Host<'h> {
    /// The pattern that an argument is: compiled with the policy if it is a literal whose position
    /// the overload declares as [`super::library::Literal::Pattern`], else compiled and charged for
    /// here. Search with what [`Pattern::over`] gives.
    pub(crate) fn pattern(&self, argument: &Value<'_>) -> Result<Compiled<'h>, Fault> {
        if let Some(pattern) = self.literal {
            return Ok(Compiled::Literal(pattern));
        }
        let Value::String(source) = argument else {
            let message = format!("a regular expression is a string, not {}", argument.type_of());
            return Err(EvaluationError::new(message).into());
        };
        if source.len() > MAX_DYNAMIC_LENGTH {
            let message = format!("a regular expression longer than {MAX_DYNAMIC_LENGTH} bytes");
            return Err(EvaluationError::new(message).into());
        }
        if let Some(known) = self.patterns.borrow().get(&**source) {
            return Ok(Compiled::Dynamic(known.clone()));
        }
        self.meter.step(STEPS_TO_COMPILE)?;
        let pattern = Pattern::compile(source, MAX_DYNAMIC_BYTES).map_err(|refusal| {
            EvaluationError::new(match refusal {
                Refusal::Malformed(message) | Refusal::TooComplex(message) => message,
                Refusal::Exhausted => "too many regular expressions".to_owned(),
            })
        })?;
        let pattern = Rc::new(pattern);
        let mut remembered = self.patterns.borrow_mut();
        if remembered.len() < MAX_REMEMBERED {
            remembered.insert((**source).into(), pattern.clone());
        }
        Ok(Compiled::Dynamic(pattern))
    }
}
