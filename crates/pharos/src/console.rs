//! What the commands share that answer one question and end.

use std::io::{ErrorKind, IsTerminal, Write};
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

/// A line of standard error that says how far something is, where somebody sees it.
#[derive(Debug, Default)]
pub(crate) struct Line {
    shown: usize,
}

// === impl Line ===

impl Line {
    /// Shows this in place of what was shown.
    pub(crate) fn show(&mut self, text: &str) {
        let mut stderr = std::io::stderr().lock();
        if !stderr.is_terminal() {
            return;
        }
        let length = text.chars().count();
        let rest = " ".repeat(self.shown.saturating_sub(length));
        // Who cannot be told how far it is waits all the same.
        let _ = write!(stderr, "\r{text}{rest}");
        let _ = stderr.flush();
        self.shown = length;
    }

    /// Takes it away.
    pub(crate) fn clear(&mut self) {
        if self.shown > 0 {
            self.show("");
            let _ = write!(std::io::stderr().lock(), "\r");
        }
    }
}
