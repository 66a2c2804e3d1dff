//! Helm, away from the user's own settings, and from any cluster but the one that it is given.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use crate::kubectl::Kubectl;
use crate::parts::{self, Part};
use crate::process::keep_to_this_machine;

const TIMEOUT: Duration = Duration::from_secs(60);
/// Without a cluster to ask, a helm that was not released takes an old version for granted.
const KUBE_VERSION: &str = "--kube-version=1.37";

/// The real helm with caches of its own, which are removed on drop.
#[derive(Debug)]
pub struct Helm {
    program: PathBuf,
    dir: TempDir,
}

// === impl Helm ===

impl Helm {
    /// Builds helm if it is not built yet.
    pub async fn ensure() -> anyhow::Result<Self> {
        let parts = parts::ensure(&[Part::Helm]).await?;
        let dir = tempfile::Builder::new().prefix("pharos-helm-").tempdir()?;
        Ok(Self { program: parts.path(Part::Helm).to_owned(), dir })
    }

    /// The manifests, CRDs included, that installing the folder `chart` as `release` into
    /// `namespace` with these values would apply. An error with what helm says otherwise, such as
    /// values that the chart's schema refuses.
    pub async fn template(
        &self,
        release: &str,
        chart: &Path,
        namespace: &str,
        values_yaml: &str,
    ) -> anyhow::Result<String> {
        let chart = chart.as_os_str();
        let arguments = ["template", release, "--namespace", namespace].map(OsStr::new);
        let options = ["--include-crds", KUBE_VERSION, "--values", "-"].map(OsStr::new);
        let arguments = [&arguments[..], &[chart], &options[..]].concat();
        self.run(&arguments, values_yaml, &self.nowhere()).await
    }

    /// Installs the folder `chart` as `release` into `namespace`, which is made where it is missing,
    /// or upgrades the release: what helm says.
    pub async fn upgrade(
        &self,
        cluster: &impl AsRef<Kubectl>,
        release: &str,
        chart: &Path,
        namespace: &str,
        values_yaml: &str,
    ) -> anyhow::Result<String> {
        let arguments = ["upgrade", "--install", release, "--namespace", namespace];
        let options = ["--create-namespace", "--values", "-"].map(OsStr::new);
        let arguments = arguments.map(OsStr::new);
        let arguments = [&arguments[..], &[chart.as_os_str()], &options[..]].concat();
        self.run(&arguments, values_yaml, cluster.as_ref().kubeconfig()).await
    }

    /// Uninstalls `release` from `namespace`.
    pub async fn uninstall(
        &self,
        cluster: &impl AsRef<Kubectl>,
        release: &str,
        namespace: &str,
    ) -> anyhow::Result<String> {
        let arguments = ["uninstall", release, "--namespace", namespace].map(OsStr::new);
        self.run(&arguments, "", cluster.as_ref().kubeconfig()).await
    }

    /// What `helm lint --strict` says of the folder `chart` with its own values. An error if it
    /// finds fault.
    pub async fn lint(&self, chart: &Path) -> anyhow::Result<String> {
        let arguments = ["lint".as_ref(), "--strict".as_ref(), chart.as_os_str()];
        self.run(&arguments, "", &self.nowhere()).await
    }

    /// A kubeconfig that is not there: no cluster can be asked.
    fn nowhere(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }

    /// Standard output of a helm that succeeds; an error with its standard error otherwise.
    async fn run(
        &self,
        arguments: &[&OsStr],
        input: &str,
        kubeconfig: &Path,
    ) -> anyhow::Result<String> {
        let told = timeout(TIMEOUT, self.output(arguments, input, kubeconfig));
        let Output { status, stdout, stderr } =
            told.await.with_context(|| format!("helm took over {TIMEOUT:?}"))??;
        let stdout = String::from_utf8(stdout)?;
        if !status.success() {
            let error = String::from_utf8_lossy(&stderr);
            bail!("helm {arguments:?}: {}\n{}", error.trim(), stdout.trim());
        }
        Ok(stdout)
    }

    async fn output(
        &self,
        arguments: &[&OsStr],
        input: &str,
        kubeconfig: &Path,
    ) -> anyhow::Result<Output> {
        let mut command = Command::new(&self.program);
        keep_to_this_machine(command.as_std_mut());
        for (variable, folder) in [
            ("HELM_CACHE_HOME", "cache"),
            ("HELM_CONFIG_HOME", "config"),
            ("HELM_DATA_HOME", "data"),
        ] {
            command.env(variable, self.dir.path().join(folder));
        }
        let mut child = command
            .env("KUBECONFIG", kubeconfig)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A helm that refuses its arguments reads nothing; its own error says more.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        Ok(child.wait_with_output().await?)
    }
}
