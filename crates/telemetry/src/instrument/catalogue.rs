//! What a program declares before it starts its pipeline.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::generation::Generation;
use crate::own::Own;

use super::{
    Asked, Counter, Declaration, Gauge, Histogram, InstrumentKind, Observer, UpDownCounter,
};

/// What a bit mask has room for.
const KEYS: usize = 64;
/// OpenTelemetry's limits.
const NAME_LENGTH: usize = 255;
const UNIT_LENGTH: usize = 63;

/// Where handles find the generation to record into: nowhere before the pipeline starts.
pub(crate) type Slot = Arc<ArcSwapOption<Generation>>;

/// Every instrument that a program declares. It makes the handles to record with; starting a
/// [`Pipeline`](crate::Pipeline) with it brings them to life.
///
/// Declaring something twice gives two handles to one instrument. What cannot be declared gets a
/// handle all the same, and `Pipeline::start` says what is wrong.
///
/// ```
/// use opentelemetry::KeyValue;
/// use pharos_telemetry::{Catalogue, Declaration, InstrumentKind};
///
/// static ORDERS: Declaration = Declaration {
///     scope: "shop",
///     name: "orders",
///     kind: InstrumentKind::Counter,
///     unit: "",
///     description: "Orders taken.",
///     attributes: &["kind"],
///     boundaries: &[],
/// };
///
/// let mut catalogue = Catalogue::new();
/// let orders = catalogue.counter(&ORDERS);
/// orders.add(1, &[KeyValue::new("kind", "book")]);
/// ```
#[derive(Debug, Default)]
pub struct Catalogue {
    slot: Slot,
    declared: Vec<Declared>,
    problem: Option<DeclarationError>,
    own: Option<Own>,
}

/// One instrument of a catalogue.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) declaration: &'static Declaration,
    /// What is asked when totals are read; none for what is recorded.
    pub(crate) callbacks: Vec<Callback>,
}

/// What an observable instrument is read with.
#[derive(Clone)]
pub(crate) enum Callback {
    Counter(Asked<u64>),
    UpDownCounter(Asked<i64>),
    Gauge(Asked<f64>),
}

/// Why a declaration is none. A mistake in the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeclarationError {
    /// OpenTelemetry has rules for names and units.
    #[error("instrument {0:?}: the name or the unit is not one of OpenTelemetry's")]
    Name(&'static str),
    /// Names are compared without regard to case within a scope.
    #[error("instrument {0:?}: declared twice, differently")]
    Conflict(&'static str),
    /// Asked for as another kind than it is declared as.
    #[error("instrument {0:?}: used as another kind than declared")]
    Kind(&'static str),
    /// More than 64 keys, or one of them twice.
    #[error("instrument {0:?}: more than 64 attributes, or one of them twice")]
    Attributes(&'static str),
    /// They do not rise, are not finite, or belong to no histogram.
    #[error("instrument {0:?}: boundaries must be finite and rise, and are for histograms")]
    Boundaries(&'static str),
}

// === impl Catalogue ===

impl Catalogue {
    /// Nothing is declared yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares what the pipeline counts about itself, too: [`own`](crate::own).
    pub fn observe_pipeline(&mut self) {
        if self.own.is_none() {
            self.own = Some(Own::declare(self));
        }
    }

    /// What the pipeline counts about itself, if it does.
    pub(crate) fn own(&self) -> Option<Own> {
        self.own.clone()
    }

    /// Declares something that is counted, in whole numbers.
    pub fn counter(&mut self, declaration: &'static Declaration) -> Counter {
        let index = self.declare(declaration, InstrumentKind::Counter, None);
        Counter::new(&self.slot, index)
    }

    /// Declares something that is counted up and down, in whole numbers.
    pub fn up_down_counter(&mut self, declaration: &'static Declaration) -> UpDownCounter {
        let index = self.declare(declaration, InstrumentKind::UpDownCounter, None);
        UpDownCounter::new(&self.slot, index)
    }

    /// Declares something whose values are distributed over buckets.
    pub fn histogram(&mut self, declaration: &'static Declaration) -> Histogram {
        let index = self.declare(declaration, InstrumentKind::Histogram, None);
        Histogram::new(&self.slot, index)
    }

    /// Declares something of which the last value counts.
    pub fn gauge(&mut self, declaration: &'static Declaration) -> Gauge {
        let index = self.declare(declaration, InstrumentKind::Gauge, None);
        Gauge::new(&self.slot, index)
    }

    /// Declares a counter that is read when totals are, by `callback`: absolute numbers, counted
    /// since the process started.
    ///
    /// A callback is called on whatever thread reads the totals, and must not wait. One that
    /// panics has observed what it observed before; the next reading calls it again.
    pub fn observable_counter(
        &mut self,
        declaration: &'static Declaration,
        callback: impl Fn(&Observer<'_, u64>) + Send + Sync + 'static,
    ) {
        let callback = Callback::Counter(Arc::new(callback));
        self.declare(declaration, InstrumentKind::ObservableCounter, Some(callback));
    }

    /// Declares an up-down counter that is read when totals are; see
    /// [`observable_counter`](Self::observable_counter).
    pub fn observable_up_down_counter(
        &mut self,
        declaration: &'static Declaration,
        callback: impl Fn(&Observer<'_, i64>) + Send + Sync + 'static,
    ) {
        let callback = Callback::UpDownCounter(Arc::new(callback));
        self.declare(declaration, InstrumentKind::ObservableUpDownCounter, Some(callback));
    }

    /// Declares a gauge that is read when totals are; see
    /// [`observable_counter`](Self::observable_counter).
    pub fn observable_gauge(
        &mut self,
        declaration: &'static Declaration,
        callback: impl Fn(&Observer<'_, f64>) + Send + Sync + 'static,
    ) {
        let callback = Callback::Gauge(Arc::new(callback));
        self.declare(declaration, InstrumentKind::ObservableGauge, Some(callback));
    }

    /// What was declared, and where to put the first generation of it.
    pub(crate) fn finish(self) -> Result<(Slot, Arc<[Declared]>), DeclarationError> {
        match self.problem {
            None => Ok((self.slot, self.declared.into())),
            Some(problem) => Err(problem),
        }
    }

    /// The index of the declaration, of any if there is a problem.
    fn declare(
        &mut self,
        declaration: &'static Declaration,
        kind: InstrumentKind,
        callback: Option<Callback>,
    ) -> usize {
        let name = declaration.name;
        let problem = if declaration.kind == kind {
            check(declaration).err()
        } else {
            Some(DeclarationError::Kind(name))
        };
        let known = self.declared.iter().position(|it| same_stream(it.declaration, declaration));
        let index = known.unwrap_or_else(|| {
            self.declared.push(Declared { declaration, callbacks: Vec::new() });
            self.declared.len() - 1
        });
        self.declared[index].callbacks.extend(callback);
        let conflict = *self.declared[index].declaration != *declaration;
        let problem = problem.or_else(|| conflict.then_some(DeclarationError::Conflict(name)));
        self.problem = self.problem.or(problem);
        index
    }
}

fn same_stream(one: &Declaration, other: &Declaration) -> bool {
    one.scope == other.scope && one.name.eq_ignore_ascii_case(other.name)
}

fn check(declaration: &Declaration) -> Result<(), DeclarationError> {
    let Declaration { scope: _, name, kind, unit, description: _, attributes, boundaries } =
        *declaration;
    let valid = |character: char| character.is_ascii_alphanumeric() || "_.-/".contains(character);
    let named = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.len() <= NAME_LENGTH
        && name.chars().all(valid);
    if !named || !unit.is_ascii() || unit.len() > UNIT_LENGTH {
        return Err(DeclarationError::Name(name));
    }
    let twice = |(index, key)| attributes[..index].contains(key);
    if attributes.len() > KEYS || attributes.iter().enumerate().any(twice) {
        return Err(DeclarationError::Attributes(name));
    }
    let rising = boundaries.windows(2).all(|pair| pair[0] < pair[1]);
    let finite = boundaries.iter().all(|boundary| boundary.is_finite());
    let misplaced = kind != InstrumentKind::Histogram && !boundaries.is_empty();
    if !rising || !finite || misplaced {
        return Err(DeclarationError::Boundaries(name));
    }
    Ok(())
}

// === impl Callback ===

impl fmt::Debug for Callback {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Callback")
    }
}

// === impl DeclarationError ===

impl DeclarationError {
    /// The kind of the error, from a closed set.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Name(_) => "Name",
            Self::Conflict(_) => "Conflict",
            Self::Kind(_) => "Kind",
            Self::Attributes(_) => "Attributes",
            Self::Boundaries(_) => "Boundaries",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTER: Declaration = Declaration {
        scope: "test",
        name: "requests",
        kind: InstrumentKind::Counter,
        unit: "",
        description: "",
        attributes: &["a", "b"],
        boundaries: &[],
    };

    fn problem(declare: impl FnOnce(&mut Catalogue)) -> Option<DeclarationError> {
        let mut catalogue = Catalogue::new();
        declare(&mut catalogue);
        catalogue.finish().err()
    }

    #[test]
    fn declaring_the_same_twice_gives_one_instrument() {
        static ONE: Declaration = COUNTER;
        static SAME: Declaration = COUNTER;
        let mut catalogue = Catalogue::new();
        catalogue.counter(&ONE);
        catalogue.counter(&SAME);
        assert_eq!(catalogue.finish().unwrap().1.len(), 1);
    }

    #[test]
    fn a_mistake_in_a_declaration_is_told_when_the_pipeline_starts() {
        static ONE: Declaration = COUNTER;
        static OTHER: Declaration = Declaration { name: "Requests", unit: "s", ..COUNTER };
        let both = problem(|it| _ = (it.counter(&ONE), it.counter(&OTHER)));
        assert_eq!(both, Some(DeclarationError::Conflict("Requests")));
        assert_eq!(problem(|it| _ = it.gauge(&ONE)), Some(DeclarationError::Kind("requests")));
        static UNNAMED: Declaration = Declaration { name: "", ..COUNTER };
        assert_eq!(problem(|it| _ = it.counter(&UNNAMED)), Some(DeclarationError::Name("")));
        static TWICE: Declaration = Declaration { attributes: &["a", "a"], ..COUNTER };
        let twice = problem(|it| _ = it.counter(&TWICE));
        assert_eq!(twice, Some(DeclarationError::Attributes("requests")));
        static MANY: Declaration = Declaration { attributes: &["a"; 65], ..COUNTER };
        let many = problem(|it| _ = it.counter(&MANY));
        assert_eq!(many, Some(DeclarationError::Attributes("requests")));
        static FALLING: Declaration =
            Declaration { kind: InstrumentKind::Histogram, boundaries: &[2.0, 1.0], ..COUNTER };
        let falling = problem(|it| _ = it.histogram(&FALLING));
        assert_eq!(falling, Some(DeclarationError::Boundaries("requests")));
    }

    #[test]
    fn what_is_recorded_before_the_start_goes_nowhere_and_harms_nobody() {
        static ONE: Declaration = COUNTER;
        let counter = Catalogue::new().counter(&ONE);
        counter.add(1, &[]);
    }
}
