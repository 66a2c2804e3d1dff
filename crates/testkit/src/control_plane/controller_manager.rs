//! A kube-controller-manager with the few controllers that operators are tested with.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context;

use super::{START, flag};
use crate::http;
use crate::parts::{self, Part};
use crate::ports::{self, loopback};
use crate::process::{Process, StartError, keep_to_this_machine};

const NAME: &str = "kube-controller-manager";
const CONTROLLERS: &str = "--controllers=garbage-collector-controller,namespace-controller,\
                           clusterrole-aggregation-controller,\
                           validatingadmissionpolicy-status-controller";

/// A kube-controller-manager: what is owned goes with its owner, deleted namespaces go, and
/// aggregated ClusterRoles are filled. Ended on drop.
#[derive(Debug)]
pub struct ControllerManager {
    process: Process,
}

// === impl ControllerManager ===

impl ControllerManager {
    /// Starts it as the user of this kubeconfig; returns when it is healthy.
    pub(super) async fn start(dir: &Path, kubeconfig: &Path) -> anyhow::Result<Self> {
        let parts = parts::ensure(&[Part::KubeControllerManager]).await?;
        let program = parts.path(Part::KubeControllerManager);
        ports::with_free(async |[port]| launch(program, dir, kubeconfig, port).await)
            .await
            .map(|process| Self { process })
            .context("kube-controller-manager does not start")
    }

    /// The process.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }
}

async fn launch(
    program: &Path,
    dir: &Path,
    kubeconfig: &Path,
    port: u16,
) -> Result<Process, StartError> {
    let certificates = dir.join(NAME);
    let mut command = Command::new(program);
    keep_to_this_machine(&mut command);
    command
        .arg(CONTROLLERS)
        .arg(flag("--kubeconfig", kubeconfig))
        .args(["--bind-address=127.0.0.1", "--leader-elect=false"])
        .arg(format!("--secure-port={port}"))
        .arg(flag("--cert-dir", &certificates));
    let mut process = Process::spawn(NAME, &mut command, &dir.join(format!("{NAME}.log")))?;
    let healthz = format!("https://{}/healthz", loopback(port));
    process
        .until("is healthy", START, async || {
            let healthy = async {
                let certificate = fs::read(certificates.join(format!("{NAME}.crt")))?;
                let client = http::trusting(&certificate)?;
                http::get_ok(&client, &healthz).await
            };
            healthy.await.map(drop).map_err(|error| format!("{error:#}"))
        })
        .await?;
    Ok(process)
}
