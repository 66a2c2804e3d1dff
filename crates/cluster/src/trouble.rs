//! What goes wrong between Pharos and the API server, in words that name the remedy.

use kube::runtime::watcher;

/// A closed set of troubles with the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The API server does not know the kind: its CRD is not installed.
    UnknownKind,
    /// The service account may not do this.
    Forbidden,
    /// The API server did not answer.
    Unreachable,
    /// It answered something else that is not a success.
    Refused,
}

// === impl Trouble ===

impl Trouble {
    /// Sorts an error of the client.
    pub fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                401 | 403 => Self::Forbidden,
                404 => Self::UnknownKind,
                _ => Self::Refused,
            },
            _ => Self::Unreachable,
        }
    }

    /// Sorts an error of a watch.
    pub fn of_watch(error: &watcher::Error) -> Self {
        match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => Self::of(error),
            watcher::Error::WatchError(status) if matches!(status.code, 401 | 403) => {
                Self::Forbidden
            }
            _ => Self::Refused,
        }
    }

    /// A closed word for logs and metrics.
    pub fn reason(self) -> &'static str {
        match self {
            Self::UnknownKind => "UnknownKind",
            Self::Forbidden => "Forbidden",
            Self::Unreachable => "Unreachable",
            Self::Refused => "Refused",
        }
    }

    /// What a person can do about it; the retry goes on by itself.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::UnknownKind => {
                "install Pharos's CRDs: pharos crds | kubectl apply --server-side -f -"
            }
            Self::Forbidden => "grant the service account the right to list and watch it",
            Self::Unreachable => "check that the API server runs and that the kubeconfig names it",
            Self::Refused => "see the error",
        }
    }
}
