//! Why the component ends without having been told to.

use std::io;
use std::net::SocketAddr;

use pharos_cluster::tasks::TaskError;

/// Why the webhook ended without having been told to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}; choose another address with --webhook-listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The TLS library refused our settings.
    #[error("cannot set up TLS")]
    Tls(#[from] rustls::Error),
    /// The server stopped.
    #[error("the webhook server stopped")]
    Serve(#[source] io::Error),
    /// A task ended that never should.
    #[error("the task that {0} ended by itself")]
    Ended(&'static str),
    /// A task panicked.
    #[error("a task of the webhook died")]
    Died(#[source] tokio::task::JoinError),
}

// === impl Error ===

impl From<TaskError> for Error {
    fn from(error: TaskError) -> Self {
        match error {
            TaskError::Ended(does) => Self::Ended(does),
            TaskError::Died(error) => Self::Died(error),
        }
    }
}

impl Error {
    /// A closed word for logs and metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Listen { .. } => "Listen",
            Self::Tls(_) => "Tls",
            Self::Serve(_) => "Serve",
            Self::Ended(_) => "TaskEnded",
            Self::Died(_) => "TaskDied",
        }
    }
}
