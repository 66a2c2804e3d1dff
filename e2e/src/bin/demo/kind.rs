//! A kind cluster, for those who have a Docker engine and `kind`.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use pharos_testkit::Kubectl;
use pharos_testkit::parts::{self, Part};
use pharos_testkit::process::Process;

const NAME: &str = "pharos-demo";
const CREATION: Duration = Duration::from_secs(600);

/// A cluster of one node and the address of this machine as seen from it.
pub(crate) struct Kind {
    pub(crate) kubectl: Kubectl,
    pub(crate) host: Ipv4Addr,
}

// === impl Kind ===

impl Kind {
    pub(crate) async fn create(dir: &Path) -> anyhow::Result<Self> {
        check().await?;
        let parts = parts::ensure(&[Part::Kubectl, Part::Collector]).await?;
        let kubeconfig = dir.join("kubeconfig");
        let mut command = Command::new("kind");
        command
            .args(["create", "cluster", "--name", NAME, "--wait", "120s", "--kubeconfig"])
            .arg(&kubeconfig);
        let mut kind = Process::spawn("kind create cluster", &mut command, &dir.join("kind.log"))?;
        let created = kind.wait(CREATION).await?;
        ensure!(created.success(), "kind create cluster failed. {}", kind.last_words());
        let kubectl = Kubectl::new(parts.path(Part::Kubectl).to_owned(), kubeconfig);
        Ok(Self { kubectl, host: gateway().await? })
    }
}

/// Deletes the cluster, also one that is only half created. Does nothing when there is none.
pub(crate) async fn delete() -> anyhow::Result<()> {
    run("kind", &["delete", "cluster", "--name", NAME]).await.map(drop)
}

/// Fails where the cluster could not be created, and where it would not be ours to delete.
pub(crate) async fn check() -> anyhow::Result<()> {
    run("docker", &["info"]).await.context(
        "CLUSTER=kind needs a Docker engine; without one leave CLUSTER out and the demo runs a \
         control plane of its own",
    )?;
    let clusters = run("kind", &["get", "clusters"]).await.context(
        "CLUSTER=kind needs the program kind: https://kind.sigs.k8s.io/docs/user/quick-start",
    )?;
    if clusters.lines().any(|cluster| cluster == NAME) {
        bail!(
            "there is a kind cluster {NAME} already; `make down` ends it if it was left by a demo"
        );
    }
    Ok(())
}

/// The address of the Docker host in kind's network, where Pharos is reached from the API server.
async fn gateway() -> anyhow::Result<Ipv4Addr> {
    let format = "{{range .IPAM.Config}}{{.Gateway}} {{end}}";
    let gateways = run("docker", &["network", "inspect", "kind", "--format", format]).await?;
    let address = gateways.split_whitespace().find_map(|gateway| gateway.parse().ok());
    address.context("the Docker network of kind has no IPv4 gateway")
}

async fn run(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = tokio::process::Command::new(program);
    let output = command.args(arguments).kill_on_drop(true).output().await;
    let output = output.with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("{program} {}: {}", arguments.join(" "), error.trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}
