//! What an evaluation has used, and where it ends.
//!
//! Every evaluated node, every round of a loop and every unit of work in a function takes steps;
//! every value that is made takes bytes. An evaluation that has used up either ends at once, with
//! [`Fault::Exhausted`], which nothing in an expression can absorb. The rules that judge one request
//! share an [`Allowance`], so that a request ends however many they are.

use std::cell::{Cell, RefCell};

use jiff::Timestamp;

use super::EvaluationError;
use super::pattern::{Pattern, Remembered};

/// What all expressions of one rule may use over one request. A step is a node, a round of a loop,
/// or a bit of a function's work, some tens of nanoseconds; so this is a fraction of a second.
const RULE: Budget = Budget { steps: 5_000_000, bytes: 64 << 20 };
/// What the rules that judge a request may use together: about a second, and far less than the
/// timeout of a webhook. Honest policies use some hundreds of steps each.
const REQUEST: Budget = Budget { steps: 4 * RULE.steps, bytes: 4 * RULE.bytes };

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
    #[error("the evaluation takes more than {_0} steps{}", left(*_0, RULE.steps))]
    Steps(u64),
    #[error("the evaluation makes more than {_0} bytes of values{}", left(*_0, RULE.bytes))]
    Bytes(u64),
}

/// Why a rule may use less than others.
fn left(budget: u64, whole: u64) -> &'static str {
    if budget < whole { ", which is all that the policies before it have left" } else { "" }
}

/// How much an evaluation may use. One budget covers all expressions of one rule over one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) steps: u64,
    pub(crate) bytes: u64,
}

/// What rules may use over one request: each of them, and all together. A rule that comes when nothing
/// is left cannot be evaluated.
#[derive(Debug)]
pub(crate) struct Allowance {
    each: Budget,
    left: Cell<Budget>,
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
    allowance: &'h Allowance,
    now: &'h dyn Fn() -> Timestamp,
    patterns: RefCell<Remembered>,
}

// === impl Resources ===

impl<'h> Resources<'h> {
    pub(crate) fn new(allowance: &'h Allowance, now: &'h dyn Fn() -> Timestamp) -> Self {
        let meter = Meter::new(allowance.budget());
        Self { meter, allowance, now, patterns: RefCell::default() }
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// What a function without a literal pattern is given.
    pub(crate) fn host(&self) -> Host<'_> {
        Host { meter: &self.meter, now: self.now, literal: None, patterns: &self.patterns }
    }
}

/// What was used is used up, however the evaluation ended.
impl Drop for Resources<'_> {
    fn drop(&mut self) {
        self.allowance.spend(&self.meter);
    }
}

// === impl Allowance ===

impl Allowance {
    /// For the rules that judge one request.
    pub(crate) fn of_request() -> Self {
        Self { each: RULE, left: Cell::new(REQUEST) }
    }

    /// For one evaluation within that budget.
    #[cfg(test)]
    pub(crate) fn of(budget: Budget) -> Self {
        Self { each: budget, left: Cell::new(budget) }
    }

    /// What the next rule may use.
    fn budget(&self) -> Budget {
        let (each, left) = (self.each, self.left.get());
        Budget { steps: each.steps.min(left.steps), bytes: each.bytes.min(left.bytes) }
    }

    fn spend(&self, meter: &Meter) {
        let left = self.left.get();
        self.left.set(Budget {
            steps: left.steps.saturating_sub(meter.steps.get()),
            bytes: left.bytes.saturating_sub(meter.bytes.get()),
        });
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

    /// The bytes that were taken.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Takes steps. A function whose work grows with its input takes one for each 64 bytes or each
    /// element that it looks at.
    pub(crate) fn step(&self, steps: u64) -> Result<(), Fault> {
        let (taken, may) = (self.steps.get().saturating_add(steps), self.budget.steps);
        self.steps.set(taken.min(may));
        if taken > may { Err(Fault::Exhausted(Exhausted::Steps(may))) } else { Ok(()) }
    }

    /// Takes steps for looking at that many bytes of input.
    pub(crate) fn scan(&self, bytes: usize) -> Result<(), Fault> {
        self.step(1 + (bytes / 64) as u64)
    }

    /// Takes bytes: call it before making a value of that size.
    pub(crate) fn allocate(&self, bytes: usize) -> Result<(), Fault> {
        let (taken, may) = (self.bytes.get().saturating_add(bytes as u64), self.budget.bytes);
        self.bytes.set(taken.min(may));
        if taken > may { Err(Fault::Exhausted(Exhausted::Bytes(may))) } else { Ok(()) }
    }
}
