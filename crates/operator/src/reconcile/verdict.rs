//! What a target is worth, given what was read of its references and what is in force. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use pharos_api::telemetryconfig::TelemetryConfigSpec;
use pharos_cluster::references::References;
use pharos_telemetry::config::MetricShape;

use super::candidate::{Candidate, Identity, Source};
use crate::report::{ReferencesReport, SpecReport};
use crate::resolve::{
    Problems, Resolved, ViewRemark, judge_views, resolve, resolve_keeping, scraped_views,
};

/// What is to be done about an object, and what is to be said about it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    /// What is wrong with the spec, or odd, or nothing.
    pub(super) spec: SpecReport,
    /// What is wrong with the references, or nothing.
    pub(super) references: ReferencesReport,
    pub(super) outcome: Outcome,
}

/// What is to be done about an object.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// Put this in force.
    Run(Box<Candidate>),
    /// This generation is in force, and something that it refers to went bad: see [`follow`].
    Keep,
    /// Answers of the API server are missing.
    Wait,
    /// It cannot be programmed; why.
    Refuse(String),
}

/// What a verdict depends on beside the object.
pub(super) struct Facts<'a> {
    /// What was read of everything that is wanted.
    pub(super) references: &'a References,
    /// What the pipeline, which knows the instruments, has to say about views.
    pub(super) inspect: &'a dyn Fn(&MetricShape) -> Vec<ViewRemark>,
    pub(super) now: Timestamp,
}

/// Judges one generation of an object. `in_force` is what runs now.
pub(super) fn judge(
    identity: Identity<'_>,
    spec: &Result<Arc<TelemetryConfigSpec>, String>,
    in_force: Option<&Source>,
    facts: &Facts<'_>,
) -> Verdict {
    let resolved = match spec {
        Ok(spec) => resolved(spec, facts).map(|(resolved, odd)| (spec, resolved, odd)),
        Err(error) => Err(Problems::undecodable(error)),
    };
    let keeps = || {
        let same = |it: &Source| it.is_of(identity.uid, identity.generation);
        spec.is_ok() && in_force.is_some_and(same)
    };
    match resolved {
        Ok((spec, resolved, odd)) => Verdict {
            spec: SpecReport::accepted(odd),
            references: ReferencesReport::resolved(&resolved.expiry),
            outcome: Outcome::Run(Box::new(Candidate::of(
                identity,
                spec,
                facts.references,
                resolved,
            ))),
        },
        Err(problems) => {
            let references = ReferencesReport::of(&problems);
            let (references, outcome) = if keeps() {
                (references.staying(), Outcome::Keep)
            } else if problems.will_pass() {
                (references, Outcome::Wait)
            } else {
                (references, Outcome::Refuse(problems.summary()))
            };
            Verdict { spec: SpecReport::of(&problems), references, outcome }
        }
    }
}

/// What `source`, which is in force, is now that `references` were read: what is good is taken, and
/// of what is bad the last that was good stays. `None` where that makes no configuration.
pub(super) fn follow(source: &Source, facts: &Facts<'_>) -> Option<Candidate> {
    let Facts { references, now, .. } = *facts;
    let (identity, spec) = (source.identity(), &source.spec);
    let problems = match resolve(spec, references, now) {
        Ok(resolved) => return Some(Candidate::of(identity, spec, references, resolved)),
        Err(problems) => problems,
    };
    let bad: BTreeSet<_> = problems.iter().filter_map(|problem| problem.object.as_ref()).collect();
    let mixed = references.clone().with(bad.iter().copied(), &source.references);
    // None for a header that is remembered with a certificate that is not, say.
    let resolved = resolve_keeping(spec, &mixed, &bad, now).ok()?;
    Some(Candidate::of(identity, spec, &mixed, resolved))
}

fn resolved(spec: &TelemetryConfigSpec, facts: &Facts<'_>) -> Result<(Resolved, String), Problems> {
    let resolved = resolve(spec, facts.references, facts.now)?;
    let mut remarks = (facts.inspect)(&resolved.config.metrics.shape);
    remarks.extend(scraped_views(&resolved.config.metrics));
    let odd = judge_views(&remarks)?;
    Ok((resolved, odd))
}

// === impl Verdict ===

impl Verdict {
    /// Whether time alone may decide.
    pub(super) fn waits(&self) -> bool {
        self.outcome == Outcome::Wait
    }
}

// === impl Outcome ===

impl Outcome {
    /// What is to be put in force.
    pub(super) fn candidate(&self) -> Option<&Candidate> {
        match self {
            Self::Run(candidate) => Some(candidate),
            Self::Keep | Self::Wait | Self::Refuse(_) => None,
        }
    }
}
