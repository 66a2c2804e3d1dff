//! Writes results of admissions, a few objects at a time.
//!
//! An object is looked for first: it says its uid, by which its report is named, and that what was admitted
//! was not refused by somebody else. Then its report is read, and written in the version that was read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, DynamicObject, GetParams, PostParams, Preconditions};
use kube::core::{PartialObjectMeta, Request};
use kube::{Api, Client};
use pharos_api::report::{Report, ReportApi};
use pharos_cluster::pressure::{Asked, Pressure, is_terminating};
use pharos_cluster::tasks::at;
use pharos_cluster::trouble::{Episode, Trouble};
use pharos_reports::admitted::{self, Said};
use pharos_reports::{Change, Subject};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::waiting::Pending;
use super::{Admission, Awaited, Place, Seen, Waiting};
use crate::record::Facts;

/// How many objects wait, beside those that are not looked at yet.
const WAITING: usize = 512;
const AT_ONCE: usize = 4;
/// How often an object is looked for. Each time is twice as long after the one before.
const TRIES: u32 = 6;
const RETRY_AFTER: Duration = Duration::from_millis(250);
/// How often a report is read again at once because somebody else wrote it.
const CONFLICTS: usize = 5;
/// How long what waits at the end may take.
const LAST: Duration = Duration::from_secs(3);

/// Writes what was handed in.
pub(crate) struct Writer {
    edge: Edge,
    queue: mpsc::Receiver<Admission>,
    /// Whether somebody may hand in something yet.
    is_open: bool,
    waiting: Waiting,
    facts: Arc<dyn Facts>,
    /// What cannot be told now, by resource.
    episodes: BTreeMap<String, Episode>,
}

/// What is being written.
type Writing = FuturesUnordered<BoxFuture<'static, Done>>;

/// Where it is written.
#[derive(Clone)]
struct Edge {
    client: Client,
    api: ReportApi,
    pressure: Arc<Pressure>,
}

/// What became of what was said about an object.
struct Done {
    place: Place,
    /// What is to be tried again.
    left: Vec<Pending>,
    lost: Vec<(&'static str, usize)>,
    /// Whether it could be told, or why it never can; nothing where that was not tried to the end.
    news: Option<Result<(), kube::Error>>,
}

// === impl Writer ===

impl Writer {
    pub(super) fn new(
        client: Client,
        api: ReportApi,
        queue: mpsc::Receiver<Admission>,
        facts: Arc<dyn Facts>,
    ) -> Self {
        let edge = Edge { client, api, pressure: Arc::default() };
        let (waiting, episodes) = (Waiting::default(), BTreeMap::new());
        Self { edge, queue, is_open: true, waiting, facts, episodes }
    }

    /// Writes until `ending`; then what waits, for a moment, and counts the rest as lost.
    pub(crate) async fn run(mut self, ending: CancellationToken) {
        let mut writing = Writing::new();
        while ending.run_until_cancelled(self.step(&mut writing)).await.is_some() {}
        self.queue.close();
        while let Ok(admission) = self.queue.try_recv() {
            self.waiting.take_in(admission, Instant::now());
        }
        self.is_open = false;
        self.waiting.hurry(Instant::now());
        let last = async {
            while self.waiting.len() > 0 {
                self.step(&mut writing).await;
            }
        };
        if tokio::time::timeout(LAST, last).await.is_err() {
            self.facts.admission_results_lost("Shutdown", self.waiting.said());
        }
    }

    /// Waits for the next thing that happens. Nothing is lost if that is given up.
    async fn step(&mut self, writing: &mut Writing) {
        while writing.len() < AT_ONCE
            && let Some((place, pending)) = self.waiting.take_due(Instant::now())
        {
            writing.push(self.edge.clone().write(place, pending).boxed());
        }
        let due = self.waiting.next_due().filter(|_| writing.len() < AT_ONCE);
        tokio::select! {
            Some(done) = writing.next() => self.settle(done),
            admission = self.queue.recv(), if self.is_open && self.waiting.len() < WAITING => {
                match admission {
                    Some(admission) => self.waiting.take_in(admission, Instant::now()),
                    // Nobody can hand in any more; it is told soon that this is the end.
                    None => self.is_open = false,
                }
            }
            () = at(due) => {}
        }
    }

    fn settle(&mut self, done: Done) {
        let Done { place, left, lost, news } = done;
        let resource = place.resource_in_group();
        match news {
            Some(Err(error)) => {
                let attempt = format!("report what is said about admissions of {resource}");
                let episode = self.episodes.entry(resource);
                let episode = episode.or_insert_with(|| Episode::of(attempt));
                episode.failed(Trouble::of(&error), &error);
            }
            Some(Ok(())) => {
                self.facts.admission_reported();
                if let Some(mut episode) = self.episodes.remove(&resource) {
                    episode.succeeded();
                }
            }
            None => {}
        }
        for (reason, count) in lost {
            self.facts.admission_results_lost(reason, count);
        }
        let tries = left.iter().map(|pending| pending.tries).min().unwrap_or_default();
        let due = Instant::now() + RETRY_AFTER * 2_u32.pow(tries.min(TRIES));
        self.waiting.settle(&place, left, due);
    }
}

// === impl Edge ===

impl Edge {
    /// Writes what was said about an object, if it is there.
    async fn write(self, place: Place, pending: Vec<Pending>) -> Done {
        let object = match self.object(&place).await {
            Ok(object) => Some(object),
            Err(kube::Error::Api(status)) if status.code == 404 => None,
            Err(error) => return failed(place, pending, Vec::new(), error),
        };
        let (mut stored, mut left, mut given_up) = (Vec::new(), Vec::new(), 0);
        for mut pending in pending {
            match pending.awaited.seen(object.as_ref()) {
                Seen::Stored => stored.push(pending),
                Seen::Gone => {}
                Seen::NotYet => {
                    pending.tries += 1;
                    if pending.tries < TRIES {
                        left.push(pending);
                    } else if matches!(pending.awaited, Awaited::Created { .. }) {
                        given_up += 1;
                    } // An update may well change nothing.
                }
            }
        }
        let told = match object.and_then(|object| object.uid) {
            Some(uid) if !stored.is_empty() => Some(self.tell(&place, &uid, &stored).await),
            _ => None,
        };
        let mut done = match told {
            Some(Err(error)) => failed(place, stored, left, error),
            news => Done { place, left, lost: Vec::new(), news },
        };
        if given_up > 0 {
            done.lost.push(("NotStored", given_up));
        }
        done
    }

    /// Has this said in the report of an object.
    async fn tell(&self, place: &Place, uid: &str, stored: &[Pending]) -> kube::Result<()> {
        let said: Vec<Said> = stored.iter().map(|pending| pending.said.clone()).collect();
        let mut tries = 1;
        loop {
            match self.tell_once(place, uid, &said).await {
                Err(kube::Error::Api(status)) if is_terminating(&status) => return Ok(()),
                Err(kube::Error::Api(status)) if status.code == 409 && tries < CONFLICTS => {}
                told => return told,
            }
            tries += 1;
        }
    }

    async fn tell_once(&self, place: &Place, uid: &str, said: &[Said]) -> kube::Result<()> {
        let Place { kind, namespace, name, .. } = place;
        let api_version = place.api_version();
        let subject = Subject { api_version: &api_version, kind, namespace, name, uid };
        let reports = self.reports(namespace);
        let there = match self.ask(reports.get(uid)).await {
            Ok(there) => there,
            Err(kube::Error::Api(status)) if status.code == 404 => {
                if let Some(report) = admitted::report(&subject, self.api, said) {
                    self.ask(reports.create(&PostParams::default(), &report)).await?;
                }
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        match admitted::over(&there, &subject, self.api, said) {
            Change::Nothing => {}
            Change::Replace(report) => {
                self.ask(reports.replace(uid, &PostParams::default(), &report)).await?;
            }
            Change::Delete => {
                let resource_version = there.metadata.resource_version;
                let preconditions = Preconditions { resource_version, ..Preconditions::default() };
                let preconditions = Some(preconditions);
                let parameters = DeleteParams { preconditions, ..DeleteParams::default() };
                self.ask(reports.delete(uid, &parameters)).await?;
            }
        }
        Ok(())
    }

    /// The metadata of an object.
    async fn object(&self, place: &Place) -> kube::Result<ObjectMeta> {
        let request = Request::new(place.path()).get_metadata(&place.name, &GetParams::default());
        let request = request.map_err(kube::Error::BuildRequest)?;
        let object = self.client.request::<PartialObjectMeta<DynamicObject>>(request);
        Ok(self.ask(object).await?.metadata)
    }

    fn reports(&self, namespace: &str) -> Api<Report> {
        let client = self.client.clone();
        match namespace {
            "" => Api::all_with(client, &self.api.of_cluster()),
            namespace => Api::namespaced_with(client, namespace, &self.api.in_namespaces()),
        }
    }

    /// Asks, unless the API server has too much to do. That it refuses something tells nothing about
    /// the next request, which is about another object.
    async fn ask<T>(&self, request: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
        let asked = async {
            match request.await {
                Err(error) if !passes(&error) => Ok(Err(error)),
                answer => answer.map(Ok),
            }
        };
        self.pressure.ask(Asked::Kept("write results of admissions into reports"), asked).await?
    }
}

/// Whether it may be otherwise in a moment, whatever was asked.
fn passes(error: &kube::Error) -> bool {
    match Trouble::of(error) {
        Trouble::Overloaded | Trouble::Unreachable | Trouble::Unauthenticated => true,
        Trouble::Refused => matches!(error, kube::Error::Api(status) if status.code >= 500),
        Trouble::UnknownKind | Trouble::NoNamespace | Trouble::Forbidden | Trouble::Outdated => {
            false
        }
    }
}

/// What was not written is tried again if that is of any use.
fn failed(place: Place, pending: Vec<Pending>, mut left: Vec<Pending>, error: kube::Error) -> Done {
    let is_contested = matches!(&error, kube::Error::Api(status) if status.code == 409);
    if is_contested || passes(&error) {
        left.extend(pending);
        return Done { place, left, lost: Vec::new(), news: None };
    }
    let lost = vec![(Trouble::of(&error).reason(), pending.len())];
    Done { place, left, lost, news: Some(Err(error)) }
}

// === impl Place ===

impl Place {
    fn api_version(&self) -> String {
        let Self { group, version, .. } = self;
        if group.is_empty() { version.clone() } else { format!("{group}/{version}") }
    }

    /// As in `deployments.apps`.
    fn resource_in_group(&self) -> String {
        let Self { group, resource, .. } = self;
        if group.is_empty() { resource.clone() } else { format!("{resource}.{group}") }
    }

    fn path(&self) -> String {
        let Self { group, resource, namespace, .. } = self;
        let root = if group.is_empty() { "/api" } else { "/apis" };
        let api_version = self.api_version();
        match namespace.as_str() {
            "" => format!("{root}/{api_version}/{resource}"),
            namespace => format!("{root}/{api_version}/namespaces/{namespace}/{resource}"),
        }
    }
}

#[cfg(test)]
mod tests;
