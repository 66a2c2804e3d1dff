//! `pharos serve` as a child process.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::{Client, StatusCode};

use crate::http;
use crate::kubectl::Kubectl;
use crate::ports::{self, loopback};
use crate::process::{Process, StartError, keep_to_this_machine};
use crate::prometheus::{self, Sample};

const START: Duration = Duration::from_secs(60);

/// A running `pharos serve`, killed on drop.
#[derive(Debug)]
pub struct Pharos {
    process: Process,
    ports: Ports,
    client: Client,
}

/// The loopback ports of one `pharos serve`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Where the API server reaches the webhook.
    pub webhook: u16,
    /// Where `/metrics` is served.
    pub metrics: u16,
    /// Where `/readyz` and the debug pages are served.
    pub admin: u16,
}

/// How the API server reaches the webhook.
#[derive(Clone, Debug)]
pub enum WebhookTarget {
    /// By the Service `namespace/name` on the port that this process listens on.
    Service(String),
    /// By the Service `namespace/name` on another port, such as a balancer's.
    ServicePort(String, u16),
    /// By a URL of this host, on the port that this process listens on on every address.
    Host(String),
}

/// What a `pharos serve` is started with.
#[derive(Clone, Debug)]
pub struct Builder {
    name: String,
    kubeconfig: PathBuf,
    dir: PathBuf,
    namespace: String,
    target: WebhookTarget,
    ports: Option<Ports>,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

// === impl Pharos ===

impl Pharos {
    /// A `pharos serve` for this cluster, in namespace `pharos`, that the API server reaches by the
    /// Service `pharos/pharos` and that ends without delay.
    pub fn builder(cluster: &impl AsRef<Kubectl>) -> Builder {
        let kubeconfig = cluster.as_ref().kubeconfig().to_owned();
        Builder {
            name: "pharos".to_owned(),
            dir: kubeconfig.parent().unwrap_or_else(|| Path::new(".")).to_owned(),
            kubeconfig,
            namespace: "pharos".to_owned(),
            target: WebhookTarget::Service("pharos/pharos".to_owned()),
            ports: None,
            arguments: ["--shutdown-delay", "0"].map(OsString::from).to_vec(),
            environment: Vec::new(),
        }
    }

    /// The `pharos` to run: `PHAROS_BIN`, or the one that cargo built beside this executable.
    pub fn binary() -> anyhow::Result<PathBuf> {
        if let Some(binary) = std::env::var_os("PHAROS_BIN") {
            let binary = PathBuf::from(binary);
            ensure!(binary.is_file(), "PHAROS_BIN names {}, which is no file", binary.display());
            return Ok(binary);
        }
        let executable = std::env::current_exe()?;
        // A test lies in `deps`, one folder below.
        let mut binaries = executable.ancestors().skip(1).take(2).map(|dir| dir.join("pharos"));
        binaries.find(|binary| binary.is_file()).context(
            "there is no `pharos` beside this executable; \
             run `cargo build -p pharos` or set PHAROS_BIN",
        )
    }

    /// The ports that it listens on.
    #[must_use]
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// Where Prometheus would scrape.
    #[must_use]
    pub fn metrics_url(&self) -> String {
        format!("http://{}/metrics", loopback(self.ports.metrics))
    }

    /// A page of the admin port, such as `/readyz`.
    #[must_use]
    pub fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", loopback(self.ports.admin))
    }

    /// Scrapes `/metrics`.
    pub async fn metrics(&self) -> anyhow::Result<Vec<Sample>> {
        let text = http::get_ok(&self.client, &self.metrics_url()).await?;
        Ok(prometheus::parse(&text)?)
    }

    /// The answer of `/metrics`, whatever it is.
    pub async fn scrape(&self) -> anyhow::Result<(StatusCode, String)> {
        http::get(&self.client, &self.metrics_url()).await
    }

    /// The answer of a page of the admin port, whatever it is.
    pub async fn admin(&self, path: &str) -> anyhow::Result<(StatusCode, String)> {
        http::get(&self.client, &self.admin_url(path)).await
    }

    /// Waits until `/readyz` says so, and no longer than the process lives.
    pub async fn wait_ready(&mut self) -> Result<(), StartError> {
        let (client, url) = (self.client.clone(), self.admin_url("/readyz"));
        self.process
            .until("is ready", START, async || {
                let answer = http::get_ok(&client, &url).await;
                answer.map(drop).map_err(|error| format!("{error:#}"))
            })
            .await
    }

    /// The process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it logged, in all starts with this name.
    pub fn logs(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.process.log())?)
    }

    /// The exit status, if it has ended.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.process.exited()
    }

    /// Waits for the end.
    pub async fn wait(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        self.process.wait(within).await
    }

    /// Sends SIGTERM and waits for the end.
    pub async fn terminate(mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        self.process.terminate(within).await
    }

    /// Stops it where it stands (SIGSTOP), until [`Pharos::resume`].
    pub fn pause(&self) -> anyhow::Result<()> {
        self.process.pause()
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) -> anyhow::Result<()> {
        self.process.resume()
    }

    /// Kills it.
    pub fn kill(mut self) {
        self.process.kill();
    }

    /// Lets it run on after this process.
    pub fn leave_running(self) {
        self.process.leave_running();
    }
}

// === impl Builder ===

impl Builder {
    /// The name of the process; its log is `NAME.log`.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// The namespace of the engine.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        self
    }

    /// How the API server reaches the webhook.
    #[must_use]
    pub fn target(mut self, target: WebhookTarget) -> Self {
        self.target = target;
        self
    }

    /// Listens on these ports instead of free ones.
    #[must_use]
    pub fn ports(mut self, ports: Ports) -> Self {
        self.ports = Some(ports);
        self
    }

    /// Adds command line arguments.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(OsString::from));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&self) -> anyhow::Result<Pharos> {
        let ready = async |ports| {
            let mut pharos = self.launch(ports)?;
            pharos.wait_ready().await?;
            Ok(pharos)
        };
        match self.ports {
            Some(ports) => Ok(ready(ports).await?),
            None => {
                ports::with_free(async |[webhook, metrics, admin]| {
                    ready(Ports { webhook, metrics, admin }).await
                })
                .await
            }
        }
    }

    /// Starts it without waiting for anything.
    pub fn spawn(&self) -> anyhow::Result<Pharos> {
        let ports = match self.ports {
            Some(ports) => ports,
            None => {
                let [webhook, metrics, admin] = ports::free()?;
                Ports { webhook, metrics, admin }
            }
        };
        self.launch(ports)
    }

    fn launch(&self, ports: Ports) -> anyhow::Result<Pharos> {
        let mut command = Command::new(Pharos::binary()?);
        keep_to_this_machine(&mut command);
        command
            .arg("serve")
            .args(["--namespace", &self.namespace])
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(self.target.arguments(ports.webhook))
            .args(["--metrics-listen", &loopback(ports.metrics).to_string()])
            .args(["--admin-listen", &loopback(ports.admin).to_string()])
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        let log = self.dir.join(format!("{}.log", self.name));
        let process = Process::spawn(&self.name, &mut command, &log)?;
        Ok(Pharos { process, ports, client: http::plain()? })
    }
}

// === impl WebhookTarget ===

impl WebhookTarget {
    fn arguments(&self, port: u16) -> Vec<String> {
        let (flag, target, listen) = match self {
            Self::Service(service) => {
                ("--webhook-service", format!("{service}:{port}"), "127.0.0.1")
            }
            Self::ServicePort(service, seen) => {
                ("--webhook-service", format!("{service}:{seen}"), "127.0.0.1")
            }
            Self::Host(host) => ("--webhook-url", format!("https://{host}:{port}"), "0.0.0.0"),
        };
        vec![flag.to_owned(), target, "--webhook-listen".to_owned(), format!("{listen}:{port}")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_carries_the_port_that_the_process_listens_on() {
        let target = WebhookTarget::Service("pharos/pharos".into());
        assert_eq!(
            target.arguments(9443),
            ["--webhook-service", "pharos/pharos:9443", "--webhook-listen", "127.0.0.1:9443"]
        );
    }

    #[test]
    fn a_balancer_is_seen_instead_of_the_process() {
        let target = WebhookTarget::ServicePort("pharos/pharos".into(), 443);
        assert_eq!(
            target.arguments(9443),
            ["--webhook-service", "pharos/pharos:443", "--webhook-listen", "127.0.0.1:9443"]
        );
    }
}
