//! From a kubeconfig, or the Pod's own service account, to a client.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{Request, Response};
use kube::client::{Body, ClientBuilder, DynBody};
use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use tower::util::BoxService;
use tower::{BoxError, Layer, Service};

/// How long the API server may say nothing to a request, or on a watch.
const SILENCE: Duration = Duration::from_secs(65);

/// What sends requests to the API server.
pub type Transport = BoxService<Request<Body>, Response<Box<DynBody>>, BoxError>;

/// Why there is no client. None of these means that the API server is away: a client is lazy.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The file named by `--kubeconfig` cannot be used.
    #[error("check --kubeconfig: cannot use {path}", path = path.display())]
    Kubeconfig {
        /// The file as it was named.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<KubeconfigError>,
    },
    /// Neither a kubeconfig nor a service account was found.
    #[error(
        "name a kubeconfig with --kubeconfig, or run in a Pod with a service account: \
         no way to reach a Kubernetes API server was found"
    )]
    NothingFound(#[source] Box<InferConfigError>),
    /// The settings were found, and are not usable (a broken certificate, an unknown proxy).
    #[error("cannot make a Kubernetes client")]
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
/// the Pod's service account. Sends no request. Every call goes through the layer `around` the
/// client's own.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect<L>(kubeconfig: Option<&Path>, around: &L) -> Result<Client, ConnectError>
where
    L: Layer<Transport>,
    L::Service: Service<Request<Body>, Response = Response<Box<DynBody>>, Error = BoxError>
        + Send
        + 'static,
    <L::Service as Service<Request<Body>>>::Future: Send,
{
    let mut config = match kubeconfig {
        Some(path) => from_file(path).await?,
        None => {
            Config::infer().await.map_err(|error| ConnectError::NothingFound(Box::new(error)))?
        }
    };
    // A server that no longer answers is noticed: watches end by themselves before this. Silence on a
    // pooled connection is no reason to distrust it, hence the reset.
    config.read_timeout = Some(SILENCE);
    config.reset_reader_on_write = true;
    // Whoever asks tries again with delays of their own. What was repeated underneath, up to minutes
    // later, could outlive the leadership that it was written under.
    config.default_retry = false;
    let client =
        ClientBuilder::try_from(config).map_err(|it| ConnectError::Client(Box::new(it)))?;
    Ok(client.with_layer(around).build())
}

async fn from_file(path: &Path) -> Result<Config, ConnectError> {
    let refuse = |source: KubeconfigError| ConnectError::Kubeconfig {
        path: path.to_owned(),
        source: Box::new(source),
    };
    let kubeconfig = Kubeconfig::read_from(path).map_err(refuse)?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(refuse)
}
