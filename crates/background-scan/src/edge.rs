//! The edges of a scan: what is asked of the API server, and written to it.
//!
//! [`Edge::run`] does one job of [`crate::scan`] and says what became of it. Every request waits for
//! [`Pressure`], and none is waited for for ever. Nothing is decided here
//! but how a failure reads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use kube::Client;
use pharos_cluster::pressure::Pressure;
use pharos_instruments::{Instruments, ObjectsFacts, ObjectsSpan, ReportOutcome, SweepParent};

use crate::judge::Judge;
use crate::known::Uid;
use crate::scan::{Job, Page, Place, Read, Rest, Single, Tidy, Written};
use crate::target::Target;

pub(crate) use fetch::Fetched;
pub(crate) use page_size::PageSize;

mod fetch;
mod page_size;
pub(crate) mod read;
mod watch;
mod write;

pub(crate) use watch::{Heard, watch_objects, watch_reports};

/// Where jobs are done.
#[derive(Clone)]
pub(crate) struct Edge {
    client: Client,
    instruments: Instruments,
    pressure: Arc<Pressure>,
    /// How large the next page of each target should be.
    page_sizes: Arc<Mutex<HashMap<Arc<Target>, PageSize>>>,
}

/// What became of a job.
#[derive(Debug)]
pub(crate) enum Done {
    Page(Page, Read),
    Object(Single, Read),
    Report(Uid, Written),
    /// A target was left alone for long enough.
    Rested(Rest),
}

// === impl Edge ===

impl Edge {
    pub(crate) fn new(client: Client, instruments: Instruments) -> Self {
        Self { client, instruments, pressure: Arc::default(), page_sizes: Arc::default() }
    }

    /// Does a job, in a span of its own; that of a page is a part of its sweep's. What is read is judged by
    /// what `judge` holds now.
    pub(crate) async fn run(self, job: Job, judge: Judge, sweep: Option<SweepParent>) -> Done {
        match job {
            Job::Page(page) => {
                let namespace = match &page.place {
                    Place::Everywhere => None,
                    Place::Namespace(namespace) => Some(&**namespace),
                };
                let facts = facts(&page.target, namespace);
                let span = self.instruments.begin_objects(sweep.as_ref(), &facts);
                let read = span.within(self.read_page(&page, judge)).await;
                end(span, &read);
                Done::Page(page, read)
            }
            Job::Object(single) => {
                let namespace = Some(&*single.namespace).filter(|it| !it.is_empty());
                let facts = facts(&single.target, namespace);
                let span = self.instruments.begin_objects(None, &facts);
                let read = span.within(self.read_object(&single, judge)).await;
                end(span, &read);
                Done::Object(single, read)
            }
            Job::Write(write) => {
                let namespace = write.desired.report().metadata.namespace.as_deref();
                let span = self.instruments.begin_report(write.desired.kind.as_str(), namespace);
                let written = span.within(self.write(&write, &judge.policies.standing)).await;
                span.end(outcome(written));
                Done::Report(write.uid, written)
            }
            Job::Tidy(Tidy { removal, own }) => {
                let namespace = Some(&*removal.namespace).filter(|it| !it.is_empty());
                let span = self.instruments.begin_report(removal.kind.as_str(), namespace);
                let written = self.tidy(&removal, own, &judge.policies.standing);
                let written = span.within(written).await;
                span.end(outcome(written));
                Done::Report(removal.uid, written)
            }
            Job::Delete(removal) => {
                let namespace = Some(&*removal.namespace).filter(|it| !it.is_empty());
                let span = self.instruments.begin_report(removal.kind.as_str(), namespace);
                let written = span.within(self.remove(&removal)).await;
                span.end(outcome(written));
                Done::Report(removal.uid, written)
            }
        }
    }
}

/// What is said of objects that are read.
pub(crate) fn facts<'a>(target: &'a Target, namespace: Option<&'a str>) -> ObjectsFacts<'a> {
    let Target { group, version, kind, resource, .. } = target;
    ObjectsFacts { group, version, kind, resource, namespace }
}

fn end(span: ObjectsSpan, read: &Read) {
    match read {
        Read::Judged { objects, .. } => span.judged(objects.len()),
        Read::Expired | Read::Failed(_) => span.failed(),
    }
}

fn outcome(written: Written) -> ReportOutcome {
    match written {
        Written::Stored(..) => ReportOutcome::Written,
        Written::Unchanged(..) => ReportOutcome::Unchanged,
        Written::Deleted => ReportOutcome::Deleted,
        Written::Failed | Written::Refused => ReportOutcome::Failed,
    }
}
