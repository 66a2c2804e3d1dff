//! Results of admissions, on their way into policy reports.
//!
//! A scan tells what policies say about the creation of an object. What no scan asks (policies that are
//! not for background scans, rules of updates) is told here: [`told`] says, purely, what of a review that
//! is; [`Reports`] is where it is handed in, from the middle of a review, and never waits. [`Waiting`]
//! puts together what is about one object, and [`Writer`] writes it into the object's report once the
//! object is stored. What does not fit, or cannot be written, is counted.
//!
//! It must not keep a review waiting, nor write about an object that it has not seen stored.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use pharos_api::report::{ReportApi, Timestamp};
use pharos_policy::{Evaluation, Request};
use pharos_reports::admitted::Said;
use tokio::sync::mpsc;

use crate::enforce::Verdict;
use crate::policies::Policies;
use crate::record::Facts;

mod told;
mod waiting;
mod writer;

pub(crate) use told::told;
pub(crate) use waiting::Waiting;
pub(crate) use writer::Writer;

/// How many admissions may wait before they are looked at.
const QUEUED: usize = 512;

/// Where results of admissions are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reporting {
    /// In the reports of this API.
    In(ReportApi),
    /// In metrics and Events only.
    Nowhere,
}

/// Where an object is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) resource: String,
    pub(crate) kind: String,
    /// Empty for what is in none.
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// What was to be done to an object: others may have refused it yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// It was to be created; under this uid, if the API server had given it one.
    Created { uid: Option<String> },
    /// This version of it was to be replaced.
    Updated { uid: String, version: String },
}

/// What is seen of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Stored,
    NotYet,
    /// It is gone, or another object has its name.
    Gone,
}

/// What policies said about a request that was admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Admission {
    pub(crate) place: Place,
    pub(crate) awaited: Awaited,
    pub(crate) said: Vec<Said>,
}

/// Where results of admissions are handed in.
#[derive(Clone)]
pub(crate) enum Reports {
    Queued { queue: mpsc::Sender<Admission>, facts: Arc<dyn Facts> },
    Untold,
}

/// Where results are handed in, and what writes them.
pub(crate) fn reports(client: Client, api: ReportApi, facts: Arc<dyn Facts>) -> (Reports, Writer) {
    let (queue, queued) = mpsc::channel(QUEUED);
    let writer = Writer::new(client, api, queued, facts.clone());
    (Reports::Queued { queue, facts }, writer)
}

// === impl Reports ===

impl Reports {
    /// Hands in what policies said about a request, as far as it is told here.
    pub(crate) fn tell(
        &self,
        policies: &Policies,
        request: &Request<'_>,
        evaluation: &Evaluation<'_>,
        verdict: &Verdict,
    ) {
        let Self::Queued { queue, facts } = self else { return };
        let Some(admission) = told(policies, request, evaluation, verdict, now) else { return };
        if let Err(full) = queue.try_send(admission) {
            facts.admission_results_lost("QueueFull", full.into_inner().said.len());
        }
    }
}

/// The second, as Kyverno writes it.
fn now() -> Timestamp {
    let seconds = jiff::Timestamp::now().as_second();
    Timestamp { seconds, nanos: 0 }
}

// === impl Awaited ===

impl Awaited {
    /// Whether that is what became of an object, which is like this now, if it is there.
    pub(crate) fn seen(&self, now: Option<&ObjectMeta>) -> Seen {
        match (self, now) {
            (Self::Created { .. }, None) => Seen::NotYet,
            (Self::Updated { .. }, None) => Seen::Gone,
            (Self::Created { uid: None }, Some(_)) => Seen::Stored,
            (Self::Created { uid: Some(uid) } | Self::Updated { uid, .. }, Some(now))
                if now.uid.as_ref() != Some(uid) =>
            {
                Seen::Gone
            }
            (Self::Updated { version, .. }, Some(now))
                if now.resource_version.as_ref() == Some(version) =>
            {
                Seen::NotYet
            }
            (_, Some(_)) => Seen::Stored,
        }
    }
}

#[cfg(test)]
mod tests;
