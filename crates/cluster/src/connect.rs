//! From a kubeconfig, or the Pod's own service account, to a client.

use std::path::{Path, PathBuf};

use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

/// Why there is no client. None of these means that the API server is away: a client is lazy.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The file named by `--kubeconfig` cannot be used.
    #[error("cannot use kubeconfig {path}: {source}; check --kubeconfig", path = path.display())]
    Kubeconfig {
        /// The file as it was named.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<KubeconfigError>,
    },
    /// Neither a kubeconfig nor a service account was found.
    #[error(
        "no way to reach a Kubernetes API server: {0}; name a file with --kubeconfig, \
         or run in a Pod with a service account"
    )]
    NothingFound(#[source] Box<InferConfigError>),
    /// The settings were found, and are not usable (a broken certificate, an unknown proxy).
    #[error("cannot make a Kubernetes client: {0}")]
    Client(#[source] Box<kube::Error>),
}

impl ConnectError {
    /// A closed word for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Kubeconfig { .. } => "InvalidKubeconfig",
            Self::NothingFound(_) => "NoConfiguration",
            Self::Client(_) => "InvalidClientSettings",
        }
    }
}

/// Makes a client from the named kubeconfig or, without one, from what kubectl would use or from
/// the Pod's service account. Sends no request.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect(kubeconfig: Option<&Path>) -> Result<Client, ConnectError> {
    let config = match kubeconfig {
        Some(path) => from_file(path).await?,
        None => {
            Config::infer().await.map_err(|error| ConnectError::NothingFound(Box::new(error)))?
        }
    };
    Client::try_from(config).map_err(|error| ConnectError::Client(Box::new(error)))
}

async fn from_file(path: &Path) -> Result<Config, ConnectError> {
    let refuse = |source: KubeconfigError| ConnectError::Kubeconfig {
        path: path.to_owned(),
        source: Box::new(source),
    };
    let kubeconfig = Kubeconfig::read_from(path).map_err(refuse)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(refuse)
}
