//! A Kubernetes control plane on this machine: etcd and kube-apiserver, nothing else.
//!
//! There is no kubelet and no controller-manager: Pods never start, owner references are not
//! collected, and namespaces stay Terminating when deleted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use reqwest::{Client, StatusCode};

use crate::http;
use crate::kubectl::Kubectl;
use crate::parts::{self, Part};
use crate::ports::{self, loopback};
use crate::process::{Process, StartError, keep_to_this_machine, private_directory};
use crate::prometheus::{self, Sample};

mod credentials;

use credentials::Credentials;

const START: Duration = Duration::from_secs(120);
const STOP: Duration = Duration::from_secs(10);

/// etcd and kube-apiserver on loopback ports, ended on drop.
#[derive(Debug)]
pub struct ControlPlane {
    // Dropped in this order: an API server without its etcd fills its log.
    apiserver: Option<Process>,
    etcd: Process,
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

/// What a kube-apiserver is started with, again and again.
#[derive(Debug)]
struct Launch {
    program: PathBuf,
    dir: PathBuf,
    etcd_port: u16,
    credentials: Credentials,
}

// === impl ControlPlane ===

impl ControlPlane {
    /// Builds what is not built yet and starts a fresh control plane with its files in `dir`.
    /// Returns when the API server is ready.
    pub async fn start(dir: &Path) -> anyhow::Result<Self> {
        let parts = parts::ensure(&[Part::Etcd, Part::KubeApiserver, Part::Kubectl]).await?;
        private_directory(dir)?;
        let (etcd, etcd_port) = ports::with_free(async |[client, peer]| {
            let etcd = start_etcd(parts.path(Part::Etcd), dir, client, peer).await?;
            Ok((etcd, client))
        })
        .await
        .context("etcd does not start")?;
        let launch = Launch {
            program: parts.path(Part::KubeApiserver).to_owned(),
            dir: dir.to_owned(),
            etcd_port,
            credentials: Credentials::create(dir)?,
        };
        let (apiserver, client, port) = ports::with_free(async |[port]| {
            let (apiserver, client) = launch.start(port, "kube-apiserver").await?;
            Ok((apiserver, client, port))
        })
        .await
        .context("kube-apiserver does not start")?;
        let kubeconfig = launch.credentials.write_kubeconfig(port)?;
        let kubectl = Kubectl::new(parts.path(Part::Kubectl).to_owned(), kubeconfig);
        Ok(Self { apiserver: Some(apiserver), etcd, port, launch, kubectl, client })
    }

    /// The address of the API server.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.port)
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
            let (apiserver, client) = self.launch.start(self.port, "kube-apiserver").await?;
            (self.apiserver, self.client) = (Some(apiserver), client);
        }
        Ok(())
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
        self.apiserver.iter().chain([&self.etcd])
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

// === impl AnotherApiServer ===

impl AnotherApiServer {
    /// Applies a manifest through this API server.
    pub async fn apply(&self, yaml: &str) -> anyhow::Result<String> {
        let arguments = ["--server", &self.url, "apply", "-f", "-"];
        self.kubectl.run_with_input(&arguments, yaml).await
    }
}

// === impl Launch ===

impl Launch {
    async fn start(&self, port: u16, name: &str) -> Result<(Process, Client), StartError> {
        let credentials = &self.credentials;
        let mut command = Command::new(&self.program);
        keep_to_this_machine(&mut command);
        command
            .arg(format!("--etcd-servers=http://{}", loopback(self.etcd_port)))
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
            // Or it refuses a loopback advertise address.
            .arg("--endpoint-reconciler-type=none")
            .arg(format!("--secure-port={port}"))
            .arg(flag("--cert-dir", &credentials.certificates))
            .arg(flag("--service-account-key-file", &credentials.service_account_public_key))
            .arg(flag("--service-account-signing-key-file", &credentials.service_account_key))
            .arg("--service-account-issuer=https://kubernetes.default.svc.cluster.local")
            .arg(flag("--token-auth-file", &credentials.tokens))
            .arg("--authorization-mode=RBAC")
            .arg("--service-cluster-ip-range=10.0.0.0/24")
            // No controller makes the default ServiceAccounts that it would ask for.
            .arg("--disable-admission-plugins=ServiceAccount");
        let log = self.dir.join(format!("{name}.log"));
        let mut process = Process::spawn(name, &mut command, &log)?;
        let readyz = format!("{}/readyz", url(port));
        let client = process
            .until("is ready", START, async || {
                let ready = async {
                    let client = credentials.client()?;
                    http::get_ok(&client, &readyz).await?;
                    anyhow::Ok(client)
                };
                ready.await.map_err(|error| format!("{error:#}"))
            })
            .await?;
        Ok((process, client))
    }
}

async fn start_etcd(
    program: &Path,
    dir: &Path,
    client: u16,
    peer: u16,
) -> Result<Process, StartError> {
    let (client, peer) = (loopback(client), loopback(peer));
    let data = dir.join(format!("etcd-{}", client.port()));
    fs::create_dir_all(&data).context("cannot create etcd's folder")?;
    let mut command = Command::new(program);
    keep_to_this_machine(&mut command);
    command
        .arg(flag("--data-dir", &data))
        .arg("--unsafe-no-fsync")
        .arg(format!("--listen-client-urls=http://{client}"))
        .arg(format!("--advertise-client-urls=http://{client}"))
        .arg(format!("--listen-peer-urls=http://{peer}"))
        .arg(format!("--initial-advertise-peer-urls=http://{peer}"))
        .arg(format!("--initial-cluster=default=http://{peer}"));
    let mut process = Process::spawn("etcd", &mut command, &dir.join("etcd.log"))?;
    process.until_it_logs("ready to serve client requests", START).await?;
    Ok(process)
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
