//! The functions that expressions can call: declared once, with their types for the checker and
//! their code for the evaluator.
//!
//! A library is a function that adds its [`Overload`]s to a [`Library`]. The checker chooses among
//! the overloads of a name by the types that it knows; where they are dyn, the evaluator chooses
//! among those left by the values that come.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::lookup::Sight;
use super::meter::{Fault, Host};
use super::types::Type;
use super::value::Value;

mod arguments;
mod extensions;
mod kubernetes;
mod kyverno;
mod standard;
#[cfg(test)]
mod tests;

pub(super) use extensions::sort_by_keys;
pub(crate) use standard::{AT, OPTIONAL_AT, equal, parse_duration, parse_timestamp};

static SHARED: LazyLock<Library> = LazyLock::new(Library::without_lookups);
static OF_CLUSTER: LazyLock<Library> = LazyLock::new(|| {
    let mut library = Library::without_lookups();
    kyverno::declare_for_cluster(&mut library);
    library
});
static OF_NAMESPACE: LazyLock<Library> = LazyLock::new(|| {
    let mut library = Library::without_lookups();
    kyverno::declare_for_namespace(&mut library);
    library
});

/// The code of an overload. The number of arguments is what was declared, the receiver first; their
/// types are what was declared, except below what is dyn. Work and memory that grow with the input
/// are charged to the host's meter before they are spent.
pub(crate) type Call = for<'a> fn(&Host<'_>, &[Value<'a>]) -> Result<Value<'a>, Fault>;

/// The code of an overload that looks something up: as [`Call`], but what it gives is a view of what
/// the policy sees.
pub(crate) type LookUp = for<'a> fn(&'a Sight, &Host<'_>, &[Value<'_>]) -> Result<Value<'a>, Fault>;

/// All functions, type names and constants.
#[derive(Default)]
pub(crate) struct Library {
    functions: HashMap<&'static str, Vec<Overload>>,
    types: HashMap<&'static str, Type>,
}

/// One way to call a function.
#[derive(Debug)]
pub(crate) struct Overload {
    pub(crate) style: Style,
    /// The types of the arguments, the receiver's first.
    pub(crate) parameters: Vec<Type>,
    pub(crate) result: Type,
    pub(crate) code: Code,
    /// What a literal string among the arguments must be, checked when the policy is compiled.
    pub(crate) literal: Option<Literal>,
}

/// What an overload runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Code {
    Call(Call),
    LookUp(LookUp),
}

/// How a function is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// As `name(a, b)`; the name may have dots.
    Global,
    /// As `a.name(b)`.
    Member,
}

/// What a literal string must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Literal {
    /// A regular expression at this position among the arguments. It is compiled with the policy, and
    /// [`Host`] hands it out again.
    Pattern(usize),
}

// === impl Library ===

impl Library {
    /// All that needs nothing from outside: the standard library and cel-go's extensions of it, what
    /// Kubernetes adds, and what Kyverno adds.
    pub(crate) fn shared() -> &'static Self {
        &SHARED
    }

    /// And what a policy of the whole cluster can look up.
    pub(crate) fn of_cluster() -> &'static Self {
        &OF_CLUSTER
    }

    /// And what a policy of one namespace can look up.
    pub(crate) fn of_namespace() -> &'static Self {
        &OF_NAMESPACE
    }

    fn without_lookups() -> Self {
        let mut library = Self::default();
        standard::declare(&mut library);
        extensions::declare(&mut library);
        kubernetes::declare(&mut library);
        kyverno::declare(&mut library);
        library
    }

    /// Declares a function called as `name(...)`.
    pub(crate) fn global(
        &mut self,
        name: &'static str,
        parameters: impl Into<Vec<Type>>,
        result: Type,
        call: Call,
    ) -> &mut Overload {
        self.overload(name, Style::Global, parameters.into(), result, Code::Call(call))
    }

    /// Declares a function called as `value.name(...)`; the first parameter is the receiver.
    pub(crate) fn member(
        &mut self,
        name: &'static str,
        parameters: impl Into<Vec<Type>>,
        result: Type,
        call: Call,
    ) -> &mut Overload {
        self.overload(name, Style::Member, parameters.into(), result, Code::Call(call))
    }

    /// Declares a function called as `name(...)` that looks something up.
    fn look_up(
        &mut self,
        name: &'static str,
        parameters: impl Into<Vec<Type>>,
        result: Type,
        look_up: LookUp,
    ) {
        let code = Code::LookUp(look_up);
        self.overload(name, Style::Global, parameters.into(), result, code);
    }

    fn overload(
        &mut self,
        name: &'static str,
        style: Style,
        parameters: Vec<Type>,
        result: Type,
        code: Code,
    ) -> &mut Overload {
        let overloads = self.functions.entry(name).or_default();
        overloads.push(Overload { style, parameters, result, code, literal: None });
        overloads.last_mut().expect("one was pushed")
    }

    /// Declares the name of a type, which is a value in CEL.
    pub(crate) fn type_name(&mut self, name: &'static str, type_: Type) {
        self.types.insert(name, type_);
    }

    /// Every way to call a function of that name.
    pub(crate) fn overloads(&self, name: &str) -> &[Overload] {
        self.functions.get(name).map_or(&[], Vec::as_slice)
    }

    /// Every name, with every way to call it.
    #[cfg(test)]
    pub(super) fn functions(&self) -> impl Iterator<Item = (&'static str, &[Overload])> {
        let mut functions: Vec<_> =
            self.functions.iter().map(|(name, overloads)| (*name, overloads.as_slice())).collect();
        functions.sort_unstable_by_key(|(name, _)| *name);
        functions
            .into_iter()
            .filter(|(name, _)| name.starts_with(|c: char| c.is_ascii_alphabetic()))
    }

    /// The type of that name.
    pub(crate) fn named_type(&self, name: &str) -> Option<&Type> {
        self.types.get(name)
    }
}
