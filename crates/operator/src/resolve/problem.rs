//! What can be wrong with an object, and of which condition it is a reason.

use std::fmt;

use pharos_api::condition::{AcceptedReason, ResolvedRefsReason};
use pharos_cluster::references::DataObject;

/// The longest message about problems, in bytes: a quarter of what a condition takes.
const LONGEST_SUMMARY: usize = 8192;

/// Why an object cannot be programmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The path of the field, such as `spec.exporters[gateway].otlp.endpoint`.
    pub field: String,
    /// What kind of problem.
    pub kind: ProblemKind,
    /// The Secret or ConfigMap that it is about, if any.
    pub object: Option<DataObject>,
    /// What is wrong and what to do; stable, and without a byte of any Secret.
    pub message: String,
}

/// The kind of a problem; the order is the order of their weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProblemKind {
    /// The value makes no sense.
    Invalid,
    /// The value makes sense, and this version cannot do it.
    UnsupportedValue,
    /// The value is right, and what it refers to is not.
    Reference(ReferenceProblem),
}

/// What is wrong with something that is referred to; the order is the order of their weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReferenceProblem {
    /// Pharos may not read it.
    NotPermitted,
    /// There is no such Secret.
    SecretNotFound,
    /// The Secret has no such key.
    SecretKeyMissing,
    /// There is no such ConfigMap, or it has no such key.
    ConfigMapNotFound,
    /// A certificate or key cannot be used.
    InvalidCertificate,
    /// A private key belongs to another certificate.
    KeyPairMismatch,
    /// A certificate has expired.
    CertificateExpired,
    /// A value has bytes that no header may have.
    InvalidHeaderValue,
    /// It was not read yet: time alone may mend it.
    Pending,
}

/// Every problem of an object; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

/// Collects problems under field paths.
#[derive(Default)]
pub(super) struct Findings(Vec<Problem>);

// === impl Problem ===

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.field, self.message)
    }
}

// === impl ProblemKind ===

impl ProblemKind {
    fn is_of_spec(self) -> bool {
        !matches!(self, Self::Reference(_))
    }
}

// === impl ReferenceProblem ===

impl ReferenceProblem {
    /// The reason of the condition ResolvedRefs.
    pub fn reason(self) -> ResolvedRefsReason {
        match self {
            Self::NotPermitted => ResolvedRefsReason::RefNotPermitted,
            Self::SecretNotFound => ResolvedRefsReason::SecretNotFound,
            Self::SecretKeyMissing => ResolvedRefsReason::SecretKeyMissing,
            Self::ConfigMapNotFound => ResolvedRefsReason::ConfigMapNotFound,
            Self::InvalidCertificate => ResolvedRefsReason::InvalidCertificate,
            Self::KeyPairMismatch => ResolvedRefsReason::KeyPairMismatch,
            Self::CertificateExpired => ResolvedRefsReason::CertificateExpired,
            Self::InvalidHeaderValue => ResolvedRefsReason::InvalidHeaderValue,
            Self::Pending => ResolvedRefsReason::Pending,
        }
    }
}

// === impl Problems ===

impl Problems {
    /// The problem of an object that cannot be decoded.
    pub fn undecodable(error: &str) -> Self {
        Self(vec![Problem {
            field: "spec".to_owned(),
            kind: ProblemKind::Invalid,
            object: None,
            message: format!("cannot be decoded: {error}"),
        }])
    }

    /// The problems one by one.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// The problems of the spec by itself, which keep the object from being accepted.
    pub fn of_spec(&self) -> Option<Self> {
        self.only(ProblemKind::is_of_spec)
    }

    /// The problems of what it refers to, which keep its references from being resolved.
    pub fn of_references(&self) -> Option<Self> {
        self.only(|kind| !kind.is_of_spec())
    }

    fn only(&self, wanted: impl Fn(ProblemKind) -> bool) -> Option<Self> {
        let found: Vec<_> = self.iter().filter(|it| wanted(it.kind)).cloned().collect();
        (!found.is_empty()).then_some(Self(found))
    }

    /// Whether all that is missing is an answer of the API server.
    pub fn will_pass(&self) -> bool {
        self.iter().all(|it| it.kind == ProblemKind::Reference(ReferenceProblem::Pending))
    }

    /// All problems in one message, or as many as fit: an object may have thousands.
    pub fn summary(&self) -> String {
        let whole = self.to_string();
        if whole.len() <= LONGEST_SUMMARY {
            return whole;
        }
        let shown = whole.floor_char_boundary(LONGEST_SUMMARY);
        format!("{}... ({} problems)", &whole[..shown], self.0.len())
    }

    /// The reason of `Accepted=False`: that of the gravest problem of the spec.
    pub fn accepted_reason(&self) -> Option<AcceptedReason> {
        match self.gravest()? {
            ProblemKind::Invalid => Some(AcceptedReason::Invalid),
            ProblemKind::UnsupportedValue => Some(AcceptedReason::UnsupportedValue),
            ProblemKind::Reference(_) => None,
        }
    }

    /// The reason of `ResolvedRefs`: that of the gravest problem of a reference.
    pub fn references_reason(&self) -> Option<ResolvedRefsReason> {
        match self.of_references()?.gravest()? {
            ProblemKind::Reference(problem) => Some(problem.reason()),
            ProblemKind::Invalid | ProblemKind::UnsupportedValue => None,
        }
    }

    fn gravest(&self) -> Option<ProblemKind> {
        self.iter().map(|problem| problem.kind).min()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(formatter, "{separator}{problem}")?;
        }
        Ok(())
    }
}

// === impl Findings ===

impl Findings {
    pub(super) fn invalid(&mut self, field: impl Into<String>, message: impl fmt::Display) {
        let (field, message) = (field.into(), message.to_string());
        self.0.push(Problem { field, kind: ProblemKind::Invalid, object: None, message });
    }

    pub(super) fn unsupported(&mut self, field: impl Into<String>, message: impl fmt::Display) {
        let (field, message) = (field.into(), message.to_string());
        self.0.push(Problem { field, kind: ProblemKind::UnsupportedValue, object: None, message });
    }

    pub(super) fn reference(
        &mut self,
        field: &str,
        problem: ReferenceProblem,
        object: &DataObject,
        message: String,
    ) {
        let (field, kind) = (field.to_owned(), ProblemKind::Reference(problem));
        self.0.push(Problem { field, kind, object: Some(object.clone()), message });
    }

    /// What was built, if nothing was found.
    pub(super) fn or<T>(self, built: T) -> Result<T, Problems> {
        if self.0.is_empty() { Ok(built) } else { Err(Problems(self.0)) }
    }
}
