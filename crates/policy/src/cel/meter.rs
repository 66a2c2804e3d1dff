//! What an evaluation has used, and where it ends.
//!
//! Every evaluated node, every round of a loop and every unit of work in a function takes steps;
//! every value that is made takes bytes. An evaluation that has used up either ends at once, with
//! [`Fault::Exhausted`], which nothing in an expression can absorb.

use std::cell::{Cell, RefCell};

use jiff::Timestamp;

use super::EvaluationError;
use super::pattern::{Pattern, Remembered};

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// An error, as CEL has them: `&&`, `||` and the macros may absorb it.
    #[error(transparent)]
    Error(#[from] EvaluationError),
    /// The evaluation has used up what it may. Nothing absorbs it.
    #[error("{0}")]
    Exhausted(Exhausted),
}

/// What is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Exhausted {
    #[error("the evaluation takes more than {0} steps")]
    Steps(u64),
    #[error("the evaluation makes more than {0} bytes of values")]
    Bytes(u64),
}

/// How much an evaluation may use. One budget covers all expressions of one policy over one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) steps: u64,
    pub(crate) bytes: u64,
}

/// Counts what one evaluation uses.
#[derive(Debug)]
pub(crate) struct Meter {
    budget: Budget,
    steps: Cell<u64>,
    bytes: Cell<u64>,
}

/// What functions are given beside their arguments.
pub(crate) struct Host<'h> {
    pub(crate) meter: &'h Meter,
    /// The time of day, the same for a whole evaluation.
    pub(crate) now: &'h dyn Fn() -> Timestamp,
    /// The literal pattern of the call that is evaluated, if it has one.
    pub(super) literal: Option<&'h Pattern>,
    pub(super) patterns: &'h RefCell<Remembered>,
}

/// What a [`Host`] is made of, for one evaluation.
pub(crate) struct Resources<'h> {
    meter: Meter,
    now: &'h dyn Fn() -> Timestamp,
    patterns: RefCell<Remembered>,
}

// === impl Resources ===

impl<'h> Resources<'h> {
    pub(crate) fn new(budget: Budget, now: &'h dyn Fn() -> Timestamp) -> Self {
        Self { meter: Meter::new(budget), now, patterns: RefCell::default() }
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// What a function without a literal pattern is given.
    pub(crate) fn host(&self) -> Host<'_> {
        Host { meter: &self.meter, now: self.now, literal: None, patterns: &self.patterns }
    }
}

// === impl Meter ===

impl Meter {
    pub(crate) fn new(budget: Budget) -> Self {
        Self { budget, steps: Cell::new(0), bytes: Cell::new(0) }
    }

    /// The steps that were taken.
    pub(crate) fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// Takes steps. A function whose work grows with its input takes one for each 64 bytes or each
    /// element that it looks at.
    pub(crate) fn step(&self, steps: u64) -> Result<(), Fault> {
        let taken = self.steps.get().saturating_add(steps);
        self.steps.set(taken);
        if taken > self.budget.steps {
            return Err(Fault::Exhausted(Exhausted::Steps(self.budget.steps)));
        }
        Ok(())
    }

    /// Takes steps for looking at that many bytes of input.
    pub(crate) fn scan(&self, bytes: usize) -> Result<(), Fault> {
        self.step(1 + (bytes / 64) as u64)
    }

    /// Takes bytes: call it before making a value of that size.
    pub(crate) fn allocate(&self, bytes: usize) -> Result<(), Fault> {
        let taken = self.bytes.get().saturating_add(bytes as u64);
        self.bytes.set(taken);
        if taken > self.budget.bytes {
            return Err(Fault::Exhausted(Exhausted::Bytes(self.budget.bytes)));
        }
        Ok(())
    }
}
