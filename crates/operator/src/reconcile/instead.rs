//! What runs while a target cannot.

use super::candidate::{Candidate, Identity, Source};
use super::history::History;
use super::last_programmed::{Answer, Known};
use super::verdict::{Facts, Outcome, follow, judge};
use pharos_cluster::trouble::Trouble;

/// What runs instead of a target that cannot.
#[derive(Debug)]
pub(super) enum Instead {
    /// What is in force, as it is after its references were read again; `None` if that is as it was.
    Followed(Option<Box<Candidate>>),
    /// What every replica programmed last.
    LastProgrammed(Box<Candidate>),
    /// That is not known yet.
    Awaited,
    /// The command line's defaults; why, unless there is nothing to tell.
    Defaults(String),
}

// === impl Instead ===

impl Instead {
    /// The target runs, or is about to.
    pub(super) fn unneeded() -> Self {
        Self::Defaults(String::new())
    }

    pub(super) fn followed(source: &Source, facts: &Facts<'_>) -> Self {
        Self::Followed(follow(source, facts).map(Box::new))
    }

    /// What is `known` of the last revision of the object `identity`, where nothing is in force.
    pub(super) fn read(
        identity: Identity<'_>,
        known: &Known<'_>,
        history: &History,
        facts: &Facts<'_>,
    ) -> Self {
        let (generation, spec) = match known {
            Known::Awaited => return Self::Awaited,
            Known::Troubled(trouble) => return Self::Defaults(unreadable(*trouble)),
            Known::Answered(Answer::Absent) => return Self::unneeded(),
            Known::Answered(Answer::Undecodable(error)) => {
                let why = format!("the ControllerRevision of what ran before is no spec: {error}");
                return Self::Defaults(why);
            }
            Known::Answered(Answer::Programmed(generation, spec)) => (*generation, spec.clone()),
        };
        let uid = identity.uid;
        if generation >= identity.generation || history.ran_newer(uid, generation) {
            return Self::unneeded();
        }
        let verdict = judge(Identity { generation, ..identity }, &Ok(spec), None, facts);
        match verdict.outcome {
            Outcome::Run(candidate) => Self::LastProgrammed(candidate),
            Outcome::Wait | Outcome::Keep => Self::Awaited,
            Outcome::Refuse(why) => Self::Defaults(neither(generation, &why)),
        }
    }

    /// What is to run, if the target is not.
    pub(super) fn candidate(&self) -> Option<&Candidate> {
        match self {
            Self::Followed(candidate) => candidate.as_deref(),
            Self::LastProgrammed(candidate) => Some(candidate),
            Self::Awaited | Self::Defaults(_) => None,
        }
    }
}

/// What to say where the generation that ran before cannot run either.
pub(super) fn neither(generation: i64, why: &str) -> String {
    format!("generation {generation}, which ran before, cannot be programmed either: {why}")
}

fn unreadable(trouble: Trouble) -> String {
    let remedy = match trouble {
        Trouble::Forbidden => {
            "add this rule to a Role of its ServiceAccount: \
             {apiGroups: [apps], resources: [controllerrevisions], verbs: [list]}"
        }
        other => other.remedy(),
    };
    format!(
        "Pharos cannot read the ControllerRevision of what ran before ({}); {remedy}",
        trouble.reason()
    )
}
