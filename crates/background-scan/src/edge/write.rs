//! Reports, written in the version that was read: whoever writes at the same time wins, and what follows
//! is decided anew.

use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderValue;
use http::header::ACCEPT;
use kube::api::{DeleteParams, GetParams, PostParams, Preconditions};
use kube::core::Request;
use kube::{Client, Resource};
use pharos_api::report::{Report, ReportKind};
use pharos_cluster::pressure::{Asked, is_refusal, is_terminating};
use pharos_instruments::carry_trace;
use pharos_reports::admitted::Standing;
use pharos_reports::{Change, Desired, Own, tidied};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Edge;
use crate::judge::now;
use crate::known::{Stamp, Version};
use crate::scan::{Removal, Write, Written};

/// How long before it is tried again to write into a namespace that is being deleted.
const TERMINATING: Duration = Duration::from_secs(1);

const REPORTS: Asked = Asked::Kept("read or write reports");

/// A request, if it can be made.
type Built = Result<http::Request<Vec<u8>>, kube::core::request::Error>;

/// What comes back of a report that was written: its metadata, from a server that can leave out the rest.
const METADATA: &str =
    "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

/// What counts of the answer to a write; the report itself is known.
#[derive(Debug, Deserialize)]
struct Stored {
    metadata: StoredMetadata,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredMetadata {
    resource_version: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// The reports of a kind, in one namespace if they are in any.
struct Reports {
    client: Client,
    path: String,
}

// === impl Edge ===

impl Edge {
    /// Makes a report what it should be. What admissions say in it stays, of policies that there are.
    pub(super) async fn write(&self, write: &Write, standing: &Standing) -> Written {
        let desired = &write.desired;
        let metadata = &desired.report().metadata;
        let (Some(name), namespace) = (&metadata.name, metadata.namespace.as_deref()) else {
            return Written::Failed;
        };
        let api = self.reports(desired.kind, namespace);
        if !write.is_there {
            match self.create(&api, desired).await {
                // There is one already; the watch has yet to tell.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                created => return created.unwrap_or_else(|error| unwritten(&error)),
            }
        }
        match self.pressure.ask(REPORTS, api.get(name)).await {
            Ok(there) => {
                let change = desired.over(&there, standing, now());
                self.change(&api, name, &there, change).await
            }
            Err(kube::Error::Api(status)) if status.code == 404 => {
                self.create(&api, desired).await.unwrap_or_else(|error| unwritten(&error))
            }
            Err(error) => unwritten(&error),
        }
    }

    async fn create(&self, api: &Reports, desired: &Desired) -> kube::Result<Written> {
        let created = self.pressure.ask(REPORTS, api.create(desired.report())).await;
        if let Err(kube::Error::Api(status)) = &created
            && is_terminating(status)
        {
            // What the report is about goes with the namespace, in a moment.
            tokio::time::sleep(TERMINATING).await;
        }
        Ok(created?.written())
    }

    async fn change(&self, api: &Reports, name: &str, there: &Report, change: Change) -> Written {
        match change {
            Change::Nothing => {
                Written::Unchanged(version(there), Stamp::of(there.metadata.annotations.as_ref()))
            }
            Change::Replace(report) => {
                let replaced = self.pressure.ask(REPORTS, api.replace(name, &report)).await;
                replaced.map_or_else(|error| unwritten(&error), |stored| stored.written())
            }
            Change::Delete => self.delete(api, name, version(there)).await,
        }
    }

    /// Takes out of a report what is of no policy any more.
    pub(super) async fn tidy(&self, removal: &Removal, own: Own, standing: &Standing) -> Written {
        let name = removal.uid.to_string();
        let api = self.reports_of(removal);
        match self.pressure.ask(REPORTS, api.get(&name)).await {
            Ok(there) => {
                let change = tidied(&there, own, standing, now());
                self.change(&api, &name, &there, change).await
            }
            Err(kube::Error::Api(status)) if status.code == 404 => Written::Deleted,
            Err(error) => unwritten(&error),
        }
    }

    /// Deletes a report, if it is as it was seen.
    pub(super) async fn remove(&self, removal: &Removal) -> Written {
        self.delete(&self.reports_of(removal), &removal.uid.to_string(), removal.version).await
    }

    async fn delete(&self, api: &Reports, name: &str, version: Version) -> Written {
        match self.pressure.ask(REPORTS, api.delete(name, version.text())).await {
            Ok(()) => Written::Deleted,
            Err(kube::Error::Api(status)) if status.code == 404 => Written::Deleted,
            Err(error) => unwritten(&error),
        }
    }

    fn reports_of(&self, removal: &Removal) -> Reports {
        let namespace = Some(&*removal.namespace).filter(|it| !it.is_empty());
        self.reports(removal.kind, namespace)
    }

    fn reports(&self, kind: ReportKind, namespace: Option<&str>) -> Reports {
        Reports { client: self.client.clone(), path: Report::url_path(&kind, namespace) }
    }
}

// === impl Reports ===

impl Reports {
    async fn get(&self, name: &str) -> kube::Result<Report> {
        self.send(self.request().get(name, &GetParams::default())).await
    }

    async fn create(&self, report: &Report) -> kube::Result<Stored> {
        self.store(self.request().create(&PostParams::default(), encoded(report)?)).await
    }

    async fn replace(&self, name: &str, report: &Report) -> kube::Result<Stored> {
        self.store(self.request().replace(name, &PostParams::default(), encoded(report)?)).await
    }

    async fn delete(&self, name: &str, version: Option<String>) -> kube::Result<()> {
        let preconditions =
            version.map(|it| Preconditions { resource_version: Some(it), ..Default::default() });
        let parameters = DeleteParams { preconditions, ..DeleteParams::default() };
        // The report as it was, or that it is being deleted.
        self.send::<serde::de::IgnoredAny>(self.request().delete(name, &parameters)).await?;
        Ok(())
    }

    fn request(&self) -> Request {
        Request::new(&self.path)
    }

    async fn store(&self, request: Built) -> kube::Result<Stored> {
        self.send(request.map(|mut request| {
            request.headers_mut().insert(ACCEPT, HeaderValue::from_static(METADATA));
            request
        }))
        .await
    }

    /// As a part of the trace that the report has.
    async fn send<T: DeserializeOwned>(&self, request: Built) -> kube::Result<T> {
        let mut request = request.map_err(kube::Error::BuildRequest)?;
        carry_trace(&mut request);
        self.client.request(request).await
    }
}

// === impl Stored ===

impl Stored {
    fn written(&self) -> Written {
        let StoredMetadata { resource_version, annotations } = &self.metadata;
        Written::Stored(Version::parse(resource_version), Stamp::of(Some(annotations)))
    }
}

fn encoded(report: &Report) -> kube::Result<Vec<u8>> {
    serde_json::to_vec(report).map_err(kube::Error::SerdeError)
}

fn unwritten(error: &kube::Error) -> Written {
    match error {
        kube::Error::Api(status) if is_refusal(status) => Written::Refused,
        _ => Written::Failed,
    }
}

fn version(report: &Report) -> Version {
    Version::parse(report.metadata.resource_version.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests;
