//! kubectl, bound to one cluster.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use crate::process::{keep_to_this_machine, private_directory};

const TIMEOUT: Duration = Duration::from_secs(120);

/// kubectl with the kubeconfig of one cluster.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    cache: PathBuf,
}

/// The manifest of a Service that leads the API server to a webhook on this machine, in the form
/// that webhooks in a cluster have.
#[must_use]
pub fn external_name_service(namespace: &str, name: &str) -> String {
    format!(
        "apiVersion: v1\n\
         kind: Service\n\
         metadata:\n  name: {name}\n  namespace: {namespace}\n\
         spec:\n  type: ExternalName\n  externalName: localhost\n"
    )
}

// === impl Kubectl ===

impl Kubectl {
    /// The kubectl at `program`, for the cluster of `kubeconfig`. What it caches stays beside the
    /// kubeconfig: ports are used again by later clusters that serve other resources.
    #[must_use]
    pub fn new(program: PathBuf, kubeconfig: PathBuf) -> Self {
        let cache = kubeconfig.with_extension("cache");
        Self { program, kubeconfig, cache }
    }

    /// The same cluster as the user whom this token names. Its kubeconfig is kept in a folder of
    /// that name beside this one's.
    pub fn with_token(&self, user: &str, token: &str) -> anyhow::Result<Self> {
        self.changed(user, |config| config["users"][0]["user"] = json!({"token": token}))
    }

    /// The same user at another address of the cluster, without TLS. Its kubeconfig is kept in a
    /// folder of that name beside this one's.
    pub(crate) fn at_address(&self, name: &str, address: SocketAddr) -> anyhow::Result<Self> {
        self.changed(name, |config| {
            config["clusters"][0]["cluster"] = json!({"server": format!("http://{address}")});
        })
    }

    fn changed(&self, name: &str, change: impl FnOnce(&mut Value)) -> anyhow::Result<Self> {
        let mut config: Value = serde_json::from_slice(&fs::read(&self.kubeconfig)?)?;
        change(&mut config);
        let dir = self.kubeconfig.with_file_name(name);
        private_directory(&dir)?;
        let kubeconfig = dir.join("kubeconfig");
        fs::write(&kubeconfig, config.to_string())?;
        Ok(Self::new(self.program.clone(), kubeconfig))
    }

    /// The kubeconfig file.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Standard output of a kubectl that succeeds; an error with its standard error otherwise.
    pub async fn run(&self, arguments: &[&str]) -> anyhow::Result<String> {
        succeeded(arguments, self.output(arguments, "").await?)
    }

    /// The same, with `input` on standard input.
    pub async fn run_with_input(&self, arguments: &[&str], input: &str) -> anyhow::Result<String> {
        succeeded(arguments, self.output(arguments, input).await?)
    }

    /// Applies a manifest.
    pub async fn apply(&self, yaml: &str) -> anyhow::Result<String> {
        self.run_with_input(&["apply", "-f", "-"], yaml).await
    }

    /// Installs the CRDs of a file or folder and waits until they are served.
    pub async fn install_crds(&self, crds: &Path) -> anyhow::Result<()> {
        let path = crds.to_str().context("the path of the CRDs is not UTF-8")?;
        self.run(&["apply", "--server-side", "-f", path]).await?;
        self.run(&["wait", "--for=condition=Established", "--timeout=60s", "-f", path]).await?;
        Ok(())
    }

    /// What kubectl did, success or not.
    pub async fn output(&self, arguments: &[&str], input: &str) -> anyhow::Result<Output> {
        let mut command = Command::new(&self.program);
        keep_to_this_machine(command.as_std_mut());
        command
            .env("KUBECONFIG", &self.kubeconfig)
            .env("KUBECACHEDIR", &self.cache)
            .env("KUBERC", "off")
            .args(arguments.iter().map(OsString::from))
            .stdin(if input.is_empty() { Stdio::null() } else { Stdio::piped() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let told = async {
            let mut child = command
                .spawn()
                .with_context(|| format!("cannot start {}", self.program.display()))?;
            if let Some(mut stdin) = child.stdin.take() {
                // A kubectl that refuses its arguments reads nothing; its own error says more.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
            anyhow::Ok(child.wait_with_output().await?)
        };
        timeout(TIMEOUT, told)
            .await
            .with_context(|| format!("kubectl {} took over {TIMEOUT:?}", arguments.join(" ")))?
    }
}

impl AsRef<Self> for Kubectl {
    fn as_ref(&self) -> &Self {
        self
    }
}

fn succeeded(arguments: &[&str], output: Output) -> anyhow::Result<String> {
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("kubectl {}: {}", arguments.join(" "), error.trim());
    }
    Ok(String::from_utf8(output.stdout)?)
}
