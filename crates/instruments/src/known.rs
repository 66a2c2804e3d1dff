//! The series of reviews and rules, found once and kept: looking attributes up costs ten times what
//! a record does.
//!
//! Enter by [`Known::subject`], once for each review, and [`KnownSubject::rule`]. Nothing waits here:
//! where a table is being written, or full, the caller records by its attributes, which is always
//! right and only slower. [`Known::forget`] empties all, so that what is gone makes room.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use hashbrown::{Equivalent, HashMap};
use opentelemetry::KeyValue;
use opentelemetry::trace::SpanContext;
use pharos_telemetry::{Counter, CounterSeries, Histogram, HistogramSeries};

use crate::facts::{
    BackgroundMode, ExecutionCause, PolicyFacts, PolicyKind, PolicyResult, RuleFacts,
    ValidationMode,
};

/// How many subjects are known at once.
const SUBJECTS: usize = 2048;
/// How many rules are, over all subjects.
const RULES: usize = 16_384;

/// Every subject that there was, and its series.
#[derive(Debug, Default)]
pub(crate) struct Known {
    subjects: RwLock<HashMap<SubjectKey, Arc<KnownSubject>>>,
    rules: Arc<AtomicUsize>,
}

/// A kind of resource in a namespace, and what is done to it.
#[derive(Debug)]
pub(crate) struct KnownSubject {
    pub(crate) cause: ExecutionCause,
    pub(crate) is_dry_run: bool,
    pub(crate) kind: Arc<str>,
    pub(crate) namespace: Option<Arc<str>>,
    /// By whether it was allowed and which kind of webhook was called.
    pub(crate) reviews: [[OnceLock<Measured>; 2]; 2],
    rules: RwLock<HashMap<RuleKey, Measured>>,
    /// How many rules all subjects together have.
    all_rules: Arc<AtomicUsize>,
}

/// A series that is counted and timed.
#[derive(Debug)]
pub(crate) struct Measured {
    count: CounterSeries,
    duration: HistogramSeries,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SubjectKey {
    cause: ExecutionCause,
    is_dry_run: bool,
    kind: Arc<str>,
    namespace: Option<Arc<str>>,
}

/// The same, of texts that are somebody else's. It has the same hash.
#[derive(Clone, Copy, Hash)]
struct SubjectQuery<'a> {
    cause: ExecutionCause,
    is_dry_run: bool,
    kind: &'a str,
    namespace: Option<&'a str>,
}

#[derive(Debug)]
struct RuleKey {
    kind: PolicyKind,
    namespace: Option<Box<str>>,
    name: Box<str>,
    validation_mode: ValidationMode,
    background_mode: BackgroundMode,
    rule: Box<str>,
    result: PolicyResult,
}

/// The same, of texts that are somebody else's.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct RuleQuery<'a> {
    kind: PolicyKind,
    namespace: Option<&'a str>,
    name: &'a str,
    validation_mode: ValidationMode,
    background_mode: BackgroundMode,
    rule: &'a str,
    result: PolicyResult,
}

// === impl Known ===

impl Known {
    /// This subject: the one that is known, or a new one.
    pub(crate) fn subject(
        &self,
        cause: ExecutionCause,
        is_dry_run: bool,
        kind: &str,
        namespace: Option<&str>,
    ) -> Arc<KnownSubject> {
        let query = SubjectQuery { cause, is_dry_run, kind, namespace };
        if let Ok(subjects) = self.subjects.try_read()
            && let Some(known) = subjects.get(&query)
        {
            return Arc::clone(known);
        }
        let subject = Arc::new(KnownSubject::new(cause, is_dry_run, kind, namespace, &self.rules));
        if let Ok(mut subjects) = self.subjects.try_write()
            && subjects.len() < SUBJECTS
        {
            let KnownSubject { kind, namespace, .. } = &*subject;
            let (kind, namespace) = (Arc::clone(kind), namespace.clone());
            let key = SubjectKey { cause, is_dry_run, kind, namespace };
            return Arc::clone(subjects.entry(key).or_insert(subject));
        }
        subject
    }

    /// Empties everything.
    pub(crate) fn forget(&self) {
        self.subjects.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

// === impl KnownSubject ===

impl KnownSubject {
    pub(crate) fn new(
        cause: ExecutionCause,
        is_dry_run: bool,
        kind: &str,
        namespace: Option<&str>,
        all_rules: &Arc<AtomicUsize>,
    ) -> Self {
        Self {
            cause,
            is_dry_run,
            kind: kind.into(),
            namespace: namespace.map(Into::into),
            reviews: Default::default(),
            rules: RwLock::default(),
            all_rules: Arc::clone(all_rules),
        }
    }

    /// Records what a rule said; `make` its series if it is a new one. Whether it was recorded.
    pub(crate) fn rule(
        &self,
        facts: &RuleFacts<'_>,
        span: Option<&SpanContext>,
        make: impl FnOnce() -> Measured,
    ) -> bool {
        let query = RuleQuery::of(facts);
        let seconds = facts.duration.as_secs_f64();
        let Ok(rules) = self.rules.try_read() else { return false };
        if let Some(known) = rules.get(&query) {
            known.record(seconds, span);
            return true;
        }
        drop(rules);
        if self.all_rules.load(Ordering::Relaxed) >= RULES {
            return false;
        }
        let Ok(mut rules) = self.rules.try_write() else { return false };
        let known = rules.entry(query.into()).or_insert_with(|| {
            self.all_rules.fetch_add(1, Ordering::Relaxed);
            make()
        });
        known.record(seconds, span);
        true
    }
}

impl Drop for KnownSubject {
    fn drop(&mut self) {
        let rules = self.rules.get_mut().unwrap_or_else(PoisonError::into_inner).len();
        self.all_rules.fetch_sub(rules, Ordering::Relaxed);
    }
}

// === impl Measured ===

impl Measured {
    pub(crate) fn new(count: &Counter, duration: &Histogram, attributes: &[KeyValue]) -> Self {
        let attributes = attributes.into();
        Self { count: count.series(&attributes), duration: duration.series(&attributes) }
    }

    pub(crate) fn record(&self, seconds: f64, span: Option<&SpanContext>) {
        self.count.add(1, span);
        self.duration.record(seconds, span);
    }
}

// === impl SubjectQuery ===

impl Equivalent<SubjectKey> for SubjectQuery<'_> {
    fn equivalent(&self, key: &SubjectKey) -> bool {
        self.cause == key.cause
            && self.is_dry_run == key.is_dry_run
            && self.kind == &*key.kind
            && self.namespace == key.namespace.as_deref()
    }
}

// === impl RuleKey ===

impl RuleKey {
    fn query(&self) -> RuleQuery<'_> {
        RuleQuery {
            kind: self.kind,
            namespace: self.namespace.as_deref(),
            name: &self.name,
            validation_mode: self.validation_mode,
            background_mode: self.background_mode,
            rule: &self.rule,
            result: self.result,
        }
    }
}

impl PartialEq for RuleKey {
    fn eq(&self, other: &Self) -> bool {
        self.query() == other.query()
    }
}

impl Eq for RuleKey {}

impl Hash for RuleKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.query().hash(state);
    }
}

// === impl RuleQuery ===

impl<'a> RuleQuery<'a> {
    fn of(facts: &RuleFacts<'a>) -> Self {
        let PolicyFacts { kind, namespace, name, validation_mode, background_mode } = facts.policy;
        let RuleFacts { rule, result, .. } = *facts;
        Self { kind, namespace, name, validation_mode, background_mode, rule, result }
    }
}

impl Equivalent<RuleKey> for RuleQuery<'_> {
    fn equivalent(&self, key: &RuleKey) -> bool {
        *self == key.query()
    }
}

impl From<RuleQuery<'_>> for RuleKey {
    fn from(query: RuleQuery<'_>) -> Self {
        Self {
            kind: query.kind,
            namespace: query.namespace.map(Into::into),
            name: query.name.into(),
            validation_mode: query.validation_mode,
            background_mode: query.background_mode,
            rule: query.rule.into(),
            result: query.result,
        }
    }
}
