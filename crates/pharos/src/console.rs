//! What the commands share that answer one question and end.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use kube::Client;
use tower::layer::util::Identity;

use crate::{logging, tls};

/// What the exit code says where nothing could be said.
const COULD_NOT: u8 = 2;

/// How a command ends.
pub(crate) fn ended(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        logging::last_words(&error);
        ExitCode::from(COULD_NOT)
    })
}

/// A client of the API server, with which nothing was asked yet.
pub(crate) async fn client(kubeconfig: Option<&Path>) -> anyhow::Result<Client> {
    tls::install_provider()?;
    Ok(pharos_cluster::connect(kubeconfig, &Identity::new()).await?)
}

/// What a command waits on.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start a runtime")
}

/// Prints to standard output, as much of it as anybody reads.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // The reader, `head` perhaps, has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}
