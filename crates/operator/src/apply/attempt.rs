//! What to do about a target, given what was read of its references and what is in force. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use pharos_api::telemetryconfig::{Component, TelemetryConfig};
use pharos_cluster::references::{DataObject, References, Wanted};
use pharos_cluster::view::{Observed, Uid};
use pharos_telemetry::Config;
use pharos_telemetry::config::MetricShape;

use crate::report::{ReferencesReport, SpecReport, config_hash};
use crate::resolve::{
    Problems, Resolved, ViewRemark, judge_views, references_of, resolve, resolve_keeping,
    scraped_views, wanted,
};
use crate::select::{Scopes, select};

/// What a process should run.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// No object wins: the command line's defaults.
    Defaults,
    /// The object that wins, whatever it is worth.
    Object {
        /// Its uid.
        uid: Uid,
        /// Its name, for logs.
        name: String,
        /// The generation of its spec.
        generation: i64,
        /// The object, or why it cannot be decoded.
        object: Result<Arc<TelemetryConfig>, String>,
    },
}

/// The object in force, and what was read for it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct InForce {
    pub(super) uid: Uid,
    pub(super) generation: i64,
    pub(super) references: References,
    pub(super) expires: Option<Timestamp>,
    /// Which metrics started again from zero when it was put in force.
    pub(super) restarts: String,
}

/// What is to be done, and what is to be said about it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Attempt {
    /// Run the command line's defaults.
    Defaults,
    /// Do something about an object.
    Object(Box<ObjectAttempt>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct ObjectAttempt {
    pub(super) uid: Uid,
    pub(super) name: String,
    pub(super) generation: i64,
    /// Covers what the step will leave in force.
    pub(super) hash: String,
    /// What is wrong with the spec, or odd, or nothing.
    pub(super) spec: SpecReport,
    /// What is wrong with the references, or nothing.
    pub(super) references: ReferencesReport,
    pub(super) step: Step,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Put this in force, which is made of these references.
    Run(Box<Config>, References),
    /// This generation is in force, and stays as it is.
    Stay,
    /// Answers of the API server are missing.
    Wait,
    /// It cannot be programmed; why.
    Refuse(String),
}

/// The object that a process running `components` obeys.
pub fn choose(
    objects: &BTreeMap<Uid, Observed<TelemetryConfig>>,
    scopes: &Scopes,
    components: &BTreeSet<Component>,
) -> Target {
    let winners = select(&scopes.candidates(objects));
    let Some(observed) = winners.for_process(components).and_then(|uid| objects.get(uid)) else {
        return Target::Defaults;
    };
    Target::Object {
        uid: observed.uid().to_owned(),
        name: observed.name().to_owned(),
        generation: observed.generation(),
        object: observed.object.clone(),
    }
}

/// What to do about `target`. `inspect` is the pipeline's view of views.
pub(super) fn attempt(
    target: &Target,
    references: &References,
    in_force: Option<&InForce>,
    inspect: &dyn Fn(&MetricShape) -> Vec<ViewRemark>,
    now: Timestamp,
) -> Attempt {
    let Target::Object { uid, name, generation, object } = target else {
        return Attempt::Defaults;
    };
    let in_force = in_force.filter(|it| it.is_of(uid, *generation));
    let resolved = match object {
        Ok(object) => resolve(&object.spec, references, now),
        Err(error) => Err(Problems::undecodable(error)),
    };
    let resolved = resolved.and_then(|resolved| {
        let mut remarks = inspect(&resolved.config.metrics.shape);
        remarks.extend(scraped_views(&resolved.config.metrics));
        let odd = judge_views(&remarks)?;
        Ok((resolved, odd))
    });
    let spec = match &resolved {
        Ok((_, odd)) => SpecReport::accepted(odd.clone()),
        Err(problems) => SpecReport::of(problems),
    };
    let (step, report) = match (resolved, in_force, object) {
        (Ok((resolved, _)), ..) => {
            let report = ReferencesReport::resolved(&resolved.expiry);
            (Step::run(resolved, references.clone()), report)
        }
        (Err(problems), Some(in_force), Ok(object)) => {
            instead(&problems, object, references, in_force, now)
        }
        (Err(problems), ..) => {
            let waits = problems.will_pass();
            let report = ReferencesReport::of(&problems);
            let step = if waits { Step::Wait } else { Step::Refuse(problems.summary()) };
            (step, report)
        }
    };
    let made_of = match (&step, in_force) {
        (Step::Run(_, references), _) => references,
        (Step::Stay, Some(in_force)) => &in_force.references,
        _ => references,
    };
    Attempt::Object(Box::new(ObjectAttempt {
        uid: uid.clone(),
        name: name.clone(),
        generation: *generation,
        hash: config_hash(uid, *generation, target.objects().iter(), made_of),
        spec,
        references: report,
        step,
    }))
}

/// What to do where a generation is in force, and something that it refers to went bad: what is good
/// is taken, and of what is bad the last that was good stays.
fn instead(
    problems: &Problems,
    object: &TelemetryConfig,
    references: &References,
    in_force: &InForce,
    now: Timestamp,
) -> (Step, ReferencesReport) {
    let report = ReferencesReport::of(problems).staying(in_force.expires);
    let bad: BTreeSet<_> = problems.iter().filter_map(|problem| problem.object.as_ref()).collect();
    let mixed = references.clone().with(bad.iter().copied(), &in_force.references);
    match resolve_keeping(&object.spec, &mixed, &bad, now) {
        Ok(resolved) => {
            let report = report.staying(resolved.expiry.next);
            (Step::run(resolved, mixed), report)
        }
        // A header that is remembered with a certificate that is not, say.
        Err(_) => (Step::Stay, report),
    }
}

// === impl Target ===

impl Target {
    /// What has to be read for it.
    pub(super) fn wanted(&self) -> Wanted {
        match self {
            Self::Object { object: Ok(object), .. } => wanted(&references_of(&object.spec)),
            Self::Object { object: Err(_), .. } | Self::Defaults => Wanted::new(),
        }
    }

    fn objects(&self) -> BTreeSet<DataObject> {
        self.wanted().into_keys().collect()
    }
}

// === impl InForce ===

impl InForce {
    pub(super) fn is_of(&self, uid: &str, generation: i64) -> bool {
        self.uid == uid && self.generation == generation
    }
}

// === impl Step ===

impl Step {
    fn run(resolved: Resolved, references: References) -> Self {
        Self::Run(Box::new(resolved.config), references)
    }
}

#[cfg(test)]
mod tests;
