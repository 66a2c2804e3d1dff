//! `pharos telemetry`: what people and CI ask about TelemetryConfigs, without a replica of their own.
//!
//! [`check`] judges files as the controller would, [`status`] shows what replicas run. Both read and
//! write nothing; both judge by the crates that the controller is made of.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use kube::Client;
use tower::layer::util::Identity;

use crate::arguments::telemetry::TelemetryCommand;
use crate::{logging, tls};

mod check;
mod status;
mod table;

/// What the exit code says where nothing could be said.
const COULD_NOT: u8 = 2;

/// Runs a command to its end.
pub(crate) fn run(command: &TelemetryCommand) -> ExitCode {
    let outcome = match command {
        TelemetryCommand::Check(arguments) => check::run(arguments),
        TelemetryCommand::Status(arguments) => status::run(arguments),
    };
    outcome.unwrap_or_else(|error| {
        logging::last_words(&error);
        ExitCode::from(COULD_NOT)
    })
}

/// A client of the API server, with which nothing was asked yet.
async fn client(kubeconfig: Option<&Path>) -> anyhow::Result<Client> {
    tls::install_provider()?;
    Ok(pharos_cluster::connect(kubeconfig, &Identity::new()).await?)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start a runtime")
}

/// Prints to standard output, as much of it as anybody reads.
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        // The reader, `head` perhaps, has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}
