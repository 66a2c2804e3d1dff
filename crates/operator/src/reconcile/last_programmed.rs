//! What every replica programmed last, for a process that starts onto what cannot be programmed.

use std::sync::Arc;
use std::time::Duration;

use pharos_api::telemetryconfig::TelemetryConfigSpec;
use pharos_cluster::revisions::Revision;
use pharos_cluster::trouble::Trouble;
use pharos_cluster::view::Uid;

use super::refusals::delay_after;

/// The last programmed revision of the object that is looked at; read once, when it is needed.
#[derive(Debug, Default)]
pub(super) struct LastProgrammed {
    uid: Uid,
    phase: Phase,
    /// What the last try failed for.
    trouble: Option<Trouble>,
    failures: u32,
}

#[derive(Debug, Default)]
enum Phase {
    /// To be read, now.
    #[default]
    Unread,
    /// It is being read.
    Asked,
    /// It could not be read, and the next try is not due.
    Held,
    /// The API server answered.
    Answered(Answer),
}

/// What is known of a revision.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    /// There is none.
    Absent,
    /// There is one that this version cannot decode.
    Undecodable(String),
    /// There is one.
    Programmed(i64, Arc<TelemetryConfigSpec>),
}

/// What can be said about the revision now.
#[derive(Debug)]
pub(super) enum Known<'a> {
    /// Nothing yet.
    Awaited,
    /// That it cannot be read.
    Troubled(Trouble),
    /// The API server's answer.
    Answered(&'a Answer),
}

// === impl LastProgrammed ===

impl LastProgrammed {
    /// What is known of the last revision of this object; whatever is known of another one is
    /// forgotten.
    pub(super) fn of(&mut self, uid: &str) -> Known<'_> {
        if self.uid != uid {
            *self = Self { uid: uid.to_owned(), ..Self::default() };
        }
        match (&self.phase, self.trouble) {
            (Phase::Answered(answer), _) => Known::Answered(answer),
            (_, Some(trouble)) => Known::Troubled(trouble),
            (_, None) => Known::Awaited,
        }
    }

    /// The spec, where there is one.
    pub(super) fn spec(&self) -> Option<&TelemetryConfigSpec> {
        match &self.phase {
            Phase::Answered(Answer::Programmed(_, spec)) => Some(spec),
            _ => None,
        }
    }

    /// Nobody needs it any more: should it be needed once more, it is another one by then.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// The object whose revision is to be read now, if any is.
    pub(super) fn request(&mut self) -> Option<Uid> {
        let unread = !self.uid.is_empty() && matches!(self.phase, Phase::Unread);
        unread.then(|| {
            self.phase = Phase::Asked;
            self.uid.clone()
        })
    }

    /// Takes in what the API server answered; when to ask again, if that was no answer.
    pub(super) fn take(
        &mut self,
        uid: &str,
        answer: Result<Option<Revision>, Trouble>,
    ) -> Option<Duration> {
        if self.uid != uid {
            return None;
        }
        match answer {
            Ok(revision) => {
                self.phase = Phase::Answered(Answer::of(revision));
                None
            }
            Err(trouble) => {
                self.failures += 1;
                (self.phase, self.trouble) = (Phase::Held, Some(trouble));
                Some(delay_after(self.failures))
            }
        }
    }

    /// It may be tried again.
    pub(super) fn release(&mut self) {
        if self.waits() {
            self.phase = Phase::Unread;
        }
    }

    /// Whether it waits for its next try.
    pub(super) fn waits(&self) -> bool {
        matches!(self.phase, Phase::Held)
    }
}

// === impl Answer ===

impl Answer {
    fn of(revision: Option<Revision>) -> Self {
        let Some(Revision { generation, spec }) = revision else { return Self::Absent };
        match serde_json::from_value(spec) {
            Ok(spec) => Self::Programmed(generation, Arc::new(spec)),
            Err(error) => Self::Undecodable(error.to_string()),
        }
    }
}
