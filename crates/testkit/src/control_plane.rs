//! A Kubernetes control plane on this machine: etcd and kube-apiserver.
//!
//! There is no kubelet: Pods never start. Owner references are collected and deleted namespaces go
//! only while a [`ControllerManager`] runs, which a test starts where it needs it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use reqwest::{Client, StatusCode};

use crate::http;
use crate::kubectl::Kubectl;
use crate::parts::{self, Part};
use crate::ports::{self, loopback};
use crate::process::{Process, private_directory};
use crate::prometheus::{self, Sample};

mod api_server;
mod audit;
mod controller_manager;
mod credentials;
mod etcd;

pub use audit::AuditRecord;
pub use controller_manager::ControllerManager;

use api_server::Launch;
use audit::AuditLog;
use credentials::Credentials;
use etcd::Etcd;

/// The name of the API server among the processes and files of a control plane.
const API_SERVER: &str = "kube-apiserver";
const START: Duration = Duration::from_secs(120);
const STOP: Duration = Duration::from_secs(10);

/// etcd and kube-apiserver on loopback ports, ended on drop.
#[derive(Debug)]
pub struct ControlPlane {
    // Dropped in this order: an API server without its etcd fills its log.
    apiserver: Option<Process>,
    etcd: Etcd,
    port: u16,
    launch: Launch,
    kubectl: Kubectl,
    client: Client,
}

/// A second API server over the etcd of a [`ControlPlane`], ended on drop.
#[derive(Debug)]
pub struct AnotherApiServer {
    url: String,
    kubectl: Kubectl,
    _process: Process,
}

/// What a [`ControlPlane`] is started with.
#[derive(Clone, Debug)]
pub struct ControlPlaneBuilder {
    dir: PathBuf,
    audit: Audit,
}

/// Whether the API server writes down every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Audit {
    Off,
    On,
}

// === impl ControlPlane ===

impl ControlPlane {
    /// Starts a fresh control plane with its files in `dir`, as [`ControlPlane::builder`] does
    /// without any option.
    pub async fn start(dir: &Path) -> anyhow::Result<Self> {
        Self::builder(dir).start().await
    }

    /// A fresh control plane with its files in `dir`.
    #[must_use]
    pub fn builder(dir: &Path) -> ControlPlaneBuilder {
        ControlPlaneBuilder { dir: dir.to_owned(), audit: Audit::Off }
    }

    /// The address of the API server.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// A client for the API server that waits as long as an answer takes, and shows no credentials.
    pub(crate) fn patient_client(&self) -> anyhow::Result<Client> {
        self.launch.credentials.patient_client()
    }

    /// A kubeconfig whose user may do everything.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        self.kubectl.kubeconfig()
    }

    /// Runs kubectl as that user: its standard output, or an error with its standard error.
    pub async fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.kubectl.run(arguments).await
    }

    /// Applies a manifest.
    pub async fn apply(&self, yaml: &str) -> anyhow::Result<String> {
        self.kubectl.apply(yaml).await
    }

    /// Installs the CRDs of a file or folder and waits until they are served.
    pub async fn install_crds(&self, crds: &Path) -> anyhow::Result<()> {
        self.kubectl.install_crds(crds).await
    }

    /// Creates an object without kubectl, which is slow: POSTs it to a path such as
    /// `/api/v1/namespaces/default/configmaps`. The answer, whatever its status.
    pub async fn create(
        &self,
        path: &str,
        object: &serde_json::Value,
    ) -> anyhow::Result<(StatusCode, String)> {
        http::post(&self.client, &format!("{}{path}", self.url()), object).await
    }

    /// The same as [`Self::create`]; the warnings that come with the answer, as they are written.
    pub async fn create_for_warnings(
        &self,
        path: &str,
        object: &serde_json::Value,
    ) -> anyhow::Result<(StatusCode, Vec<String>)> {
        http::post_for_warnings(&self.client, &format!("{}{path}", self.url()), object).await
    }

    /// The API server's own metrics. They start from zero with every start of it.
    pub async fn metrics(&self) -> anyhow::Result<Vec<Sample>> {
        let text = http::get_ok(&self.client, &format!("{}/metrics", self.url())).await?;
        Ok(prometheus::parse(&text)?)
    }

    /// Stops the API server, etcd stays. Does nothing when it is stopped.
    pub async fn stop_apiserver(&mut self) -> anyhow::Result<()> {
        if let Some(mut apiserver) = self.apiserver.take()
            && apiserver.terminate(STOP).await.is_err()
        {
            // It waits long for clients that hold on; a crash is as good a stop.
            apiserver.kill();
        }
        Ok(())
    }

    /// Starts the API server again, on the same port. Does nothing when it runs.
    pub async fn start_apiserver(&mut self) -> anyhow::Result<()> {
        if self.apiserver.is_none() {
            let (apiserver, client) = self.launch.start(self.port, API_SERVER).await?;
            (self.apiserver, self.client) = (Some(apiserver), client);
        }
        Ok(())
    }

    /// Every request that the API server has begun to answer, in the order in which the answers
    /// began, over all its starts. An error unless it was started with [`ControlPlaneBuilder::audit`].
    pub fn audit(&self) -> anyhow::Result<Vec<AuditRecord>> {
        self.launch.audit.as_ref().context("this control plane has no audit log")?.read(API_SERVER)
    }

    /// Stops etcd, the API server stays and fails. Does nothing when it is stopped.
    pub async fn stop_etcd(&mut self) -> anyhow::Result<()> {
        self.etcd.stop().await
    }

    /// Starts etcd again, on the same port and with the same data. Does nothing when it runs.
    pub async fn start_etcd(&mut self) -> anyhow::Result<()> {
        Ok(self.etcd.start().await?)
    }

    /// Stops etcd and starts it again.
    pub async fn restart_etcd(&mut self) -> anyhow::Result<()> {
        self.stop_etcd().await?;
        self.start_etcd().await
    }

    /// Starts a kube-controller-manager that collects garbage and ends namespaces.
    pub async fn start_controller_manager(&self) -> anyhow::Result<ControllerManager> {
        ControllerManager::start(&self.launch.dir, self.kubeconfig()).await
    }

    /// Starts a second API server over the same etcd: where another client writes while the first
    /// is away.
    pub async fn start_another_apiserver(&self) -> anyhow::Result<AnotherApiServer> {
        ports::with_free(async |[port]| {
            let (process, _) = self.launch.start(port, "another-kube-apiserver").await?;
            Ok(AnotherApiServer {
                url: url(port),
                kubectl: self.kubectl.clone(),
                _process: process,
            })
        })
        .await
        .context("another kube-apiserver does not start")
    }

    /// The child processes, to be recorded or left running.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.apiserver.iter().chain(self.etcd.process())
    }

    /// Lets it run on after this process.
    pub fn leave_running(self) {
        if let Some(apiserver) = self.apiserver {
            apiserver.leave_running();
        }
        self.etcd.leave_running();
    }
}

impl AsRef<Kubectl> for ControlPlane {
    fn as_ref(&self) -> &Kubectl {
        &self.kubectl
    }
}

// === impl ControlPlaneBuilder ===

impl ControlPlaneBuilder {
    /// Has the API server write down every request, for [`ControlPlane::audit`].
    #[must_use]
    pub fn audit(mut self) -> Self {
        self.audit = Audit::On;
        self
    }

    /// Builds what is not built yet and starts the control plane. Returns when the API server is
    /// ready.
    pub async fn start(&self) -> anyhow::Result<ControlPlane> {
        let parts = parts::ensure(&[Part::Etcd, Part::KubeApiserver, Part::Kubectl]).await?;
        private_directory(&self.dir)?;
        let etcd = ports::with_free(async |[client, peer]| {
            Etcd::create(parts.path(Part::Etcd), &self.dir, client, peer).await
        })
        .await
        .context("etcd does not start")?;
        let audit = match self.audit {
            Audit::Off => None,
            Audit::On => Some(AuditLog::create(&self.dir)?),
        };
        let launch = Launch {
            program: parts.path(Part::KubeApiserver).to_owned(),
            dir: self.dir.clone(),
            etcd_port: etcd.port(),
            credentials: Credentials::create(&self.dir)?,
            audit,
        };
        let (apiserver, client, port) = ports::with_free(async |[port]| {
            let (apiserver, client) = launch.start(port, API_SERVER).await?;
            Ok((apiserver, client, port))
        })
        .await
        .context("kube-apiserver does not start")?;
        let kubeconfig = launch.credentials.write_kubeconfig(port)?;
        let kubectl = Kubectl::new(parts.path(Part::Kubectl).to_owned(), kubeconfig);
        Ok(ControlPlane { apiserver: Some(apiserver), etcd, port, launch, kubectl, client })
    }
}

// === impl AnotherApiServer ===

impl AnotherApiServer {
    /// Applies a manifest through this API server.
    pub async fn apply(&self, yaml: &str) -> anyhow::Result<String> {
        let arguments = ["--server", &self.url, "apply", "-f", "-"];
        self.kubectl.run_with_input(&arguments, yaml).await
    }
}

fn url(port: u16) -> String {
    format!("https://{}", loopback(port))
}

fn flag(name: &str, path: &Path) -> std::ffi::OsString {
    let mut flag = std::ffi::OsString::from(name);
    flag.push("=");
    flag.push(path);
    flag
}
